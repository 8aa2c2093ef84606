import subprocess
import sys
from pathlib import Path

import pytest

import vidclf_cli
from tests.media.odd_videos import encode
from vidclf_cli.cache import Cache
from vidclf_cli.errors import Code, UsageError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.records import Status


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "football match.mp4"
    encode("-c:v", "libx264", "-g", "25", source="testsrc2=size=160x90", seconds=2, sound=True)(path)
    return path


def test_classify_returns_one_result_per_video_and_reports_progress(video: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"")
    seen = []
    results = vidclf_cli.classify(
        tmp_path, labels=["football", "cooking"], progress=lambda r, _: seen.append(r)
    )
    assert results == seen
    assert [result.video.id for result in results] == ["broken.mp4", "football match.mp4"]
    assert results[0].status is Status.FAILED
    assert results[0].reason is not None
    assert results[0].reason.code is Code.EMPTY_FILE
    assert results[1].prediction is not None
    assert results[1].model.startswith("zero-shot@")


def test_segments_stand_behind_their_video(video: Path) -> None:
    own, *parts = vidclf_cli.classify(
        video, labels=["football", "cooking"], segment_seconds=0.5, dense=True, min_confidence=0
    )
    assert own.segment is None
    assert parts[0].segment is not None
    assert parts[0].segment[0] == 0
    assert parts[-1].segment is not None
    assert parts[-1].segment[1] == pytest.approx(2, abs=0.1)
    assert all(part.modalities == ("visual",) and part.video == own.video for part in parts)


def test_embed_returns_results_without_predictions(video: Path) -> None:
    (result,) = vidclf_cli.embed([video])
    assert result.status is Status.OK
    assert result.prediction is None


def test_embed_fills_the_spaces_that_are_named_and_no_others(video: Path, tmp_path: Path) -> None:
    vidclf_cli.embed(video, embeddings="local/audio", cache_dir=tmp_path / "cache")
    with Cache(tmp_path / "cache") as cache:
        (file,) = (tmp_path / "cache" / "videos").rglob("*.h5")
        stored = cache.videos.read(file.stem, list(local_spaces().values()))
    assert stored.vectors.keys() | stored.absent == {local_spaces()["local/audio"].id}
    with pytest.raises(UsageError, match="no embedding space 'local/smell'"):
        vidclf_cli.embed(video, embeddings=["local", "local/smell"])


def test_wrong_arguments_raise_and_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Name files"):
        vidclf_cli.classify([])
    for wrong in (
        {"top_k": -1},
        {"min_confidence": 5},
        {"frame_count": 0},
        {"jobs": 0},
        {"device": "gpu"},
        {"segment_seconds": 0.01},
        {"limits": 3},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            vidclf_cli.classify(tmp_path, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="There is no file"):
        vidclf_cli.classify(tmp_path / "missing")


def test_importing_the_package_loads_nothing() -> None:
    script = "import sys, vidclf_cli; print('numpy' in sys.modules, vidclf_cli.__version__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "False"
