import os
from pathlib import Path

import pytest

from vidclf_cli.cache.outputs import OutputMemory


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("x")
    return path


def test_what_is_remembered_is_known_again_by_any_way_to_the_file(tmp_path: Path, output: Path) -> None:
    memory = OutputMemory(tmp_path / "cache")
    assert memory.read(output) is None
    assert not (tmp_path / "cache").exists(), "looking makes nothing"
    memory.write(output, {"top_k": 3, "model": "m"}, {"größe.mp4": "0123"})
    (tmp_path / "link").symlink_to(tmp_path)
    found = OutputMemory(tmp_path / "cache").read(tmp_path / "link" / "labels.csv")
    assert found is not None
    assert found.settings == {"top_k": 3, "model": "m"}
    assert found.signatures == {"größe.mp4": "0123"}
    assert found.mtime_ns == output.stat().st_mtime_ns
    assert memory.read(tmp_path / "other.csv") is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"format": 2}', b"\xff", b"[" * 99_999])
def test_a_damaged_memory_is_none(tmp_path: Path, output: Path, damage: bytes) -> None:
    memory = OutputMemory(tmp_path / "cache")
    memory.write(output, {}, {})
    (file,) = (tmp_path / "cache" / "outputs").iterdir()
    file.write_bytes(damage)
    assert memory.read(output) is None


def test_a_cache_that_cannot_be_written_is_a_line_in_the_log(
    tmp_path: Path, output: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("no folder")
    OutputMemory(tmp_path / "cache").write(output, {}, {})
    assert "cannot be remembered" in caplog.text


def test_a_name_that_is_no_utf8_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.csv")
    path.write_text("x")
    memory = OutputMemory(tmp_path / "cache")
    memory.write(path, {}, {"a": "b"})
    found = memory.read(path)
    assert found is not None
    assert found.signatures == {"a": "b"}
