from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vidclf_cli.media.signature import HEAD_BYTES, container_of, is_moving_gif, is_text, is_video
from vidclf_cli.media.suffixes import SuffixKind, kind_of_suffix, suffix_of


def _ftyp(*brands: bytes) -> bytes:
    body = brands[0] + b"\0\0\2\0" + b"".join(brands[1:])
    return (len(body) + 8).to_bytes(4, "big") + b"ftyp" + body + b"\0\0\0\x08free"


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (_ftyp(b"isom", b"isom", b"mp42"), "mp4"),
        (_ftyp(b"qt  "), "mp4"),
        (_ftyp(b"ianb"), "mp4"),
        (_ftyp(b"avis", b"avif", b"avis", b"msf1"), "avif"),
        (b"\0\0\0\x08wide\0\1\2\3mdat", "quicktime"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"FLV\x01\x05\0\0\0\x09", "flv"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
        ((b"\x47" + bytes(187)) * 5, "mpeg-ts"),
        ((bytes(4) + b"\x47" + bytes(187)) * 5, "mpeg-ts"),
        (b"\0\0\1\xba\x44", "mpeg-ps"),
        (b"OggS\0\2" + bytes(22) + b"\x80theora\3\2\1", "ogg"),
        (b".RMF\0\0\0\x12", "realmedia"),
        (b"GIF89a", "gif"),
    ],
)
def test_video_containers_are_recognised(head: bytes, container: str) -> None:
    assert container_of(head) == container


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0" * HEAD_BYTES,
        _ftyp(b"M4A ", b"isom", b"mp42"),
        _ftyp(b"avif", b"avif", b"mif1", b"miaf"),
        _ftyp(b"heic", b"mif1", b"heic"),
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF\0\0\0\0WEBPVP8X",
        b"OggS\0\2" + bytes(22) + b"\x01vorbis",
        b"OggS\0\2" + bytes(22) + b"OpusHead",
        b"ID3\4\0",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"\x1a\x45\xdf\xa3 something else",
        b"G" * 100,  # a run of sync bytes, too short to be packets
        b"the free moov of text",
    ],
)
def test_sound_pictures_and_text_are_no_videos(head: bytes) -> None:
    assert container_of(head) == ""


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_answered(head: bytes) -> None:
    assert isinstance(container_of(head), str)
    assert is_moving_gif(io.BytesIO(b"GIF89a" + head)) in {True, False}


def test_only_a_gif_with_a_second_picture_moves(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (300, 200), (40 * shade, 9, 9)) for shade in range(3)]
    pictures[0].save(tmp_path / "still.gif")
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:])
    assert not is_video(tmp_path / "still.gif")
    assert is_video(tmp_path / "moving.gif")


@pytest.mark.parametrize("block", [b"!\xf9\x00", b"!\xf9\x01\x00\x00", b"\xff" + bytes(255)])
def test_a_gif_without_end_is_given_up(block: bytes) -> None:
    extension = b"!\xf9" if block.startswith(b"\xff") else b""
    endless = io.BytesIO(b"GIF89a" + bytes(7) + extension + block * ((8 << 20) // len(block)))
    assert not is_moving_gif(endless)
    assert endless.tell() < 5 << 20


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"export const a = 1;\n", True),
        ("título ".encode() * 400, True),
        (b"", False),
        (b"\x47\x40\0\x10", False),
        (b"\xff\xfe text", False),
    ],
)
def test_source_code_is_told_from_a_transport_stream(tmp_path: Path, content: bytes, expected: bool) -> None:
    path = tmp_path / "x.ts"
    path.write_bytes(content)
    assert is_text(path) is expected


@pytest.mark.parametrize(
    ("name", "suffix", "kind"),
    [
        ("a.MP4", "mp4", SuffixKind.VIDEO),
        ("a.tar.gz", "gz", SuffixKind.OTHER),
        ("noname", "", SuffixKind.UNKNOWN),
        (".mp4", "", SuffixKind.UNKNOWN),
        ("Mr. Bean at the swimming pool", "", SuffixKind.UNKNOWN),
        ("film.mp4.part", "part", SuffixKind.OTHER),
        ("a.gif", "gif", SuffixKind.PICTURE_OR_VIDEO),
        ("a.ts", "ts", SuffixKind.SHARED),
    ],
)
def test_suffixes(name: str, suffix: str, kind: SuffixKind) -> None:
    assert suffix_of(name) == suffix
    assert kind_of_suffix(suffix) is kind
