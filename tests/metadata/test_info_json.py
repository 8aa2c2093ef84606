from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.info_json import parse_info_json
from vidclf_cli.metadata.text import Fields

_INFO = {
    "id": "x",
    "title": "Latte art",
    "formats": [{"title": "not this", "description": "nor this", "n": [1, 2, {"tags": ["no"]}]}],
    "description": "Pour the milk.\nSlowly.",
    "uploader": "Bob's Kitchen",
    "tags": ["coffee", 3, "latte"],
    "categories": ["Howto & Style"],
    "comments": [{"text": "x"}] * 3,
}


def test_the_fields_of_yt_dlp_are_read() -> None:
    expected = Fields(
        titles=("Latte art",),
        keywords=("Howto & Style", "coffee", "latte"),
        names=("Bob's Kitchen",),
        passages=("Pour the milk.\nSlowly.",),
    )
    for indent in (None, 4):
        assert parse_info_json(json.dumps(_INFO, indent=indent).encode()) == expected


def test_a_cut_off_file_gives_what_came_before_the_cut() -> None:
    data = json.dumps(_INFO).encode()
    assert parse_info_json(data[: data.index(b"uploader")]).passages == ("Pour the milk.\nSlowly.",)


def test_byte_order_marks_and_utf16_are_read() -> None:
    text = json.dumps({"title": "Café"}, ensure_ascii=False)
    for charset in ("utf-8-sig", "utf-16", "cp1252"):
        assert parse_info_json(text.encode(charset)).titles == ("Café",)


def test_wrong_types_are_left_out() -> None:
    wrong = {"title": 3, "description": ["x"], "tags": {"a": 1}, "categories": None, "uploader": {}}
    assert parse_info_json(json.dumps(wrong).encode()) == Fields()


def test_hostile_files_say_nothing_and_end_soon() -> None:
    start = time.monotonic()
    deep = b'{"title": "t", "x": ' + b"[" * 1_000_000
    assert parse_info_json(deep).titles == ("t",)
    assert parse_info_json(b'{"x": ' + b'{"a":' * 500_000) == Fields()
    assert parse_info_json(b'{"x": ' + b"9" * 1_000_000 + b"}") == Fields()
    assert parse_info_json(b" " * 4_000_000) == Fields()
    assert parse_info_json(b'{"title": "' + b"a" * 4_000_000).titles == ()
    assert parse_info_json(bytes(4_000_000)) == Fields()
    assert time.monotonic() - start < 5


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
_keys = st.sampled_from(["title", "description", "tags", "categories", "uploader", "x"])


@given(st.dictionaries(_keys, _json, max_size=6), st.integers(0, 200))
def test_any_json_is_answered_whole_or_cut(document: object, cut: int) -> None:
    data = json.dumps(document).encode()
    parse_info_json(data)
    parse_info_json(data[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    parse_info_json(data)
