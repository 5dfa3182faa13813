"""Spurious cues: does a plain statistic of the images tell their classes apart?

Where the cats of a pool are brighter than its dogs, and those of the references are not, a
classifier learns brightness. Measured is omega squared (Hays 1963), the share of a statistic's
spread that classes account for, less what chance gives.

Shape suffixes: N images, R references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

DRAWS = 200
"""Of references with replacement, for the interval of what they have."""
UPPER = 0.975
LEAST_MORE = 0.05
"""A cue is worth a warning where it tells so much more than the references' interval allows."""


@dataclass(frozen=True, kw_only=True)
class Cue:
    """What a plain statistic tells of the class."""

    references: float
    """Omega squared, of the references."""
    upper: float
    """The upper end of its 95% interval, by drawing references again and again."""
    images: float
    """Of the images."""

    @property
    def spurious(self) -> bool:
        """Does it tell more in the images than in the references?"""
        return self.images > self.upper + LEAST_MORE


def statistics_of(colour_N3: np.ndarray, size_N2: np.ndarray | None) -> dict[str, np.ndarray]:
    """Plain statistics by name, (N,) float each.

    Args:
        colour_N3: mean colours, levels.
        size_N2: width and height, pixels; None where they are not known.
    """
    red, green, blue = colour_N3.astype(np.float64).T
    found = {"brightness": colour_N3.mean(1)}
    if (colour_N3 != colour_N3[:, :1]).any():
        found |= {"red": red - (green + blue) / 2, "blue": blue - (red + green) / 2}
    if size_N2 is not None:
        width, height = np.log(size_N2.astype(np.float64)).T
        found |= {"size": width + height, "proportions": width - height}
    return found


def find_cues(
    of_references: Mapping[str, np.ndarray],
    label_R: np.ndarray,
    of_images: Mapping[str, np.ndarray],
    label_N: np.ndarray,
    seed: int,
) -> dict[str, Cue]:
    """What each plain statistic tells of the class, in the references and in images.

    One that all images have alike, references and others, is left out.

    Args:
        of_references, of_images: their statistics, see `statistics_of`.
        label_R, label_N: their classes.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    rows_by_class = [np.flatnonzero(label_R == k) for k in np.unique(label_R)]
    draws = [
        np.concatenate([rng.choice(rows, rows.size) for rows in rows_by_class])
        for _ in range(DRAWS)
    ]
    return {
        name: Cue(
            references=omega_squared(of_references[name], label_R),
            upper=float(
                np.quantile(
                    [omega_squared(of_references[name][rows], label_R[rows]) for rows in draws],
                    UPPER,
                )
            ),
            images=omega_squared(of_images[name], label_N),
        )
        for name in of_references
        if name in of_images and (_differs(of_references[name]) or _differs(of_images[name]))
    }


def _differs(value_N: np.ndarray) -> bool:
    """Are there values, and not all the same?"""
    return value_N.size > 0 and bool(np.ptp(value_N))


def omega_squared(value_N: np.ndarray, label_N: np.ndarray) -> float:
    """The share of a value's spread that classes account for; 0 where they account for none."""
    _, label_N = np.unique(label_N, return_inverse=True)
    count_K = np.bincount(label_N)
    classes, count = count_K.size, value_N.size
    # What is the same of all has no spread but of rounding.
    if classes < 2 or count <= classes or not _differs(value_N):
        return 0.0
    mean_K = np.bincount(label_N, value_N) / count_K
    within = np.square(value_N - mean_K[label_N]).sum()
    between = (count_K * np.square(mean_K - value_N.mean())).sum()
    error = within / (count - classes)
    spread = between + within + error
    return float(max((between - (classes - 1) * error) / spread, 0)) if spread > 0 else 0.0
