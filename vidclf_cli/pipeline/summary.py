"""What a run did, as one JSON document for whoever started it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from vidclf_cli import __version__
from vidclf_cli.diagnosis import installed_versions
from vidclf_cli.pipeline.run import Classification
from vidclf_cli.records import Status

FORMAT_VERSION = 1


def summarise(
    job: Classification,
    paths: Sequence[Path],
    output: str,
    format_name: str,
    not_written: Sequence[tuple[Path, str]],
    exit_code: int,
) -> dict[str, Any]:
    """Return the document that docs/formats.md describes.

    Args:
        job: A run that has ended.
        paths: What it was started for.
        output: Where the rows went.
        format_name: How.
        not_written: Files and folders beside videos that could not be written, and why.
        exit_code: What the command returns.
    """
    statistics = job.statistics
    seconds = statistics.elapsed_seconds
    by_status = {status.value: statistics.status_counts[status] for status in Status}
    counts = {
        "videos": statistics.finished_count,
        **by_status,
        "computed": statistics.finished_count - statistics.taken_over_count,
        "cached": statistics.cached_count,
        "decoded": statistics.decoded_count,
        "cached_timelines": statistics.cached_timeline_count,
        "read_timelines": statistics.read_timeline_count,
        "failed_segments": statistics.failed_segment_count,
        "taken_over": statistics.taken_over_count,
        "dropped": statistics.dropped_count,
        "other_files": statistics.other_count,
    }
    return {
        "format": FORMAT_VERSION,
        "vidclf": __version__,
        "versions": installed_versions(),
        "started": (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "videos_per_second": round(statistics.finished_count / max(seconds, 1e-6), 3),
        "paths": [_text(path) for path in paths],
        "exclude": list(job.options.exclude),
        "settings": job.settings,
        "device": {"name": job.device.name, "reason": job.device.reason},
        "readers": job.reader_count,
        "cache": _text(job.cache.folder),
        "output": {"path": output, "format": format_name},
        "counts": counts,
        "reasons": {str(code): count for code, count in sorted(statistics.reason_counts.items())},
        "stages": {stage: round(spent, 3) for stage, spent in sorted(statistics.seconds.items())},
        "problems": [{"path": _text(each.path), "reason": each.text} for each in job.library.problems],
        "not_written": [{"path": _text(path), "reason": reason} for path, reason in not_written],
        "exit_code": exit_code,
    }


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
