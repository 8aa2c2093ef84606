import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.writers.made_rows import row, write
from vidclf_cli.errors import UsageError
from vidclf_cli.writers import FORMATS
from vidclf_cli.writers.existing import check_output


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("rows", [[], [row()]])
def test_what_vidclf_wrote_may_be_replaced(tmp_path: Path, format_name: str, rows: list[object]) -> None:
    path = write(tmp_path / "labels", format_name, rows)  # type: ignore[arg-type]
    check_output(str(path), format_name)


@pytest.mark.parametrize("format_name", [*FORMATS, "table"])
def test_an_empty_file_is_fine(tmp_path: Path, format_name: str) -> None:
    (tmp_path / "labels").touch()
    check_output(str(tmp_path / "labels"), format_name)


@pytest.mark.parametrize("format_name", [*FORMATS, "table"])
@pytest.mark.parametrize(
    "data",
    [
        b"path,label\na.mp4,cat\n",
        b'{"path": "a.mp4", "label": "cat"}\n',
        b"\xff\xfe\x00\x00",
        b"\n",
        b"PAR1 but not really",
        b"[" * 100_000,
    ],
)
def test_what_somebody_else_wrote_is_refused_without_force(
    tmp_path: Path, format_name: str, data: bytes
) -> None:
    path = tmp_path / "labels"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"vidclf classify wrote.*--force"):
        check_output(str(path), format_name)
    check_output(str(path), format_name, force=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("asked", FORMATS)
def test_another_format_of_vidclf_is_refused_too(tmp_path: Path, written: str, asked: str) -> None:
    path = write(tmp_path / "labels", written, [row()])
    if written == asked:
        return
    with pytest.raises(UsageError, match=f"no {asked} file that vidclf"):
        check_output(str(path), asked)


def test_force_replaces_a_database_that_is_called_csv(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    write(path, "csv", [row()])
    assert path.read_text().startswith("path,label")


@pytest.mark.parametrize("format_name", ["parquet", "sqlite"])
@pytest.mark.parametrize("target", ["-", os.devnull])
def test_what_is_no_stream_does_not_go_to_one(format_name: str, target: str) -> None:
    with pytest.raises(UsageError, match="Name a file with --out"):
        check_output(target, format_name)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", "csv", [row()])
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(UsageError, match=r"cannot be read.*--out"):
        check_output(str(path), "csv")
