"""Detail: how an image is made, seen at its own size in small tiles cut from all over it.

A whole image that is brought to a small square loses noise, sharpness and the marks of compression;
tiles at full size keep them, and nine of them cost the same whatever the image's size.

Shape suffixes: N images, T tiles, H W C pixels, S statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rayqc.images.statistics import image_statistics
from rayqc.storage.artefact import Facts

SIDE = 64
"""Pixels of a tile's side."""
GRID = 3
"""Tiles in a row, and in a column."""


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """A grid of square tiles that reaches the image's edges; they overlap in a small image."""

    channels: int
    """1 (gray) or 3 (RGB)."""
    shorter: int | None = None
    """Pixels that the image's shorter side is brought to first; None leaves its own size."""

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """(T, H, W, C)."""
        return (GRID * GRID, SIDE, SIDE, self.channels)

    @property
    def enough(self) -> None:
        """See `Look`: the marks of an image's making are in all of its pixels."""
        return None

    def cut(self, image: Image.Image) -> np.ndarray:
        """The tiles, (T, H, W, C) uint8, of an image in the mode that `channels` asks for.

        An image with a side below `SIDE` is continued by its mirror image, which leaves the marks
        of its making as they are.
        """
        if self.shorter is not None and self.shorter != min(image.size):
            factor = self.shorter / min(image.size)
            size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
            image = image.resize(size, Image.Resampling.BILINEAR)
        if min(image.size) < SIDE:
            image = _continued(image)
        width, height = image.size
        tiles = [
            image.crop((left, top, left + SIDE, top + SIDE))
            for top in _places(height)
            for left in _places(width)
        ]
        return np.stack([np.asarray(tile, np.uint8) for tile in tiles]).reshape(self.pixels)


def _places(length: int) -> list[int]:
    """Where tiles begin along a side of `length` pixels."""
    return [round((length - SIDE) * number / (GRID - 1)) for number in range(GRID)]


def _continued(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image, np.uint8)
    lacking = [max(0, SIDE - length) for length in pixels.shape[:2]]
    widths = [(short // 2, short - short // 2) for short in lacking]
    widths += [(0, 0)] * (pixels.ndim - 2)
    return Image.fromarray(np.pad(pixels, widths, mode="symmetric"))


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How the detail of images is looked at: the same for references and candidates."""

    tiles: Tiles
    levels: tuple[int, int]
    """Lowest and highest pixel value between which differences count; see `told_apart`."""

    def statistics(self, tiles_NTHWC: np.ndarray, device: str = "cpu") -> np.ndarray:
        """(N, T, S) float32 statistics of each tile, from (N, T, H, W, C) uint8 tiles."""
        flat = tiles_NTHWC.reshape(-1, *tiles_NTHWC.shape[2:])
        if self.levels != (0, 255):
            flat = np.clip(flat, *self.levels)
        return image_statistics(flat, device).reshape(*tiles_NTHWC.shape[:2], -1)

    def facts(self) -> Facts:
        """As plain JSON."""
        return {
            "channels": self.tiles.channels,
            "shorter": self.tiles.shorter,
            "levels": list(self.levels),
        }

    @staticmethod
    def restore(facts: Facts) -> Detail:
        """What `facts` returned, read back."""
        low, high = facts["levels"]
        tiles = Tiles(channels=facts["channels"], shorter=facts["shorter"])
        return Detail(tiles=tiles, levels=(low, high))
