"""Embedders of other packages: found by entry point, imported only when asked for, named where they fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vidclf_cli.diagnosis import Finding, diagnose
from vidclf_cli.embedders.base import EmbedderOptions
from vidclf_cli.embedders.foreign import ForeignEmbedder
from vidclf_cli.embedders.registry import (
    can_make,
    find_space,
    find_spaces,
    foreign_embedders,
    inspect_embedders,
)
from vidclf_cli.errors import Code, EmbedderError, EncoderError, MediaError, UsageError, VidclfError
from vidclf_cli.local_spaces import local_spaces
from vidclf_cli.media.types import MediaInfo, Sample

GOOD = """
from vidclf_cli.embedders.base import Embedding, SampleRequest, Space

class Means:
    spaces = (
        Space("my/means@1/visual", "my/means", "visual", 3),
        Space("my/means@1/spread", "my/spread", "visual", 3),
    )
    def __init__(self, options):
        self.options = options
        self.request = SampleRequest(frame_count=options.frame_count)

    def embed(self, samples):
        {body}

create = Means
"""
BODY = (
    'return [{"my/means@1/visual": Embedding(sample.frames[0].mean(axis=(0, 1)), 1)} '
    "if sample.frames else {} for sample in samples]"
)
SAMPLE = Sample(MediaInfo("mp4", 1.0, "h264", 2, 1, 0, 1.0, None, ""), (np.ones((256, 256, 3), np.uint8),))

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with an entry point on the path."""
    names: list[str] = []

    def put(source: str, provider: str = "my", package: str = "my-embedder", place: str = "site") -> Path:
        folder = tmp_path / place
        module = f"{package.replace('-', '_')}_{tmp_path.name}"
        information = folder / f"{package.replace('-', '_')}-1.2.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (information / "entry_points.txt").write_text(f"[vidclf.embedders]\n{provider} = {module}:create\n")
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        names.append(module)
        return folder

    yield put
    for name in names:
        sys.modules.pop(name, None)


def good(body: str = BODY) -> str:
    return GOOD.replace("{body}", body)


def is_imported(tmp_path: Path) -> bool:
    return any(name.endswith(tmp_path.name) for name in sys.modules)


def test_a_space_is_found_by_its_id_its_alias_and_its_provider(install: Install) -> None:
    install(good())
    ids = [space.id for space in find_spaces(["my/means", "local/visual", "my/means@1/visual"])]
    assert ids == ["my/means@1/visual", local_spaces()["local/visual"].id]
    assert [space.alias for space in find_spaces(["my"])] == ["my/means", "my/spread"]
    assert find_space("my/means@1/visual") is not None
    assert find_space("my/means@2/visual") is None
    assert find_space("my/means") is None  # a classifier names spaces by their ids


def test_nothing_is_imported_before_one_of_its_spaces_is_asked_for(install: Install, tmp_path: Path) -> None:
    install(good())
    find_spaces(["local"])
    assert "Installed packages add those of my" in can_make()
    assert foreign_embedders([space.id for space in local_spaces().values()], EmbedderOptions()) == []
    with pytest.raises(UsageError, match="no embedding space 'other/x'"):
        find_spaces(["other/x"])
    assert not is_imported(tmp_path)
    find_spaces(["my/means"])
    assert is_imported(tmp_path)


def test_an_embedder_gets_the_options_and_serves_all_of_its_spaces_once(install: Install) -> None:
    install(good())
    options = EmbedderOptions(frame_count=3, device="cpu", thread_count=2)
    (found,) = foreign_embedders(["my/means@1/visual", "my/means@1/spread"], options)
    assert found._embedder.options == options  # type: ignore[attr-defined]
    assert found.package == "the package my-embedder 1.2"
    assert found.request.frame_count == 3
    assert [space.sampling for space in found.spaces] == ["frames-3"] * 2
    (embeddings,) = found.embed([SAMPLE])
    assert list(embeddings) == ["my/means@1/visual"]
    vector = embeddings["my/means@1/visual"].vector
    assert (vector.dtype, vector.tolist()) == (np.float32, [1, 1, 1])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import no_such_module_at_all", "cannot be imported (ModuleNotFoundError"),
        ("raise RuntimeError('boom')", "cannot be imported (RuntimeError: boom)"),
        ("import sys\nsys.exit(3)", "cannot be imported (SystemExit: 3)"),
        ("syntax error", "cannot be imported (SyntaxError"),
        ("pass", "cannot be imported (AttributeError"),
        ("def create(options):\n    1 / 0", "cannot be made (ZeroDivisionError"),
        ("create = None", "cannot be made (TypeError"),
        ("def create(options):\n    return object()", "has no `spaces`"),
        (
            good().replace('"my/means@1/visual", "my', '"other/means@1/visual", "my'),
            "its id is 'other/means@1/visual'",
        ),
        (
            good().replace('Space("my/means@1/visual"', 'Space("my/means/visual"'),
            "my/model@revision/part",
        ),
        (good().replace('"my/means", "visual"', '"local/visual", "visual"'), "must begin with `my/`"),
        (good().replace('"visual", 3)', '"smell", 3)'), "its modality is 'smell'"),
        (good().replace('"visual", 3)', '"visual", 0)'), "its dimension is 0"),
        (good().replace("my/means@1/spread", "my/means@1/visual"), "two spaces of one name"),
        (good().replace("spaces = (", "spaces = () or []; others = ("), "has no spaces"),
        (good().replace("options.frame_count", "options.frame_count + 1"), "asks for SampleRequest"),
        (good().replace("options.frame_count", "0"), "asks for SampleRequest"),
        (good().replace("options.frame_count", "8, audio_seconds=3"), "asks for SampleRequest"),
        (good().replace("SampleRequest(frame_count=options.frame_count)", "None"), "asks for None"),
    ],
)
def test_a_package_that_does_not_work_is_named_with_what_to_do(
    install: Install, source: str, says: str
) -> None:
    install(source)
    with pytest.raises(EmbedderError) as caught:
        find_spaces(["my/means"])
    assert says in str(caught.value)
    assert "my-embedder 1.2" in caught.value.message
    assert caught.value.advice
    assert "\n" not in str(caught.value)


def test_an_embedder_may_say_itself_what_is_wrong_for_every_video(install: Install) -> None:
    install(
        "from vidclf_cli.embedders.base import UsageError\n"
        "def create(options):\n    raise UsageError('a', 'b')"
    )
    with pytest.raises(UsageError, match="a b"):
        find_spaces(["my/means"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("return None", "it gave NoneType for 1 videos"),
        ("return []", "it gave 0 for 1 videos"),
        ("return [3]", "it gave int for a video"),
        (
            'return [{"my/other@1/visual": Embedding(0, 1)}]',
            "'my/other@1/visual', which is none of its spaces",
        ),
        ('return [{"my/means@1/visual": [1, 2, 3]}]', "it gave list of my/means@1/visual"),
        ('return [{"my/means@1/visual": Embedding([1, 2], 1)}]', "has the shape (2,), not (3,)"),
        ('return [{"my/means@1/visual": Embedding([[1, 2, 3]], 1)}]', "has the shape (1, 3), not (3,)"),
        ('return [{"my/means@1/visual": Embedding([1, 2, float("nan")], 1)}]', "not finite"),
        ('return [{"my/means@1/visual": Embedding(["a", "b", "c"], 1)}]', "is no vector"),
        ('return [{"my/means@1/visual": Embedding([1, 2, 3], None)}]', "is no vector"),
    ],
)
def test_what_an_embedder_gives_is_held_against_what_it_says(install: Install, body: str, says: str) -> None:
    install(good(body))
    (found,) = foreign_embedders(["my/means@1/visual"], EmbedderOptions())
    with pytest.raises(MediaError) as caught:
        found.embed([SAMPLE])
    assert caught.value.reason.code is Code.EMBEDDER
    assert says in caught.value.reason.text
    assert "the package my-embedder 1.2" in caught.value.reason.text


def test_what_an_embedder_raises_for_every_video_ends_the_run(install: Install) -> None:
    install(good("raise EncoderError('clip.onnx is gone.', 'Bring it back.')").replace(
        "import Embedding", "import EncoderError, Embedding"))  # fmt: skip
    (found,) = foreign_embedders(["my/means@1/visual"], EmbedderOptions())
    with pytest.raises(EncoderError, match="Bring it back"):
        found.embed([SAMPLE])


def test_what_a_package_prints_does_not_get_among_the_rows(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("print('hello')\n" + good("print('world'); " + BODY).replace("def __init__", "def __init__"))
    (found,) = foreign_embedders(["my/means@1/visual"], EmbedderOptions())
    found.embed([SAMPLE])
    assert capsys.readouterr() == ("", "hello\nworld\n")


def test_names_of_vidclfs_own_and_names_that_two_packages_claim_are_not_used(install: Install) -> None:
    install(good(), provider="local", package="greedy")
    assert len(find_spaces(["local"])) == 4
    with pytest.raises(UsageError, match="no embedding space 'local/means'"):
        find_spaces(["local/means"])
    install(good(), package="first", place="one")
    install(good(), package="second", place="two")
    with pytest.raises(EmbedderError, match=r"first 1.2 and .*second 1.2|second 1.2 and .*first 1.2"):
        find_spaces(["my/means"])
    problems = dict(inspect_embedders())
    assert all(isinstance(found, VidclfError) for found in problems.values())
    assert "a name of vidclf's own" in str(problems["local"])


def test_a_package_that_is_found_twice_counts_once(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install(good())
    monkeypatch.setattr(sys, "path", [str(folder), f"{folder}/../site", *sys.path])
    assert find_space("my/means@1/visual") is not None


def test_the_package_of_the_documentation_works(install: Install) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "embedders.md").read_text(encoding="utf-8")
    install(text.partition("```python\n")[2].partition("```")[0])
    (found,) = foreign_embedders([space.id for space in find_spaces(["my/colours"])], EmbedderOptions())
    ((space, embedding),) = found.embed([SAMPLE])[0].items()
    assert (space, embedding.vector.tolist()) == ("my/colours@1/visual", [1, 1, 1])


def test_doctor_lists_what_works_and_what_does_not(install: Install, tmp_path: Path) -> None:
    install(good())
    install("raise RuntimeError('boom')", provider="broken", package="broken-embedder", place="broken")
    found = {
        each.subject: each for each in diagnose(tmp_path / "cache") if each.subject.startswith("embedder")
    }
    assert found["embedder my"] == Finding(
        "embedder my",
        "ok",
        "the package my-embedder 1.2: my/means@1/visual (my/means, 3 numbers), "
        "my/means@1/spread (my/spread, 3 numbers)",
    )
    assert found["embedder broken"].state == "bad"
    assert "broken-embedder 1.2" in found["embedder broken"].text
    assert isinstance(dict(inspect_embedders())["my"], ForeignEmbedder)
