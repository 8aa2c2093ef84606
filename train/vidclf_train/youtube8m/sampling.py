"""Which videos are the balanced subset, and what each is for.

Every video has a draw: 64 bits of BLAKE2b over its id, keyed by the seed. The videos of a class with the
lowest draws are its sample, the lowest of these are for training. So it depends neither on the order of the
shards nor on the version of a random number generator, and one more shard moves few videos.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Split


def draw(video_id: str, seed: int) -> int:
    """Return the number below 2^64 that decides whether a video is taken."""
    digest = blake2b(video_id.encode(), digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "little")


def split_sizes(count: int) -> tuple[int, int, int]:
    """Return how many of a class's sampled videos are for training, validation and test: 8:1:1.

    A tenth, halves rounded up, and at least one, goes to validation and to test each; of one or two videos
    nothing can be spared, and all are for training.
    """
    if count < 3:
        return count, 0, 0
    tenth = max(1, (count + 5) // 10)
    return count - 2 * tenth, tenth, tenth


def assign_splits(classes: NDArray[np.uint8], draws: NDArray[np.uint64], per_class: int) -> NDArray[np.uint8]:
    """Return a `Split` per video, shape (videos,); those beyond a class's sample are `REST`.

    Args:
        classes: The class's number of each video, shape (videos,).
        draws: `draw` of each video, shape (videos,).
        per_class: At most so many of a class are sampled; 0 takes all.
    """
    splits = np.full(len(classes), Split.REST, np.uint8)
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        rows = rows[np.argsort(draws[rows], kind="stable")]
        sample = rows[: per_class or len(rows)]
        train, validation, test = split_sizes(len(sample))
        kinds = [Split.TRAIN] * train + [Split.VALIDATION] * validation + [Split.TEST] * test
        splits[sample] = np.array(kinds, np.uint8)
    return splits
