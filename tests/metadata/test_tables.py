from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.tables import Table, load_table
from vidclf_cli.metadata.text import Fields

_CAT = Fields(titles=("A cat",), keywords=("pets", "cats"), passages=("It sleeps.",))


def _find(root: Path, relative: str, *, unique: bool = True) -> Fields:
    return load_table(root).find(relative, name_is_unique=unique)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_charsets(tmp_path: Path, delimiter: str, charset: str) -> None:
    rows = [["Path", "TITLE", "tags", "description"], ["a/café.mp4", "A cat", '"pets,cats"', "It sleeps."]]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "metadata.csv").write_bytes(text.encode(charset))
    assert _find(tmp_path, "a/cafe\u0301.mp4") == _CAT


def test_jsonl(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(
        'not json\n[1]\n{"file_name": ".\\\\a\\\\b.mp4", "title": "A cat", "tags": ["pets", "cats", 3], '
        '"description": "It sleeps."}\n{"path": 3, "title": "x"}\n' + "[" * 100_000
    )
    table = load_table(tmp_path)
    assert table.rows == {"a/b.mp4": _CAT}


def test_a_bare_name_counts_only_when_one_video_has_it(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("path,title\na.mp4,A cat\n")
    assert _find(tmp_path, "deep/a.mp4").titles == ("A cat",)
    assert not _find(tmp_path, "deep/a.mp4", unique=False)
    assert _find(tmp_path, "a.mp4", unique=False).titles == ("A cat",)


def test_paths_out_of_the_root_are_left_out() -> None:
    table = Table()
    for path in ("../a.mp4", "x/../../a.mp4", "/etc/passwd", "C:\\a.mp4", "\\\\server\\a.mp4", "", ".", "  "):
        table.add({"path": path, "title": "A cat"})
    assert table.rows == {}


def test_columns_that_may_hold_the_answer_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("path,label,category\na.mp4,Sports,Sports\n")
    assert not _find(tmp_path, "a.mp4")


def test_the_first_of_two_rows_counts(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("path,title\na.mp4,one\n./a.mp4,two\n")
    assert _find(tmp_path, "a.mp4").titles == ("one",)


def test_a_quote_that_is_never_closed_costs_only_what_follows(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text('path,title\na.mp4,A cat\nb.mp4,"' + "x" * 1_000_000)
    assert list(load_table(tmp_path).rows) == ["a.mp4"]


def test_a_sparse_table_is_bounded(tmp_path: Path) -> None:
    with (tmp_path / "metadata.csv").open("wb") as stream:
        stream.truncate(1 << 30)
    assert load_table(tmp_path).rows == {}


@given(
    st.one_of(st.binary(max_size=200), st.text(alphabet='path,title\n"a;\t\0', max_size=80).map(str.encode))
)
def test_any_table_is_answered(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.mktemp("table")
    (root / "metadata.csv").write_bytes(b"path,title\n" + data)
    (root / "metadata.jsonl").write_bytes(data)
    load_table(root)
