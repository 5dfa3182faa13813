"""What is taken of a decoded image: a square of all of it, tiles of it, or measures of it.

Shape suffixes: H W C pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from PIL import Image


class Look(Protocol):
    """What is taken of a decoded image: a square of all of it, tiles of it, or measures of it."""

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""
        ...

    @property
    def pixels(self) -> tuple[int, ...]:
        """Shape of the array that `cut` returns."""
        ...

    @property
    def dtype(self) -> type[np.generic]:
        """Of the array that `cut` returns: uint8 where it holds pixels."""
        ...

    @property
    def enough(self) -> int | None:
        """Pixels of a shorter side that are enough: more of them hardly change what is taken.

        None where all of them count.
        """
        ...

    def cut(self, image: Image.Image) -> np.ndarray:
        """What is taken of an image in the mode that `channels` asks for."""
        ...


ENOUGH = 2
"""Times the pixels that are taken. Views of photographs of 12 megapixels that are decoded to it
differ from those of all pixels by less than a third of a level in the mean, and by 4 of 255 at most
(`benchmarks.large_jpegs`)."""
MUCH_LARGER = 8
"""Times the pixels that are taken from which on an image is reduced by whole pixels first."""
REDUCING_GAP = 3.0
"""Times the pixels that are taken which that leaves at least; see Pillow's `resize`."""


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """Shape of a model's input: `size` x `size` pixels of 1 (gray) or 3 (RGB) channels."""

    size: int
    channels: int
    kept_share: float | None = None
    """Of the shorter side, the share that is kept: a square from the image's middle. None keeps the
    whole image and scales each side by itself."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """With antialiasing in either case."""

    @property
    def pixels(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.size, self.size, self.channels)

    @property
    def dtype(self) -> type[np.generic]:
        """See `Look`."""
        return np.uint8

    @property
    def enough(self) -> int:
        """See `Look`."""
        return int(np.ceil(ENOUGH * self.size / (self.kept_share or 1.0)))

    def cut(self, image: Image.Image) -> np.ndarray:
        """(H, W, C) uint8 of an image in the shape's mode."""
        box = None
        if self.kept_share is not None:
            side = self.kept_share * min(image.size)
            left, top = ((length - side) / 2 for length in image.size)
            box = (left, top, left + side, top + side)
        if box is not None or image.size != (self.size, self.size):
            resampling = Image.Resampling[self.interpolation.upper()]
            gap = REDUCING_GAP if min(image.size) >= MUCH_LARGER * self.size else None
            image = image.resize((self.size, self.size), resampling, box=box, reducing_gap=gap)
        return np.asarray(image, dtype=np.uint8).reshape(self.pixels)


def to_shorter(image: Image.Image, shorter: int | None) -> Image.Image:
    """An image whose shorter side has so many pixels; None leaves it as it is."""
    if shorter is None or shorter == min(image.size):
        return image
    factor = shorter / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BILINEAR)
