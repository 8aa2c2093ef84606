"""`python -m tests.bench`: make the clips, measure, print one table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench import clips, command, machine, measure
from tests.bench.table import Row, render

_NEEDED_BYTES = 15 * 10**9


def main() -> int:
    """Run the command; returns its exit code, which does not depend on how fast the machine is."""
    options = _parse()
    cores = machine.restrict_to(options.cores)
    described = machine.describe(cores)
    with ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidclf-clips-")))
        work.mkdir(parents=True, exist_ok=True)
        if command.free_bytes(work) < _NEEDED_BYTES:
            print(
                f"{work} has less than 15 GB left for what is measured: name another folder with --work",
                file=sys.stderr,
            )
            return 2
        bench = measure.Bench(work.resolve(), measure.QUICK if options.quick else measure.Plan(), cores)
        kinds = measure.kinds() if not options.only or measure.needs_clips(options.only) else []
        _make_clips(bench, kinds)
        rows = _measure(bench, options.only)
        commands = {kind.name: kind.printed for kind in kinds}
        report = _report(described, bench, commands, rows)
    print(report)
    if options.json:
        document = {"machine": described, "clips": commands, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure vidclf and its targets."
    )
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="keep the clips here [default: a temporary folder]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument(
        "--cores", type=int, default=2, help="cores that everything measured shares [default: 2]"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer videos: does it run? (no figures to quote)"
    )
    parser.add_argument(
        "--only", choices=sorted(measure.parts()), action="append", help="measure this part only"
    )
    return parser.parse_args()


def _make_clips(bench: measure.Bench, kinds: Sequence[clips.Kind]) -> None:
    for kind in kinds:
        _tell(f"clip {kind.name}")
        clips.make_clip(kind, bench.work)


def _measure(bench: measure.Bench, only: list[str] | None) -> list[Row]:
    rows = []
    for name, part in measure.parts().items():
        if only and name not in only:
            continue
        try:
            for row in part(bench):
                _tell(row.name.strip())
                rows.append(row)
        except (command.RunFailedError, RuntimeError) as error:
            # The other parts are still worth their table.
            rows.append(Row(f"{name}: stopped", None, "", None, " ".join(str(error).split())))
    return rows


def _tell(what: str) -> None:
    print(f"  ... {what}", file=sys.stderr, flush=True)


def _report(
    described: dict[str, str], bench: measure.Bench, commands: dict[str, str], rows: list[Row]
) -> str:
    lines = [f"{name:16} {value}" for name, value in described.items()]
    if bench.plan == measure.QUICK:
        lines.append("QUICK RUN: too few videos for figures to quote")
    if commands:
        lines += ["", "Clips (each copy ends in a `free` box of its own, so that no two have one"]
        lines += ["fingerprint; freshly written, so read from the page cache):", ""]
    for name, text in commands.items():
        size = (bench.work / f"{name}.mp4").stat().st_size
        times = clips.keyframe_times(bench.work / f"{name}.mp4")
        lines.append(f"{name}: {len(times)} keyframes, {size / 1e6:.1f} MB")
        lines.append(f"  {text}")
    return "\n".join([*lines, "", render(rows)])


if __name__ == "__main__":
    raise SystemExit(main())
