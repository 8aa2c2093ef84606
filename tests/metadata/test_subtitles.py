from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.subtitles import parse_subtitles, rank_of, read_subtitles

_SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Heat the pan.</i>

2
00:00:03,000 --> 00:00:04,000
{\\an8}Add the onions [SIZZLING]
- and stir.

3
00:00:05,000 --> 00:00:06,000
♪ la la ♪

4
00:00:07,000 --> 00:00:09,000
Subtitles by www.example.com
"""
_VTT = """WEBVTT
Kind: captions
Language: en

STYLE
::cue {
  color: white;
}

NOTE a remark

00:00:00.000 --> 00:00:02.000 align:start
we<00:00:00.500><c> ride</c><00:00:01.000><c> bikes</c>

00:00:02.000 --> 00:00:04.000
we ride bikes
up<00:00:02.500><c> the</c><c> hill</c>

intro-2
04:00.000 --> 00:06.000
up the hill
&gt;&gt; MAN: Tom &amp; I
"""


def test_srt_is_freed_of_timings_tags_and_credits() -> None:
    text = " ".join(parse_subtitles([_SRT.replace("\n", "\r\n").encode()]).passages)
    assert text == "Heat the pan. Add the onions and stir. la la"


def test_vtt_is_freed_of_its_header_styles_and_rolling_captions() -> None:
    text = " ".join(parse_subtitles([_VTT.encode()]).passages)
    assert text == "we ride bikes up the hill Tom & I"


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "cp1252"])
def test_charsets(charset: str) -> None:
    assert parse_subtitles(
        ["1\n00:00:01,000 --> 00:00:02,000\nDéjà vu, señor\n".encode(charset)]
    ).passages == ("Déjà vu, señor",)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "cp1252"])
def test_the_extract_is_spread_over_a_long_file_and_bounded(tmp_path: Path, charset: str) -> None:
    cues = (
        f"{n}\n00:00:{n % 60:02},000 --> 00:00:59,000\nthis is line {n} of the talk, ñandú\n"
        for n in range(1, 20000)
    )
    path = tmp_path / "long.srt"
    path.write_bytes("\n".join(cues).encode(charset))
    passages = read_subtitles(path).passages
    numbers = [int(passage.split("line ")[1].split()[0]) for passage in passages]
    assert numbers == sorted(numbers)
    assert len(numbers) == 8
    assert numbers[0] < 200
    assert numbers[-1] > 19000
    assert sum(map(len, passages)) < 800


def test_a_sparse_file_and_a_missing_file_say_nothing(tmp_path: Path) -> None:
    with (tmp_path / "huge.srt").open("wb") as stream:
        stream.truncate(1 << 34)
    assert not read_subtitles(tmp_path / "huge.srt")
    assert not read_subtitles(tmp_path / "gone.srt")


def test_english_comes_first_and_forced_last() -> None:
    order = sorted(
        ["de", "forced", "", "en.sdh", "pt-br", "zh-hans"], key=lambda middle: (rank_of(middle), middle)
    )
    assert order == ["en.sdh", "", "de", "pt-br", "zh-hans", "forced"]
    assert rank_of("part two") is None
    assert rank_of("s01e02") is None


@given(st.lists(st.binary(max_size=300), max_size=9))
def test_any_blocks_are_answered_within_bounds(blocks: list[bytes]) -> None:
    assert sum(map(len, parse_subtitles(blocks).passages)) < 1000
