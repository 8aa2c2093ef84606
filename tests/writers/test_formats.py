"""Every format: read back by others, read back by vidclf, whole or not there at all."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.writers.made_rows import any_rows, failed_row, many, row, unknown_row, write
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.writers import FORMATS, open_rows, read_rows
from vidclf_cli.writers.row import COLUMNS, LIST_COLUMNS, NUMBER_COLUMNS, Row, RowError

SEGMENTS = [row(segment=(0.0, 5.5)), row(segment=(5.5, 12.346))]
ROWS = [row(), *SEGMENTS, failed_row("=b.mp4"), unknown_row("c.mp4")]


@pytest.mark.parametrize("format_name", FORMATS)
@given(rows=any_rows())
@settings(max_examples=25, deadline=None)
def test_what_was_written_is_read_back_whatever_stands_in_it(format_name: str, rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "labels"), format_name, rows)
        assert list(read_rows(path, format_name)) == rows
        again = write(Path(folder, "again"), format_name, list(read_rows(path, format_name)))
        assert again.read_bytes() == path.read_bytes(), "what is taken over keeps every byte"


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, format_name: str) -> None:
    first = write(tmp_path / "first", format_name, list(many(2500)))
    second = write(tmp_path / "second", format_name, list(many(2500)))
    assert first.read_bytes() == second.read_bytes()


def test_the_csv_module_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "csv", ROWS)
    with path.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream, strict=True))
    assert found[3].pop("path") == "'=b.mp4"
    for cells, expected in zip(found, ROWS, strict=True):
        for column, cell in cells.items():
            _same_cell(column, cell, expected[column])


def _same_cell(column: str, cell: str, expected: Any) -> None:
    if column in LIST_COLUMNS:
        assert json.loads(cell) == expected
    elif column in NUMBER_COLUMNS:
        assert (float(cell) if cell else None) == expected
    else:
        assert cell == expected


def test_the_json_module_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.jsonl", "jsonl", ROWS)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == ROWS


def test_sqlite_reads_it_and_finds_a_path_by_the_index(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.sqlite", "sqlite", ROWS)
    connection = sqlite3.connect(path)
    names = ", ".join(COLUMNS)
    for cells, expected in zip(connection.execute(f"SELECT {names} FROM results"), ROWS, strict=True):
        for column, cell in zip(COLUMNS, cells, strict=True):
            assert (json.loads(cell) if column in LIST_COLUMNS else cell) == expected[column]
    asked = "SELECT json_extract(alternatives, '$[0].label') FROM results WHERE path = ?"
    assert connection.execute(asked, ("c.mp4",)).fetchall() == [("Games",)]
    assert "results_path" in str(connection.execute(f"EXPLAIN QUERY PLAN {asked}", ("c.mp4",)).fetchall())
    connection.close()


def test_pyarrow_reads_it_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write(tmp_path / "labels.parquet", "parquet", ROWS)
    table = parquet.read_table(path)
    assert tuple(table.column_names) == COLUMNS
    assert table.to_pylist() == ROWS
    assert str(table.schema.field("confidence").type) == "double"
    assert str(table.schema.field("alternatives").type).startswith("list<element: struct<label: string")


def test_many_rows_go_to_row_groups_as_they_come(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "labels.parquet"
    write(path, "parquet", list(many(20_001)))
    assert parquet.ParquetFile(path).num_row_groups == 3
    assert list(read_rows(path, "parquet")) == list(many(20_001))


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_appears_only_when_it_is_whole(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "labels"
    with open_rows(str(path), format_name) as writer:
        for each in many(1500):
            writer.write(each)
        assert not path.exists()
    assert len(list(read_rows(path, format_name))) == 1500
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), open_rows(str(path), format_name) as writer:
        for each in many(1500):
            writer.write(each)
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["labels"]


_FILL = """
import resource, sys
from tests.writers.made_rows import many, write
from vidclf_cli.errors import OutputError
from pathlib import Path
import pyarrow.parquet
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write(Path(sys.argv[1]), sys.argv[2], list(many(20_000)))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path: Path, format_name: str) -> None:
    pytest.importorskip("pyarrow")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path / "labels"), format_name],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 0, done.stderr
    assert "free space" in done.stdout, done.stderr
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


_KILL = """
import os, signal, sys
from tests.writers.made_rows import many
from vidclf_cli.writers import open_rows
with open_rows(sys.argv[1], sys.argv[2]) as writer:
    for row in many(12_000):
        writer.write(row)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_killed_process_leaves_the_old_rows(tmp_path: Path, format_name: str) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "labels", format_name, ROWS)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", _KILL, str(path), format_name], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(read_rows(path, format_name)) == ROWS
    write(path, format_name, [row()])
    assert list(read_rows(path, format_name)) == [row()]


def test_parquet_without_pyarrow_says_what_to_install() -> None:
    script = """
import sys
sys.modules["pyarrow"] = None
from vidclf_cli.writers.existing import check_output
check_output("labels.parquet", "parquet")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert 'pip install "vidclf[parquet]"' in done.stderr
    assert "UsageError" in done.stderr


@pytest.mark.parametrize(
    ("format_name", "damage", "says"),
    [
        ("csv", b"a.mp4,x\n", "2 cells instead of 12"),
        ("csv", b'"a.mp4\n', "line 7: unexpected end of data"),
        ("csv", b"\xff,,,,,,,,,,,\n", "it is not UTF-8"),
        ("csv", b"a.mp4,x,much,ok,,[],[],[],,,,m\n", "much"),
        ("csv", b"a.mp4,x,0.5,fine,,[],[],[],,,,m\n", "status is 'fine'"),
        ("jsonl", b"[]\n", "no JSON object"),
        ("jsonl", b'{"path": 1}\n', "path is 1"),
        ("jsonl", b"{\n", "line 6"),
        ("jsonl", b"\xff\n", "it is not UTF-8"),
    ],
)
def test_a_row_that_vidclf_cannot_have_written_is_named(
    tmp_path: Path, format_name: str, damage: bytes, says: str
) -> None:
    path = write(tmp_path / "labels", format_name, ROWS)
    with path.open("ab") as file:
        file.write(damage)
    with pytest.raises(RowError) as caught:
        list(read_rows(path, format_name))
    assert says in str(caught.value)
    assert "line " in str(caught.value) or "UTF-8" in str(caught.value)


def test_a_damaged_parquet_file_is_told_and_not_taken_for_empty(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "labels.parquet", "parquet", list(many(3000)))
    data = bytearray(path.read_bytes())
    data[1000:3000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises((RowError, OSError)):
        list(read_rows(path, "parquet"))


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    for format_name in ("csv", "jsonl"):
        path = write(tmp_path / format_name, format_name, ROWS)
        with path.open("ab") as file:
            file.write(b"\n\n")
        assert list(read_rows(path, format_name)) == ROWS


def test_a_spreadsheet_may_have_saved_the_csv_again(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "csv", ROWS)
    text = path.read_text(encoding="utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert list(read_rows(path, "csv")) == ROWS


def test_two_names_never_become_one_cell(tmp_path: Path) -> None:
    names = ["=a", "'=a", "''=a", "'a", "a", "'", "-", "'\t"]
    path = write(tmp_path / "labels.csv", "csv", [row(name) for name in names])
    assert len(set(path.read_text().splitlines())) == len(names) + 1
    assert [each["path"] for each in read_rows(path, "csv")] == names


def test_a_very_long_cell_is_read_and_the_limit_for_others_stays(tmp_path: Path) -> None:
    long = dict(row()) | {"alternatives": [{"label": "x" * 500, "confidence": 0.1}] * 1000}
    path = write(tmp_path / "labels.csv", "csv", [long])
    csv.field_size_limit(100_000)
    rows = read_rows(path, "csv")
    assert next(rows) == long
    assert csv.field_size_limit(131_072) == 100_000


@pytest.mark.parametrize("format_name", ["parquet", "sqlite"])
def test_an_unwritable_place_is_an_output_error(tmp_path: Path, format_name: str) -> None:
    with (
        pytest.raises((OutputError, UsageError)),
        open_rows(str(tmp_path / "no" / "labels"), format_name) as writer,
    ):
        writer.write(row())
