"""What kind of thing a concept is, where its name alone misleads a text encoder.

ImageNet's classes are sorted: animals first, in the order of the animal kingdom, then things by the alphabet,
then dishes, landscapes and plants. `tabby` alone is nearer to music than to cats, `carbonara` to a singer.
"""

from __future__ import annotations

from functools import cache

from vidclf_cli.embedders.local import concept_names

_KINDS = (
    (0, 7, "fish"),
    (7, 25, "bird"),
    (25, 69, "amphibian or reptile"),
    (69, 80, "spider"),
    (80, 101, "bird"),
    (101, 107, "animal"),
    (107, 127, "sea animal"),
    (127, 147, "bird"),
    (147, 151, "sea animal"),
    (151, 269, "dog"),
    (269, 281, "wild dog"),
    (281, 286, "cat"),
    (286, 300, "wild animal"),
    (300, 327, "insect"),
    (327, 330, "sea animal"),
    (330, 365, "animal"),
    (365, 385, "monkey"),
    (385, 389, "animal"),
    (389, 398, "fish"),
    (924, 970, "food"),
    (970, 981, "landscape"),
    (981, 984, "person"),
    (984, 999, "plant"),
)
"""First index, index after the last, kind. All things between (398 to 923) speak for themselves."""


@cache
def described_concepts() -> tuple[str, ...]:
    """Return `tabby, cat` for the 1,000 concepts: the name, and the kind where there is one."""
    described = list(concept_names())
    for first, end, kind in _KINDS:
        for index in range(first, end):
            described[index] += f", {kind}"
    return tuple(described)
