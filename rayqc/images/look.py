"""What is taken of a decoded image: a square of all of it, or tiles of it.

Shape suffixes: H W C pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from PIL import Image


class Look(Protocol):
    """What is taken of a decoded image: a square of all of it, or tiles of it."""

    @property
    def channels(self) -> int:
        """1 (gray) or 3 (RGB)."""
        ...

    @property
    def pixels(self) -> tuple[int, ...]:
        """Shape of the array that `cut` returns."""
        ...

    def cut(self, image: Image.Image) -> np.ndarray:
        """uint8 pixels of an image in the mode that `channels` asks for."""
        ...


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

    def cut(self, image: Image.Image) -> np.ndarray:
        """(H, W, C) uint8 of an image in the shape's mode."""
        box = None
        if self.kept_share is not None:
            side = self.kept_share * min(image.size)
            left, top = ((length - side) / 2 for length in image.size)
            box = (left, top, left + side, top + side)
        if box is not None or image.size != (self.size, self.size):
            resampling = Image.Resampling[self.interpolation.upper()]
            image = image.resize((self.size, self.size), resampling, box=box)
        return np.asarray(image, dtype=np.uint8).reshape(self.pixels)
