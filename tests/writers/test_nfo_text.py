"""Labels into the text of an `.nfo`: what a parser reads then, and that all other bytes stay."""

from __future__ import annotations

import difflib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vidclf_cli.metadata.nfo import parse_nfo
from vidclf_cli.writers import nfo_text
from vidclf_cli.writers.nfo_text import NfoError, has_mark, merge_labels, new_nfo

MOVIE = """<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<!-- made by a media centre -->
<movie>
    <title>The Chef &amp; the Cat</title>
    <plot><![CDATA[A chef <b>cooks</b>.]]></plot>
    <genre>Comedy</genre>
    <tag  lang='en' >Cats</tag >
    <actor><name>Somebody</name><tag>deep</tag></actor>
    <empty/>
</movie>
"""


def values(data: bytes, element: str) -> list[str]:
    """Read direct children as a media centre does, with an XML parser."""
    return [child.text or "" for child in ET.fromstring(data) if child.tag == element]


def test_labels_become_tags_and_genres_at_the_end_and_nothing_else_changes() -> None:
    merged = merge_labels(MOVIE.encode(), ["Sports", "Food & Drink"])
    assert values(merged, "tag") == ["Cats", "Sports", "Food & Drink"]
    assert values(merged, "genre") == ["Comedy", "Sports", "Food & Drink"]
    changed = [
        line for line in difflib.ndiff(MOVIE.splitlines(), merged.decode().splitlines()) if line[0] != " "
    ]
    assert changed == [
        "+     <!-- vidclf: tag=Sports genre=Sports tag=Food%20%26%20Drink genre=Food%20%26%20Drink -->",
        "+     <tag>Sports</tag>",
        "+     <genre>Sports</genre>",
        "+     <tag>Food &amp; Drink</tag>",
        "+     <genre>Food &amp; Drink</genre>",
    ]


def test_a_second_time_nothing_changes() -> None:
    merged = merge_labels(MOVIE.encode(), ["Sports"])
    assert merge_labels(merged, ["Sports"]) == merged
    assert merge_labels(merged, ["sports "]) == merged
    assert has_mark(merged)
    assert not has_mark(MOVIE.encode())


def test_what_no_longer_holds_is_taken_out_and_what_others_gave_stays() -> None:
    merged = merge_labels(MOVIE.encode(), ["Comedy", "Cats"])
    assert values(merged, "genre") == ["Comedy", "Cats"]
    assert values(merged, "tag") == ["Cats", "Comedy"]
    again = merge_labels(merged, ["Sports"])
    assert values(again, "genre") == ["Comedy", "Sports"]
    assert values(again, "tag") == ["Cats", "Sports"]
    assert merge_labels(again, []) == MOVIE.encode()


@pytest.mark.parametrize(
    "there", ["sports", " SPORTS\n", "Action / Sports", "Action/sports", "<![CDATA[Sports]]>"]
)
def test_what_is_there_in_any_case_is_not_repeated(there: str) -> None:
    data = f"<movie><genre>{there}</genre></movie>".encode()
    merged = merge_labels(data, ["Sports"])
    assert len(values(merged, "genre")) == 1
    assert values(merged, "tag") == ["Sports"]


def test_a_value_that_the_user_gave_as_well_is_not_taken_out_with_ours() -> None:
    merged = merge_labels(MOVIE.encode(), ["Sports"])
    both = merged.replace(b"<empty/>", b"<tag>Sports</tag>")
    assert values(merge_labels(both, []), "tag") == ["Cats", "Sports"]


def test_a_tag_of_ours_that_the_user_deleted_comes_back_only_while_it_holds() -> None:
    merged = merge_labels(MOVIE.encode(), ["Sports"]).replace(b"    <tag>Sports</tag>\n", b"")
    assert values(merge_labels(merged, ["Sports"]), "tag") == ["Cats", "Sports"]
    assert values(merge_labels(merged, ["Music"]), "tag") == ["Cats", "Music"]


@pytest.mark.parametrize(
    "charset", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "cp1251", "iso-8859-1", "shift_jis"]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_charset_byte_order_mark_and_line_ends_stay(charset: str, line_end: str) -> None:
    name = {"cp1252": "windows-1252", "cp1251": "windows-1251", "utf-8-sig": "utf-8"}.get(charset, charset)
    text = MOVIE.replace('"UTF-8"', f'"{name}"').replace("\n", line_end)
    data = text.replace("Chef", {"cp1251": "Кот", "shift_jis": "猫"}.get(charset, "Chef")).encode(charset)
    merged = merge_labels(data, ["Größe 猫"])
    assert values(merged, "tag")[-1] == "Größe 猫" if charset != "shift_jis" else b"&#" in merged
    assert merged.decode(charset).count(line_end) == text.count(line_end) + 3
    assert merge_labels(merged, []) == data


@pytest.mark.parametrize(
    "data",
    [
        "<movie></movie>",
        "<movie>\n</movie>",
        "<movie>\n\t<title>x</title>\n</movie>",
        "<movie><title>x</title></movie>\n\n",
        "<movie\n a='>'\n><title>x</title>\n  </movie><!-- end -->",
        "\n\n<episodedetails><title>x</title>text</episodedetails>",
        "<movie><title>x</title><!-- a -- comment is no XML, but this is --></movie>".replace(" -- ", " - "),
        "<Movie><TAG>x</TAG></Movie>",
    ],
)
def test_whatever_its_layout_is_what_was_put_in_can_be_taken_out(data: str) -> None:
    merged = merge_labels(data.encode(), ["Sports", "x"])
    root = ET.fromstring(merged)
    assert {child.text for child in root if child.tag == "genre"} == {"Sports", "x"}
    assert merge_labels(merged, []) == data.encode()


@pytest.mark.parametrize("data", ["<movie/>", "<movie />", '<?xml version="1.0"?>\n<movie a="/>"/>\n'])
def test_an_empty_root_is_opened(data: str) -> None:
    merged = merge_labels(data.encode(), ["Sports"])
    assert values(merged, "tag") == ["Sports"]
    assert values(merge_labels(merged, []), "tag") == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not XML"),
        (b"https://www.themoviedb.org/movie/603", "not XML"),
        (b"\xdb\xdb\xdb R E L E A S E", "not in utf-8"),
        (MOVIE.encode() + b"https://www.themoviedb.org/movie/603\n", "follows its XML"),
        (b"<episodedetails></episodedetails>\n<episodedetails></episodedetails>", "follows its XML"),
        (b"<movie><title>Tom & Jerry</title></movie>", "not XML"),
        (b"<movie><title>x</movie>", "not XML"),
        (b'<!DOCTYPE movie [<!ENTITY a "b">]><movie>&a;</movie>', "DOCTYPE"),
        (b'<!DOCTYPE movie SYSTEM "file:///etc/passwd"><movie/>', "DOCTYPE"),
        (b"<html><body/></html>", "root is <html>"),
        (b"<?xml version='1.0' encoding='utf-8'?><movie><title>caf\xe9</title></movie>", "not in utf-8"),
        (b"<?xml version='1.0' encoding='zlib'?><movie/>", "in zlib"),
        (b"<?xml version='1.0' encoding='utf-16'?><movie/>", "utf-16"),
        (b"\xff\xfe<\0m\0", "not XML"),
        (b"<?xml version='1.0' encoding='big5'?><movie><title>\xa2\xcc</title></movie>", "as it was"),
        (b"<movie>" + b"x" * (256 << 10) + b"</movie>", "too large"),
    ],
)
def test_what_cannot_be_merged_without_a_risk_is_left_alone(data: bytes, why: str) -> None:
    with pytest.raises(NfoError, match=why):
        merge_labels(data, ["Sports"])


def test_what_would_not_be_xml_any_more_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfo_text, "escape", str)
    with pytest.raises(NfoError, match="not XML"):
        merge_labels(MOVIE.encode(), ["a < b"])


def test_an_element_that_vidclf_cannot_have_written_is_not_taken_out() -> None:
    data = b"<movie><!-- vidclf: tag=a --><tag lang='en'>a</tag></movie>"
    assert merge_labels(data, []) == b"<movie><tag lang='en'>a</tag></movie>"


def test_a_new_file_is_read_by_others_and_says_nothing_to_vidclf_itself() -> None:
    data = new_nfo("episodedetails", "Tom & <Jerry>\x01", ["Food & Drink", "a--b"])
    root = ET.fromstring(data)
    assert root.tag == "episodedetails"
    assert [(child.tag, child.text) for child in root if isinstance(child.tag, str)] == [
        ("title", "Tom & <Jerry>"),
        ("tag", "Food & Drink"),
        ("genre", "Food & Drink"),
        ("tag", "a--b"),
        ("genre", "a--b"),
    ]
    assert not parse_nfo(data)
    assert not parse_nfo(merge_labels(data, ["Sports"]))
    changed = data.replace(b"<title>Tom", b"<title>My friend Tom")
    assert parse_nfo(changed).titles == ("My friend Tom & <Jerry>",), "what the user wrote is evidence"


def test_a_comment_that_looks_like_ours_but_is_not_changes_nothing() -> None:
    data = MOVIE.replace("made by a media centre", "vidclf: tag = Cats").encode()
    assert parse_nfo(data).keywords == ("Comedy", "Cats")


_TEXTS = st.text(st.sampled_from("ab -Cé&<>'\"/|%=\x01]猫\n"), min_size=1, max_size=12)
_NODES = st.one_of(
    st.builds("<tag>{}</tag>".format, st.sampled_from(["a", "B ", "a / c", "<!-- c -->a", "", "<b/>"])),
    st.builds("<genre>{}</genre>".format, st.sampled_from(["a", " b", "<![CDATA[c]]>", "&#97;"])),
    st.sampled_from(
        ["<title>x</title>", "\n", "\r\n", "  ", "<!-- mine -->", "<tag/>", "<a><tag>a</tag></a>"]
    ),
    st.sampled_from(["<!-- vidclf: tag=a -->", "<?php x?>", "<tag x='>'>a</tag>", "text"]),
)


@given(
    nodes=st.lists(_NODES, max_size=8), runs=st.lists(st.lists(_TEXTS, max_size=3), min_size=1, max_size=3)
)
@example(nodes=["<!-- vidclf: tag=a -->", "<tag>a</tag>", "<tag>a</tag>"], runs=[["b"], ["a"]])
@settings(max_examples=300, deadline=None)
def test_any_file_keeps_what_is_not_ours_and_has_what_holds(nodes: list[str], runs: list[list[str]]) -> None:
    data = f"<movie>{''.join(nodes)}</movie>".encode()
    merged = merge_labels(data, [])
    foreign = merged
    for labels in runs:
        before = merged
        merged = merge_labels(before, labels)
        assert merge_labels(merged, labels) == merged, "once is enough"
        assert merge_labels(merged, []) == foreign, "what is not ours stays"
        for element in ("tag", "genre"):
            found = {
                part.strip().casefold()
                for each in values(merged, element)
                for part in (each, *each.split("/"))
            }
            for label in labels:
                clean = label.replace("\x01", "").strip()
                assert not clean or clean.casefold() in found
