"""The text adaptation of zero-shot: a gentle linear map that draws entities to their verticals' names."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import torch
from numpy.typing import NDArray

from vidclf_cli.embedders.base import TextEmbedder
from vidclf_cli.zero_shot import ADAPTATION_FILE, embed_labels
from vidclf_train.topics_text import EntityTexts

_REGULARISATION = 300.0
"""Weight of the map's mean squared distance from identity: 300 of {10, 30, 100, 300, 1000}. Lower ones forget
other words: on 20 categories that are no verticals 10 lost 0.03 of accuracy, 300 nothing."""

_TEMPERATURE = 0.05
_STEP_COUNT = 150
_LEARNING_RATE = 2e-3


def fit_adaptation(texts: EntityTexts, embedder: TextEmbedder) -> NDArray[np.float32]:
    """Fit the map on names and long texts of the entities; verticals weigh by the root of their counts.

    Returns:
        Shape (384, 384), to be multiplied from the right.
    """
    labels = torch.tensor(embed_labels([(vertical,) for vertical in texts.verticals], embedder))
    inputs = [torch.tensor(texts.names), torch.tensor(texts.long_texts)]
    targets = torch.tensor(texts.targets)
    counts = torch.bincount(targets, minlength=len(labels)).float()
    weights = counts[targets] ** -0.5
    weights /= weights.sum()
    size = labels.shape[1]
    change = torch.zeros(size, size, requires_grad=True)
    identity = torch.eye(size)
    optimiser = torch.optim.Adam([change], lr=_LEARNING_RATE)
    for _ in range(_STEP_COUNT):
        adapted = torch.nn.functional.normalize(labels @ (identity + change), dim=1)
        loss = _REGULARISATION * (change * change).sum() / size
        for vectors in inputs:
            rows = torch.nn.functional.normalize(vectors @ (identity + change), dim=1)
            losses = torch.nn.functional.cross_entropy(
                rows @ adapted.T / _TEMPERATURE, targets, reduction="none"
            )
            loss = loss + 0.5 * (losses * weights).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped.
        optimiser.step()
    result: NDArray[np.float32] = (identity + change).detach().numpy()
    return result


def write_adaptation(texts: EntityTexts, embedder: TextEmbedder, folder: Path) -> Path:
    """Fit and write the map in half precision; the same bytes for the same numbers."""
    array = BytesIO()
    np.save(array, fit_adaptation(texts, embedder).astype(np.float16))
    path = folder / ADAPTATION_FILE
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr(ZipInfo("map.npy"), array.getvalue())
    return path
