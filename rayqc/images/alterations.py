"""Alterations: what an image is turned into to learn how its class does not look.

Each is something that no image of a sound pool went through: parts moved, another image's parts
put in, colours exchanged, turned, bent. How an image is made (noise, blur, compression) is left to
plain statistics, which need no examples.

Shape suffixes: H W C pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rayqc.images.decode import as_image
from rayqc.images.look import REDUCING_GAP, ImageShape

Alteration = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Takes an image (H, W, C) uint8, another one of the same shape, and random numbers; returns an
altered image (H', W', C) uint8."""

LONGEST = 8
"""Times the shorter side that an image to be altered has as its longer one at most."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A look at all of an image, at its own size or at what is enough for another look."""

    shape: ImageShape
    """The look that altered images are made for."""

    @property
    def channels(self) -> int:
        """See `Look`."""
        return self.shape.channels

    @property
    def pixels(self) -> tuple[int, ...]:
        """See `Look`; each image's are its own."""
        return ()

    @property
    def dtype(self) -> type[np.generic]:
        """See `Look`."""
        return np.uint8

    @property
    def enough(self) -> int:
        """See `Look`."""
        return self.shape.enough

    def cut(self, image: Image.Image) -> np.ndarray:
        """(H, W, C) uint8 of an image in the mode that `channels` asks for."""
        shorter = min(self.enough, *image.size)
        factor = shorter / min(image.size)
        # Of an image that is very wide or high, all is seen, closer together.
        sides = [min(max(1, round(factor * side)), LONGEST * shorter) for side in image.size]
        if sides != list(image.size):
            # Bilinear, as networks look at images, would smooth what they smooth once more.
            image = image.resize(sides, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        return np.asarray(image, np.uint8).reshape(image.height, image.width, self.channels)


def altered(
    image_HWC: np.ndarray,
    other_HWC: np.ndarray,
    alteration: Alteration,
    shape: ImageShape,
    rng: np.random.Generator,
) -> np.ndarray:
    """An altered copy of an image, as a network looks at it.

    Args:
        image_HWC: (H, W, C) uint8.
        other_HWC: another image of any size, of which parts may be put in.
        alteration: one of `alterations` of the image.
        shape: what the network looks at.
        rng: equal ones give equal copies.

    Returns:
        (H, W, C) uint8 of `shape`.
    """
    other = as_image(other_HWC).resize(image_HWC.shape[1::-1], Image.Resampling.BILINEAR)
    other_HWC = np.asarray(other, np.uint8).reshape(image_HWC.shape)
    return shape.cut(as_image(alteration(image_HWC, other_HWC, rng)))


def alterations(image_HWC: np.ndarray) -> Sequence[Alteration]:
    """The alterations of an image; a gray one has no colours to exchange."""
    if _has_colour(image_HWC):
        return ALTERATIONS
    return tuple(alteration for alteration in ALTERATIONS if alteration is not recoloured)


def turned(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by one, two or three right angles."""
    return np.rot90(image_HWC, int(rng.integers(1, 4)))


def upside_down(
    image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Mirrored from top to bottom."""
    return image_HWC[::-1]


def negative(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every level from the other end of the range."""
    return 255 - image_HWC


def recoloured(
    image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Two or all three colour channels exchanged."""
    orders = ([1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 0, 2])
    return image_HWC[..., orders[rng.integers(len(orders))]]


def disordered(
    image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Four to sixteen tiles in another order."""
    side = int(rng.integers(2, 5))
    height, width = (length // side for length in image_HWC.shape[:2])
    order = rng.permutation(side**2)
    while (order != np.arange(side**2)).mean() <= 0.5:
        order = rng.permutation(side**2)
    result_HWC = image_HWC.copy()
    for place, taken in enumerate(order):
        (row, column), (from_row, from_column) = divmod(place, side), divmod(int(taken), side)
        result_HWC[_tile(row, column, height, width)] = image_HWC[
            _tile(from_row, from_column, height, width)
        ]
    return result_HWC


def shifted(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A band across the image moved along it, and round its end."""
    axis = int(rng.integers(2))
    across = np.moveaxis(image_HWC, axis, 0).copy()
    first, share = rng.uniform(0, 0.7), rng.uniform(0.2, 0.3)
    length, breadth = across.shape[:2]
    band = slice(int(first * length), max(int((first + share) * length), int(first * length) + 1))
    across[band] = np.roll(across[band], max(1, int(breadth * rng.uniform(0.25, 0.75))), axis=1)
    return np.moveaxis(across, 0, axis)


def pasted(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of another image put in at another place."""
    share = rng.uniform(0.3, 0.6)
    result_HWC = image_HWC.copy()
    result_HWC[_part(image_HWC, share, rng)] = other_HWC[_part(image_HWC, share, rng)]
    return result_HWC


def covered(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part covered by one colour."""
    result_HWC = image_HWC.copy()
    part = _part(image_HWC, rng.uniform(0.3, 0.5), rng)
    result_HWC[part] = rng.integers(0, 256, image_HWC.shape[2] if _has_colour(image_HWC) else 1)
    return result_HWC


def blended(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mixed with another image."""
    share = rng.uniform(0.3, 0.7)
    return np.asarray(np.rint((1 - share) * image_HWC + share * other_HWC), np.uint8)


def bent(image_HWC: np.ndarray, other_HWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bent by a wave along either side."""
    from scipy.ndimage import map_coordinates  # noqa: PLC0415  (slow, and only fit needs it)

    height, width, channels = image_HWC.shape
    side = min(height, width)
    reach, wave = side * rng.uniform(0.08, 0.15), 2 * np.pi / (side * rng.uniform(0.4, 0.8))
    phases = rng.uniform(0, 2 * np.pi, 2)
    row, column = np.mgrid[:height, :width].astype(np.float32)
    places = [
        np.clip(row + reach * np.sin(wave * column + phases[0]), 0, height - 1),
        np.clip(column + reach * np.sin(wave * row + phases[1]), 0, width - 1),
    ]
    return np.stack(
        [map_coordinates(image_HWC[..., c], places, order=1) for c in range(channels)], axis=-1
    )


MIXING: tuple[Alteration, ...] = (pasted, blended)
"""Those that put parts of the other image in."""
ALTERATIONS: tuple[Alteration, ...] = (
    turned,
    upside_down,
    negative,
    recoloured,
    disordered,
    shifted,
    pasted,
    covered,
    blended,
    bent,
)


def _has_colour(image_HWC: np.ndarray) -> bool:
    return bool((image_HWC != image_HWC[..., :1]).any())


def _tile(row: int, column: int, height: int, width: int) -> tuple[slice, slice]:
    return (
        slice(row * height, (row + 1) * height),
        slice(column * width, (column + 1) * width),
    )


def _part(image_HWC: np.ndarray, share: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """A rectangle whose sides are a share of the image's, anywhere in it."""
    sides = [max(1, int(length * share)) for length in image_HWC.shape[:2]]
    firsts = [
        int(rng.integers(0, length - side + 1))
        for length, side in zip(image_HWC.shape[:2], sides, strict=True)
    ]
    rows, columns = (slice(a, a + side) for a, side in zip(firsts, sides, strict=True))
    return rows, columns
