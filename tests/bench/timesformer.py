"""The forward pass of TimeSformer-base, with random weights: what a video transformer costs per video.

python -m tests.bench.timesformer THREADS

prints the median seconds of one video (8 frames of 224 x 224), decoding not included.
"""

from __future__ import annotations

import importlib.util
import statistics
import subprocess
import sys
import time

INSTALL = "pip install -c constraints.txt transformers torch"


def installed() -> bool:
    """Return whether the packages that this needs are there."""
    return all(importlib.util.find_spec(package) is not None for package in ("torch", "transformers"))


def seconds_per_video(threads: int) -> float:
    """Measure in a process of its own, so that torch's memory and threads are gone afterwards."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.timesformer", str(threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure(threads: int, times: int = 3) -> float:
    """Return the median seconds of a forward pass with the architecture's default configuration."""
    import torch
    from transformers import TimesformerConfig, TimesformerForVideoClassification

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    config = TimesformerConfig()
    model = TimesformerForVideoClassification(config)
    model.train(mode=False)
    side = int(str(config.image_size))  # its type allows a pair; the default is one number
    video = torch.rand(1, config.num_frames, 3, side, side)
    seconds = []
    with torch.inference_mode():
        model(video)
        for _ in range(times):
            start = time.perf_counter()
            model(video)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    print(measure(int(sys.argv[1])))
