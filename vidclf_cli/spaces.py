"""Embedding spaces: where a vector lives, and under which conditions it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["visual", "audio", "metadata"]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Space:
    """A space of vectors that may be compared with each other, and with no others.

    Attributes:
        id: `provider/model@revision/part`, e.g. `local/efficientnet-lite0@1/visual`.
        alias: The short name of the current revision, e.g. `local/visual`.
        modality: What the vectors are made from.
        dimension: Length of a vector.
        sampling: How the input was sampled, e.g. `frames-8`; empty for text. Vectors of one space
            with different samplings are comparable, and cached apart.
    """

    id: str
    alias: str
    modality: Modality
    dimension: int
    sampling: str = ""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One video's vector in one space.

    Attributes:
        vector: Shape (dimension,), float32.
        unit_count: How many units (frames, seconds) the vector is made of.
    """

    vector: Vector
    unit_count: int
