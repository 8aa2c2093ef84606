"""Tag a folder of videos: labels with calibrated confidence and evidence, offline.

    from vidclf_cli import classify

    for result in classify(["./videos"]):
        print(result.video.id, result.status, result.prediction)

`classify`, `embed`, `evaluate` and `tune` do what the commands of the same name do. See docs/api.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidclf_cli.api import classify, embed, evaluate, load_classifier, tune

__version__ = "0.1.0"
__all__ = ["__version__", "classify", "embed", "evaluate", "load_classifier", "tune"]


def __getattr__(name: str) -> Any:
    # Loaded at first use: the command's --help must not wait for numpy.
    if name in {"classify", "embed", "evaluate", "load_classifier", "tune"}:
        from vidclf_cli import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
