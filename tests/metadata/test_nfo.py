from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.nfo import parse_nfo
from vidclf_cli.metadata.text import Fields

_MOVIE = """<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
<!-- made by a media centre -->
<movie>
  <title>The Chef &amp; the Cat</title><originaltitle/>
  <plot><![CDATA[A chef <b>cooks</b>.]]></plot>
  <genre>Comedy</genre><genre>Food</genre><tag>cats</tag>
  <actor><name>Somebody</name><title>Not the title</title></actor>
  <fileinfo><streamdetails><video><title>no</title></video></streamdetails></fileinfo>
  <studio>Kitchen Films</studio>
</movie>"""


def test_a_movie_is_read_without_its_actors_and_streams() -> None:
    assert parse_nfo(_MOVIE.encode()) == Fields(
        titles=("The Chef & the Cat",),
        keywords=("Comedy", "Food", "cats"),
        names=("Kitchen Films",),
        passages=("A chef <b>cooks</b>.",),
    )


def test_a_link_after_the_xml_does_not_matter() -> None:
    link = b"\nhttps://www.themoviedb.org/movie/603"
    assert parse_nfo(_MOVIE.encode() + link) == parse_nfo(_MOVIE.encode())


def test_several_roots_are_all_read() -> None:
    two = b"<episodedetails><title>One</title></episodedetails>\n"
    two += b"<episodedetails><title>Two</title></episodedetails>"
    assert parse_nfo(two).titles == ("One", "Two")


def test_sloppy_xml_is_read() -> None:
    sloppy = b"<movie><title>Tom & Jerry</title><br><plot>a < b & c<genre>Cartoon</genre></movie"
    fields = parse_nfo(sloppy)
    assert fields.titles == ("Tom & Jerry",)
    assert fields.keywords == ("Cartoon",)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_charsets(charset: str) -> None:
    text = "<?xml version='1.0' encoding='windows-1251'?><movie><title>Кот</title></movie>"
    assert parse_nfo(text.encode(charset)).titles == ("Кот",)


def test_a_declared_charset_that_is_no_charset_is_ignored() -> None:
    for name in ("unicode_escape", "idna", "zlib", "rot13", "no-such-thing"):
        data = f"<?xml version='1.0' encoding='{name}'?><movie><title>caf".encode() + b"\xe9</title></movie>"
        assert parse_nfo(data).titles == ("café",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"https://www.imdb.com/title/tt0133093/",
        b"\xdb\xdb\xdb  R E L E A S E   I N F O  \xdb\xdb <title>",
        b"<title>outside of any root</title>",
        b"<movie></movie>",
    ],
)
def test_what_is_no_xml_says_nothing(data: bytes) -> None:
    assert parse_nfo(data) == Fields()


def test_entities_are_never_expanded_and_nothing_is_opened() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE movie [<!ENTITY l0 "ha">{laughs}]><movie><title>&l11;</title><plot>fine</plot></movie>'
    fields = parse_nfo(bomb.encode())
    assert fields.titles == ("&l11;",)
    assert fields.passages == ("fine",)
    outside = b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><movie><title>&x;</title></movie>'
    assert parse_nfo(outside).titles == ("&x;",)


@pytest.mark.parametrize(
    "piece", [b"<", b"<!--", b"<![CDATA[", b"<a ", b"<a>", b"<actor>", b"<?", b"<!D [", b"&#9;"]
)
def test_repeated_openings_end_soon(piece: bytes) -> None:
    start = time.monotonic()
    parse_nfo(b"<movie><plot>" + piece * ((256 << 10) // len(piece)))
    assert time.monotonic() - start < 2


_PIECES = [
    "<movie>",
    "</movie>",
    "<title>",
    "</title>",
    "<actor>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "&#x110000;",
    "&#0;",
    "text",
    "<",
    ">",
]


@given(st.lists(st.sampled_from([*_PIECES, "<!DOCTYPE [", "]>", "<plot/>", "é"]), max_size=30))
def test_any_mixture_is_answered(pieces: list[str]) -> None:
    parse_nfo("".join(pieces).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    parse_nfo(data)
