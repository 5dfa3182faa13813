"""Seams: how much the straightest edges of an image stand out, seen at its own size.

What is pasted, tiled, shifted, framed or put in another order leaves edges that run straight along
a row or a column of pixels and are one pixel wide. A camera's image hardly has such edges: its own
are blurred by lens and sampling, and seldom run along the grid. The same statistics see images that
are too smooth, whose edges are all wider, and the grid of 8 x 8 blocks that compression leaves.

Shape suffixes: H W pixels, R rows between which the steps are looked at, X columns, S statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rayqc.images.look import to_shorter

STATISTICS = 6
PARTS = 16
"""Parts of a row that edges are followed through."""
QUARTER = PARTS // 4
"""Parts of the shorter runs."""
MOST_COLUMNS = 256
"""Most pixels of a row that are looked at, evenly spaced; a multiple of `PARTS`."""
LEAST_STEP = 2
"""Levels by which a step must exceed those beside it to count as one that stands alone."""
FLOOR = 0.5
"""Levels that are added to a run's mean excess before its logarithm."""
SHARE = 3.0
"""Factor that brings shares, between 0 and 1, to the logarithms' size."""


@dataclass(frozen=True, kw_only=True)
class Seams:
    """A look at the straight edges of a whole image; see `Look`."""

    channels: int
    """1 (gray) or 3 (RGB)."""
    shorter: int | None = None
    """Pixels that the image's shorter side is brought to first; None leaves its own size."""
    levels: tuple[int, int] = (0, 255)
    """Lowest and highest pixel value between which differences count; see `told_apart`."""

    @property
    def pixels(self) -> tuple[int]:
        """(S,), numbers in place of pixels."""
        return (STATISTICS,)

    @property
    def dtype(self) -> type[np.generic]:
        """See `Look`."""
        return np.float32

    @property
    def enough(self) -> None:
        """See `Look`: an edge of one pixel is seen in all pixels only."""
        return None

    def cut(self, image: Image.Image) -> np.ndarray:
        """(S,) float32, see `seam_statistics`."""
        gray = np.asarray(to_shorter(image, self.shorter).convert("L"))
        if self.levels != (0, 255):
            gray = np.clip(gray, *self.levels)
        return seam_statistics(gray)


def seam_statistics(gray_HW: np.ndarray) -> np.ndarray:
    """Statistics of the straightest edges of one image.

    Across each row boundary, the *excess* of a pixel's step is the step less the mean of the two
    steps beside it. A run's excess is its mean over the pixels of the run. Level and upright edges
    are measured alike; of each measure the greater comes first, then the lesser, so that an image
    and its transpose are the same.

    Args:
        gray_HW: (H, W) uint8.

    Returns:
        (6,) float32: logarithms of the greatest excess, in levels, along a quarter of a row and
        along a whole one, and the greatest share of a row whose steps stand alone; first the
        greater of both directions, then the lesser.
    """
    both = np.stack([_along_rows(gray_HW), _along_rows(gray_HW.T)])
    return np.concatenate([both.max(0), both.min(0)]).astype(np.float32)


def _along_rows(gray_HW: np.ndarray) -> np.ndarray:
    """(3,) float64, the measures of edges that run along rows."""
    width = gray_HW.shape[1]
    parts = min(PARTS, width)
    columns = min(MOST_COLUMNS, width - width % parts)
    level_HX = gray_HW[:, np.arange(columns) * width // columns].astype(np.int16)
    step = np.abs(np.diff(level_HX, axis=0))
    before, here, after = step[:-2], step[1:-1], step[2:]
    if not len(here):
        return np.array([np.log(FLOOR), np.log(FLOOR), 0.0])
    excess_RP = _in_parts(2 * here - before - after, parts) / 2
    alone_R = (here > np.maximum(before, after) + LEAST_STEP).mean(1)
    length = min(QUARTER, parts)
    sums = np.cumsum(np.pad(excess_RP, ((0, 0), (1, 0))), axis=1)
    quarter = (sums[:, length:] - sums[:, :-length]).max() / length
    excess = np.maximum([quarter, excess_RP.mean(1).max()], 0)
    return np.array([*np.log(excess + FLOOR), SHARE * alone_R.max()])


def _in_parts(values_RX: np.ndarray, parts: int) -> np.ndarray:
    """(R, parts) float64, the mean over each part of a row."""
    return np.asarray(values_RX.reshape(len(values_RX), parts, -1).mean(2))
