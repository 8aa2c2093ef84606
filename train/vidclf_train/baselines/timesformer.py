"""The paper's second baseline: TimeSformer, pretrained on Kinetics-400, fine-tuned on labelled videos.

OUT/model/            the network of the best epoch, as `save_pretrained` writes it, with its processor
OUT/predictions.csv   one row per video: its split, the prediction where it was not trained on, why it failed
OUT/metrics.json      figures on the test and the validation split, the curve, costs, settings; written last
OUT/frames/, OUT/checkpoint.pt   while it runs: it goes on from there when it was interrupted
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from vidclf_cli.cache.fingerprint import fingerprint
from vidclf_cli.errors import OutputError, UsageError
from vidclf_cli.labelled import LabelledVideos
from vidclf_cli.media.types import Limits
from vidclf_cli.metrics import measure
from vidclf_cli.runtime import usable_core_count
from vidclf_train.baselines.clip_table import SPLITS, ClipTable, split_clips
from vidclf_train.baselines.frame_store import FrameStore, Progress
from vidclf_train.baselines.outcome import METRICS_NAME, FineTuned, VideoCost, median, write_outcome
from vidclf_train.baselines.tuning import Plan, Tuning
from vidclf_train.baselines.weights import Architecture, Source, load_model, read_architecture, save_model
from vidclf_train.device import TrainingDevice, choose_training_device
from vidclf_train.fitted import Curve


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How videos are read.

    Attributes:
        jobs: Worker processes; None is one per core.
        limits: What one video may cost.
        byte_limit: Most that the decoded frames may take on disk.
    """

    jobs: int | None = None
    limits: Limits = field(default_factory=Limits)
    byte_limit: int = 20 * 10**9


@dataclass(frozen=True, slots=True)
class Events:
    """Whom to tell what happens.

    Attributes:
        say: Takes a line for people.
        progress: Takes what is being done, how much of it is done, and how much there is.
    """

    say: Callable[[str], None]
    progress: Progress | None = None


def fine_tune(
    labelled: LabelledVideos,
    source: Source,
    out: Path,
    plan: Plan,
    options: ReadOptions,
    device_name: str,
    events: Events,
) -> FineTuned:
    """Fine-tune, measure, and write everything into a folder.

    Args:
        labelled: The videos, one label each.
        source: The pretrained weights.
        out: Where results go; a run that was interrupted there goes on.
        plan: How to train.
        options: How to read videos.
        device_name: `auto`, `cpu` or `cuda`.
        events: Whom to tell.

    Raises:
        UsageError: Weights, data, device or folder cannot be used; the message says why.
        OutputError: Something cannot be written.
        VidclfError: The loss is no number any more.
    """
    _check(labelled, out)
    architecture = read_architecture(source)
    device = choose_training_device(device_name)
    events.say(f"TimeSformer: weights from {source.description}; on {device.name} ({device.reason})")
    events.say(architecture.description)
    request = architecture.processing.request(architecture.frame_count)
    store = FrameStore(out / "frames", request, options.byte_limit, options.limits)
    paths = [video.path for video in labelled.videos]
    readings = store.read_all(paths, options.jobs or usable_core_count(), events.progress)
    table = split_clips(labelled, readings, plan.seed)
    events.say(table.description)

    made_by = _made_by(table, architecture, plan, device)
    model = load_model(architecture, table.labels, plan.seed)
    tuning = Tuning(model, store, architecture.processing, device, plan, out / "checkpoint.pt", made_by)
    if note := tuning.resume():
        events.say(note)
    tuning.fit(
        table.clips("training"),
        table.clips("validation"),
        lambda curve, seconds: events.say(_epoch_line(curve, plan, seconds)),
    )
    found = {split: tuning.probabilities(table.clips(split)) for split in SPLITS[1:]}
    outcome = FineTuned(
        table=table,
        probabilities=found,
        metrics={split: measure(found[split], *table.truth(split)) for split in found},
        curve=tuning.curve,
        cost=VideoCost(
            decoding=median([reading.seconds for reading in readings if not reading.failure]),
            forward=median(tuning.seconds.forward),
            training=median(tuning.seconds.training),
        ),
        training_seconds=tuning.total_seconds,
        made_by=made_by,
    )
    save_model(model, architecture, out / "model")
    write_outcome(outcome, out, labelled.root)
    (out / "checkpoint.pt").unlink(missing_ok=True)
    store.remove()
    return outcome


def _check(labelled: LabelledVideos, out: Path) -> None:
    """Find out before hours of work what would make them useless."""
    if labelled.task == "multi":
        raise UsageError(
            "Some videos have several labels, and this baseline gives each video one.",
            "Keep one label per video.",
        )
    if (out / METRICS_NAME).exists():
        raise UsageError(f"{out} holds a finished run.", "Give --out a new folder, or delete that one.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{out} cannot be made ({error.strerror or error}).", "Give --out a place that can be written."
        ) from error


def _made_by(
    table: ClipTable, architecture: Architecture, plan: Plan, device: TrainingDevice
) -> dict[str, str]:
    """Say what decides the training: a checkpoint of anything else is of no use."""
    return {
        "data": table.digest,
        "labels": json.dumps(table.labels, ensure_ascii=False),
        "weights": _identity(architecture),
        "plan": json.dumps(asdict(plan)),
        "frames": f"{architecture.frame_count}, {architecture.processing.description}",
        "device": f"{device.name}, {device.dtype}",
        "versions": f"torch {version('torch')}, transformers {version('transformers')}",
    }


def _identity(architecture: Architecture) -> str:
    """Return what tells weights from others: the commit on the hub, or fingerprints of a folder's files."""
    source = architecture.source
    if not source.is_folder:
        return f"{source.name}@{architecture.commit}"
    files = sorted(path for path in Path(source.name).iterdir() if path.is_file())
    return f"{source.name} ({' '.join(fingerprint(path)[:12] for path in files)})"


def _epoch_line(curve: Curve, plan: Plan, seconds: float) -> str:
    number = len(curve.validation_loss)
    best = "; the best so far" if curve.best_epoch == number - 1 else ""
    return (
        f"epoch {number} of {plan.epoch_count}: loss {curve.train_loss[-1]:.4f}, "
        f"validation loss {curve.validation_loss[-1]:.4f}, accuracy {curve.validation_accuracy[-1]:.3f}, "
        f"{seconds:.0f} s{best}"
    )
