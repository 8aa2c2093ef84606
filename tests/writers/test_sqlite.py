"""Databases that belong to others as well: locked, with other tables, with other columns."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.writers.made_rows import many, row, write
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.writers import open_rows, read_rows, sqlite
from vidclf_cli.writers.existing import check_output


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a table of somebody else's, in which vidclf wrote rows."""
    path = write(tmp_path / "media.db", "sqlite", list(many(5)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (text TEXT)")
        connection.execute("INSERT INTO mine VALUES ('kept')")
        connection.execute("CREATE INDEX by_label ON results (label)")
        connection.execute("CREATE VIEW sports AS SELECT path FROM results WHERE label = 'Sports'")
        connection.commit()
    return path


def _all(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_only_the_rows_of_the_table_are_replaced(database: Path) -> None:
    database.chmod(0o640)
    write(database, "sqlite", [row("new.mp4")])
    assert [each["path"] for each in read_rows(database, "sqlite")] == ["new.mp4"]
    assert _all(database, "SELECT * FROM mine") == [("kept",)]
    assert _all(database, "SELECT * FROM sports") == [("new.mp4",)]
    assert ("by_label",) in _all(database, "SELECT name FROM sqlite_master WHERE type = 'index'")
    assert database.stat().st_mode & 0o777 == 0o640
    assert _all(database, "PRAGMA integrity_check") == [("ok",)]
    assert [file.name for file in database.parent.iterdir()] == ["media.db"]


def test_a_database_without_the_table_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "media.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (text TEXT)")
    check_output(str(path), "sqlite")
    write(path, "sqlite", [row()])
    assert list(read_rows(path, "sqlite")) == [row()]
    assert _all(path, "SELECT * FROM mine") == []


def test_readers_of_a_wal_database_see_the_old_rows_or_the_new_ones(database: Path) -> None:
    with closing(sqlite3.connect(database)) as reader:
        assert reader.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM results").fetchone() == (5,)
        write(database, "sqlite", [row()])
        assert reader.execute("SELECT count(*) FROM results").fetchone() == (5,)
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM results").fetchone() == (1,)


_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT count(*) FROM results").fetchone()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, how: str) -> Iterator[None]:
    """Let another process hold the database."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.2)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("how", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_a_database_that_another_program_holds_is_told_before_the_run(database: Path, how: str) -> None:
    with held(database, how), pytest.raises(UsageError, match=r"locked.*Another program uses it"):
        check_output(str(database), "sqlite")
    check_output(str(database), "sqlite")


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("how", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN"])
def test_one_that_is_held_at_the_end_leaves_the_rows_in_a_file_that_is_named(
    database: Path, how: str
) -> None:
    (database.parent / "media.new.db").write_text("somebody's")
    with (
        held(database, how),
        pytest.raises(OutputError, match=r"locked.*The rows are in \S+media\.new2\.db"),
        open_rows(str(database), "sqlite") as writer,
    ):
        writer.write(row("new.mp4"))
    kept = database.parent / "media.new2.db"
    assert [each["path"] for each in read_rows(kept, "sqlite")] == ["new.mp4"]
    assert len(list(read_rows(database, "sqlite"))) == 5, "the old rows are as they were"
    assert (database.parent / "media.new.db").read_text() == "somebody's"
    assert not list(database.parent.glob(".*"))


def test_waiting_is_enough_where_the_other_program_is_quick(database: Path) -> None:
    script = f"""
import sqlite3, time
connection = sqlite3.connect({str(database)!r}, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(0.5)
connection.execute("ROLLBACK")
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        check_output(str(database), "sqlite")


@pytest.mark.parametrize(
    "make",
    [
        "CREATE TABLE results (path TEXT, label TEXT)",
        "CREATE VIEW results AS SELECT 1 AS path",
    ],
)
def test_a_table_or_view_of_that_name_with_other_columns_is_replaced_by_force_only(
    tmp_path: Path, make: str
) -> None:
    path = tmp_path / "media.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(make)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"other columns.*--force"):
        check_output(str(path), "sqlite")
    with pytest.raises(OutputError, match="other columns meanwhile"):
        write(path, "sqlite", [row()])
    assert path.read_bytes() == before
    check_output(str(path), "sqlite", force=True)
    with open_rows(str(path), "sqlite", force=True) as writer:
        writer.write(row())
    assert list(read_rows(path, "sqlite")) == [row()]


def test_a_column_that_somebody_added_is_not_lost(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE results ADD COLUMN note TEXT")
    with pytest.raises(UsageError, match="other columns"):
        check_output(str(database), "sqlite")


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_the_journal_of_a_database_that_is_gone_is_not_played_into_a_new_one(
    tmp_path: Path, suffix: str
) -> None:
    (tmp_path / f"labels.db{suffix}").write_bytes(b"x")
    with pytest.raises(UsageError, match=f"labels.db{suffix}"):
        check_output(str(tmp_path / "labels.db"), "sqlite")


def test_a_journal_that_appeared_meanwhile_is_not_played_into_the_new_database_either(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with pytest.raises(UsageError, match=r"labels\.db-wal"), open_rows(str(path), "sqlite") as writer:
        writer.write(row())
        (tmp_path / "labels.db-wal").write_bytes(b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["labels.db-wal"]


def test_a_damaged_database_is_told_and_stays(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[100:2000] = bytes(1900)
    database.write_bytes(data)
    with pytest.raises(UsageError, match="malformed"):
        check_output(str(database), "sqlite")
    assert database.read_bytes() == data


def test_between_batches_nothing_is_locked_while_rows_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.db", "sqlite", list(many(2500)))
    rows = read_rows(path, "sqlite")
    next(rows)
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.commit()
    assert len(list(rows)) == 2499
