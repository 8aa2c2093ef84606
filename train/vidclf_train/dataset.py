"""Which rows of a dataset can be trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidclf_cli.dataset import Dataset

_BLOCK_ROWS = 4096


def usable_rows(dataset: Dataset) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Leave out the rows that have nothing in any space.

    Args:
        dataset: In memory or in a file; a file is read through once, block by block.

    Returns:
        Ascending row numbers, and what a person should know about those that were left out.
    """
    count = len(dataset)
    present = np.zeros(count, bool)
    for begin in range(0, count, _BLOCK_ROWS):
        rows = slice(begin, begin + _BLOCK_ROWS)
        for table in dataset.vectors.values():
            present[rows] |= (np.asarray(table[rows]) != 0).any(axis=1)
    missing = np.flatnonzero(~present)
    if not missing.size:
        return np.flatnonzero(present), ()
    first = ", ".join(dataset.ids[number] for number in missing[:3])
    more = ", ..." if missing.size > 3 else ""
    note = f"{missing.size} of {count} rows have no vector in any space and are left out: {first}{more}"
    return np.flatnonzero(present), (note,)
