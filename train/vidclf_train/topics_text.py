"""Text to vertical: a linear classifier on the entities' names and descriptions, without a single video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vidclf_cli.concept_kinds import described_concepts
from vidclf_cli.embedders.base import TextEmbedder
from vidclf_train.vocabulary import Entity, video_shares

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """How texts weigh in training.

    Attributes:
        inverse_decay: C of a logistic regression whose data term is the mean over texts.
        is_balanced: Every vertical weighs the same, instead of every text.
        prior_exponent: How much of the logarithm of a vertical's share of videos is added afterwards.
    """

    inverse_decay: float
    is_balanced: bool
    prior_exponent: float


SHIPPED = TextRecipe(inverse_decay=0.1, is_balanced=True, prior_exponent=0.25)
"""Chosen by cross-validation over half of the clips' sources, of C 0.03 to 10 and exponents 0 to 0.5. Without
the prior rare verticals are guessed too often, with all of it only Arts and Games are."""

PLAIN = TextRecipe(inverse_decay=1.0, is_balanced=False, prior_exponent=0.0)
"""Best on entities that were left out (0.75 on names, 0.85 with descriptions), worse on clips by 0.06."""


CONCEPT_TEMPLATES = ("{}", "a video of {}")
"""How concepts are put to the text head. On the choosing half both gave 0.70 by the picture alone, the first
one 0.60."""


@dataclass(frozen=True, slots=True)
class EntityTexts:
    """The training texts, embedded.

    Attributes:
        names: Shape (entities, 384).
        long_texts: Name and description, same shape.
        targets: Index of each entity's vertical.
        verticals: The classes.
        shares: Share of videos per vertical.
    """

    names: Matrix
    long_texts: Matrix
    targets: NDArray[np.int64]
    verticals: tuple[str, ...]
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TextHead:
    """Logits of verticals: `vectors @ weights + bias`.

    Attributes:
        weights: Shape (384, verticals).
        bias: Shape (verticals,), with the prior put back.
    """

    weights: Matrix
    bias: Matrix

    def logits(self, vectors: Matrix) -> Matrix:
        """Return shape (rows, verticals)."""
        result: Matrix = vectors @ self.weights + self.bias
        return result


def embed_entities(entities: list[Entity], verticals: list[str], embedder: TextEmbedder) -> EntityTexts:
    """Embed names and descriptions of the entities of these verticals."""
    chosen = [each for each in entities if each.vertical in verticals]
    return EntityTexts(
        names=embedder.embed([each.name for each in chosen]),
        long_texts=embedder.embed([each.long_text for each in chosen]),
        targets=np.array([verticals.index(each.vertical) for each in chosen]),
        verticals=tuple(verticals),
        shares=np.array(video_shares(entities, verticals)),
    )


def embed_concepts(embedder: TextEmbedder) -> list[Matrix]:
    """Embed the 1,000 concepts once per template; their answers are averaged."""
    return [
        embedder.embed([template.format(each) for each in described_concepts()])
        for template in CONCEPT_TEMPLATES
    ]


def fit_text_head(
    texts: EntityTexts, rows: NDArray[np.bool_] | None = None, recipe: TextRecipe = SHIPPED
) -> TextHead:
    """Fit on names and descriptions alike.

    Args:
        texts: The training texts.
        rows: Which entities to use; None for all.
        recipe: How they weigh.
    """
    if rows is None:
        rows = np.ones(len(texts.targets), bool)
    vectors = np.concatenate([texts.names[rows], texts.long_texts[rows]])
    targets = np.tile(texts.targets[rows], 2)
    weights, bias = _fit(vectors, targets, len(texts.verticals), recipe)
    prior = recipe.prior_exponent * np.log(np.maximum(texts.shares, 1e-6))
    return TextHead(weights, (bias + prior).astype(np.float32))


def _fit(
    vectors: Matrix, targets: NDArray[np.int64], class_count: int, recipe: TextRecipe
) -> tuple[Matrix, Matrix]:
    """Multinomial logistic regression by L-BFGS from zero: convex, so the same on every run."""
    counts = np.maximum(np.bincount(targets, minlength=class_count), 1)
    each = (
        1 / counts[targets] / class_count if recipe.is_balanced else np.full(len(targets), 1 / len(targets))
    )
    sample_weights = torch.tensor(each, dtype=torch.float32)
    inputs, classes = torch.tensor(vectors), torch.tensor(targets)
    weights = torch.zeros(vectors.shape[1], class_count, requires_grad=True)
    bias = torch.zeros(class_count, requires_grad=True)
    decay = 1 / (recipe.inverse_decay * len(targets))
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-6
    )

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        losses = torch.nn.functional.cross_entropy(inputs @ weights + bias, classes, reduction="none")
        loss = (losses * sample_weights).sum() + 0.5 * decay * (weights * weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped.
        return loss

    optimiser.step(step)  # type: ignore[no-untyped-call]  # The same.
    return weights.detach().numpy(), bias.detach().numpy()


def cross_validate(
    texts: EntityTexts, labels: Sequence[str], recipe: TextRecipe = SHIPPED, fold_count: int = 5
) -> dict[str, float]:
    """Accuracy among some labels on entities that were left out, 5 folds of entities, fixed seed.

    Returns:
        `names`: of names alone; `names_with_descriptions`: of the long texts.
    """
    folds = np.random.default_rng(0).permutation(len(texts.targets)) % fold_count
    columns = [texts.verticals.index(label) for label in labels]
    scored = np.isin(texts.targets, columns)
    hits = {"names": 0, "names_with_descriptions": 0}
    for fold in range(fold_count):
        head = fit_text_head(texts, folds != fold, recipe)
        rows = (folds == fold) & scored
        for key, vectors in (("names", texts.names), ("names_with_descriptions", texts.long_texts)):
            guesses = np.array(columns)[head.logits(vectors[rows])[:, columns].argmax(axis=1)]
            hits[key] += int((guesses == texts.targets[rows]).sum())
    return {key: round(count / int(scored.sum()), 4) for key, count in hits.items()}
