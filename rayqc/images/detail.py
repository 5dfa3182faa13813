"""Detail: how an image is made, seen at its own size: in small tiles cut from all over it, and by
the straight edges of the whole (`images.seams`).

A whole image that is brought to a small square loses noise, sharpness and the marks of compression;
tiles at full size keep them, and nine of them cost the same whatever the image's size.

Shape suffixes: N images, T tiles, H W C pixels, S statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from rayqc.images.look import Look, to_shorter
from rayqc.images.seams import Seams
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
    def dtype(self) -> type[np.generic]:
        """See `Look`."""
        return np.uint8

    @property
    def enough(self) -> None:
        """See `Look`: the marks of an image's making are in all of its pixels."""
        return None

    def cut(self, image: Image.Image) -> np.ndarray:
        """The tiles, (T, H, W, C) uint8, of an image in the mode that `channels` asks for.

        An image with a side below `SIDE` is continued by its mirror image, which leaves the marks
        of its making as they are.
        """
        image = to_shorter(image, self.shorter)
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
class OwnSize:
    """What was measured of N images at their own size; None where it was not looked at."""

    detail_NTS: np.ndarray | None = None
    """(N, T, S) float32, statistics of tiles."""
    seams_NS: np.ndarray | None = None
    """(N, S) float32, statistics of straight edges (`images.seams`)."""

    def __getitem__(self, rows: Any) -> OwnSize:
        return self._each(lambda values: values[rows])

    def blank(self) -> OwnSize:
        """As many images, all zero."""
        return self._each(np.zeros_like)

    @staticmethod
    def concatenated(parts: Sequence[OwnSize]) -> OwnSize:
        """The images of all `parts`, which were measured alike, in the order of the parts."""
        if not parts:
            return OwnSize()
        return OwnSize(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in _measured(parts[0])
            }
        )

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> OwnSize:
        return OwnSize(**{name: change(values) for name, values in _measured(self).items()})


def _measured(own_size: OwnSize) -> dict[str, np.ndarray]:
    """What was measured, by name of its field."""
    return {name: values for name, values in vars(own_size).items() if values is not None}


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How images are looked at at their own size: the same for references and candidates."""

    channels: int
    """1 (gray) or 3 (RGB)."""
    shorter: int | None = None
    """Pixels that the image's shorter side is brought to first; None leaves its own size."""
    levels: tuple[int, int] = (0, 255)
    """Lowest and highest pixel value between which differences count; see `told_apart`."""
    tiles: bool = True
    """Are statistics of tiles taken?"""
    seams: bool = True
    """Are straight edges measured?"""

    @property
    def looks(self) -> tuple[Look, ...]:
        """What is taken of a decoded image, for `measured`."""
        tiles = Tiles(channels=self.channels, shorter=self.shorter)
        seams = Seams(channels=self.channels, shorter=self.shorter, levels=self.levels)
        return (*((tiles,) if self.tiles else ()), *((seams,) if self.seams else ()))

    def measured(self, taken: Sequence[np.ndarray], device: str = "cpu") -> OwnSize:
        """Statistics of N images.

        Args:
            taken: what each of `looks` took of them, in their order.
            device: Torch device that computes statistics of tiles.
        """
        return OwnSize(
            detail_NTS=self._statistics(taken[0], device) if self.tiles else None,
            seams_NS=taken[-1] if self.seams else None,
        )

    def _statistics(self, tiles_NTHWC: np.ndarray, device: str) -> np.ndarray:
        """(N, T, S) float32 statistics of each tile."""
        flat = tiles_NTHWC.reshape(-1, *tiles_NTHWC.shape[2:])
        if self.levels != (0, 255):
            flat = np.clip(flat, *self.levels)
        return image_statistics(flat, device).reshape(*tiles_NTHWC.shape[:2], -1)

    def facts(self) -> Facts:
        """As plain JSON."""
        return {**asdict(self), "levels": list(self.levels)}

    @staticmethod
    def restore(facts: Facts) -> Detail:
        """What `facts` returned, read back; regions of before format version 9 have no seams."""
        low, high = facts["levels"]
        return Detail(
            channels=facts["channels"],
            shorter=facts["shorter"],
            levels=(low, high),
            tiles=facts.get("tiles", True),
            seams=facts.get("seams", False),
        )
