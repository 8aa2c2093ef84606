import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vidclf_cli
from vidclf_cli.errors import EncoderError
from vidclf_cli.shipped import encoder_file, hash_file, read_sums, shipped_folder, verified_file, verify_all

PACKAGE = Path(vidclf_cli.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "SHA256SUMS").write_text(f"{hash_file(tmp_path / 'model.onnx')}  model.onnx\n")
    return tmp_path


def test_a_file_that_matches_its_hash_is_returned(folder: Path) -> None:
    assert verified_file(folder / "model.onnx") == folder / "model.onnx"


def test_an_altered_file_is_refused_with_advice(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"weightz")
    with pytest.raises(EncoderError, match=r"SHA-256 differs.*Install vidclf again"):
        verified_file(folder / "model.onnx")


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(EncoderError, match="cannot be read"):
        verified_file(folder / "model.onnx")


def test_a_file_that_nobody_listed_is_refused(folder: Path) -> None:
    (folder / "other.onnx").write_bytes(b"weights")
    with pytest.raises(EncoderError, match="not listed"):
        verified_file(folder / "other.onnx")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_missing_or_damaged_sums_are_refused(folder: Path, content: bytes | None) -> None:
    (folder / "SHA256SUMS").unlink()
    if content is not None:
        (folder / "SHA256SUMS").write_bytes(content)
    with pytest.raises(EncoderError, match="SHA256SUMS cannot be read"):
        verified_file(folder / "model.onnx")


def test_what_ships_is_whole() -> None:
    assert verify_all() >= 5
    assert read_sums(shipped_folder() / "encoders").keys() >= {
        "efficientnet-lite0.fp32.onnx",
        "efficientnet-lite0.int8.onnx",
        "all-minilm-l6-v2.int8.onnx",
    }
    assert encoder_file("imagenet_classes.txt").is_file()


def test_an_altered_encoder_ends_the_run_before_it_is_loaded(tmp_path: Path) -> None:
    # An installed package has `exported` inside; that one is used, not the checkout's.
    copy = tmp_path / "vidclf_cli"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("exported", "__pycache__"))
    encoders = copy / "exported" / "encoders"
    encoders.mkdir(parents=True)
    name = "efficientnet-lite0.int8.onnx"
    shutil.copy(shipped_folder() / "encoders" / "SHA256SUMS", encoders)
    content = bytearray((shipped_folder() / "encoders" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (encoders / name).write_bytes(content)
    code = (
        "from vidclf_cli.embedders.local import LocalVisual\n"
        "from vidclf_cli.errors import EncoderError\n"
        "from vidclf_cli.runtime import choose_device\n"
        "try:\n    LocalVisual(device=choose_device('cpu')).provider\n"
        "except EncoderError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(encoders / name) in done.stdout
    assert "SHA-256 differs" in done.stdout
