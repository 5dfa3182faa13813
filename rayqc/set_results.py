"""What is said of a set of images, as a part of results: plain values, ready for JSON."""

from __future__ import annotations

from typing import TypedDict


class SetFacts(TypedDict):
    """What a set of images of a class is beside its references, in the space it was chosen in."""

    precision: float
    """Share of the images that lie within the references' surroundings."""
    recall: float
    """Share of the references that lie within the images' surroundings."""
    density: float
    """How many references' surroundings an image lies in, on average, over their neighbours."""
    coverage: float
    """Share of the references whose surroundings hold an image."""
    different: float
    """Effective number of different images (Vendi score), of at most 1,000."""


class SelectedClass(TypedDict):
    """What was chosen of a class."""

    accepted: int
    selected: int
    set: SetFacts | None
    """Of the chosen images; None where no latents were kept."""
    random: SetFacts | None
    """Of as many accepted ones at random."""
    all: SetFacts | None
    """Of all that was accepted."""


class DuplicateFacts(TypedDict):
    """How many images of a pool are duplicates: of a group of equal ones, all but the best."""

    exact: int
    """Judged images with the pixels of another of their class, in the run's size."""
    near: int
    """Judged images that look like another of their class, with the exact ones."""
    accepted_exact: int
    accepted_near: int
    under_several_classes: int
    """Groups of equal images that lie under more than one class."""


class CueFacts(TypedDict):
    """How much a plain statistic tells of the class: omega squared, 0 to 1."""

    references: float
    upper: float
    """End of the references' 95% interval."""
    accepted: float
    spurious: bool
    """It tells more in the accepted images than the references' interval allows."""


class KeptSetFacts(TypedDict):
    """What the accepted images are as a set."""

    sets: dict[str, SetFacts]
    """Of `pool`, `random` (as many of it) and `accepted`: means over classes, in sets of at most
    300 images a class; empty where no latents were kept."""
    cues: dict[str, CueFacts]
    """By statistic: brightness, red, blue, size, proportions."""
