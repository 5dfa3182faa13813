"""Deep pixels: of more than 8 bits, whole numbers or floats, as cameras, scanners and CT give them.

A file does not say how many of its bits are used: 12 bits lie in 16, and 0 to 255 in floats. So
values are scaled by levels, the values that become black and white, which are chosen once for all
images of a run.

Shape suffixes: H W C pixels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from PIL import Image

Levels = tuple[float, float]
"""The values that become black and white; values outside are clipped."""

FULL_WHOLE: Levels = (0, 65535)
FULL_FLOAT: Levels = (0, 1)
USUAL_WHITES = (255, 1023, 4095, 16383, 65535)
"""The largest values of 8, 10, 12, 14 and 16 bits."""

PHOTOMETRIC, BITS, ORIENTATION, PLANES = 262, 258, 274, 284
"""TIFF tags."""
APART = 2
"""Value of the tag `PLANES` where each channel has a plane of its own."""
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda values_HWC: values_HWC[:, ::-1],
    3: lambda values_HWC: values_HWC[::-1, ::-1],
    4: lambda values_HWC: values_HWC[::-1],
    5: lambda values_HWC: values_HWC.swapaxes(0, 1),
    6: lambda values_HWC: np.rot90(values_HWC, -1),
    7: lambda values_HWC: values_HWC[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
"""Value of the tag `ORIENTATION` to what brings an image upright."""
PNG_DEPTH = 24
"""Offset of a PNG's bits a channel."""
PNG_SIGNATURE_BYTES, PNG_FRAME_BYTES = 8, 12
PNG_PIXELS = (b"IHDR", b"tRNS", b"IDAT", b"IEND")
"""Chunks of a PNG in colour that decide its pixels."""


@dataclass(frozen=True, kw_only=True)
class DeepPixels:
    """One image's values before they are scaled."""

    values_HWC: np.ndarray
    """(H, W, 1) gray or (H, W, 3) colour, whole numbers or floats."""
    alpha_HW: np.ndarray | None = None
    """(H, W) uint8, 255 where opaque; None where all is."""
    inverted: bool = False
    """Is the least value white, as a TIFF may say?"""

    @property
    def is_float(self) -> bool:
        """Floats are full from 0 to 1, whole numbers from 0 to 65535."""
        return bool(self.values_HWC.dtype.kind == "f")

    def to_8_bit(self, levels: Levels | None) -> Image.Image:
        """The image with values scaled by the levels; None takes the full range of the type."""
        low, high = levels or (FULL_FLOAT if self.is_float else FULL_WHOLE)
        share = (self.values_HWC.astype(np.float64) - low) * (255 / (high - low))
        pixels_HWC = np.clip(np.rint(share), 0, 255).astype(np.uint8)
        if self.inverted:
            pixels_HWC = 255 - pixels_HWC
        channels = [*np.moveaxis(pixels_HWC, 2, 0)]
        if self.alpha_HW is not None:
            channels.append(self.alpha_HW)
        bands = [Image.fromarray(channel) for channel in channels]
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[len(bands)]
        return bands[0] if mode == "L" else Image.merge(mode, bands)


class UnreadableDepthError(ValueError):
    """An image has colour of 16 bits, and its values cannot be had."""


def deep_pixels(image: Image.Image, data: bytes) -> DeepPixels | None:
    """The values of an image of more than 8 bits; None of any other.

    Args:
        image: as Pillow decoded it, which turns a TIFF upright, keeps the values of gray and cuts
            those of colour.
        data: the encoded image.

    Raises:
        UnreadableDepthError: its values cannot be had.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values_HW = np.asarray(image)
        transparent = image.info.get("transparency")
        alpha_HW = None if transparent is None else _opaque(values_HW != transparent)
        inverted = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
        return DeepPixels(values_HWC=values_HW[..., None], alpha_HW=alpha_HW, inverted=inverted)
    if not _is_deep_colour(image, data):
        return None
    try:
        values_HWC: np.ndarray = (
            imagecodecs.png_decode(_bare_png(data)) if image.format == "PNG" else _of_tiff(data)
        )
    except Exception as error:  # decoders of odd bytes raise anything
        raise UnreadableDepthError(f"{type(error).__name__}: {error}") from error
    if values_HWC.dtype != np.uint16 or values_HWC.shape[:2] != (image.height, image.width):
        raise UnreadableDepthError(f"found {values_HWC.dtype} of shape {values_HWC.shape}")
    if values_HWC.shape[2] in (1, 3):
        return DeepPixels(values_HWC=values_HWC)
    alpha_HW = np.rint(values_HWC[..., -1] / 257).astype(np.uint8)
    return DeepPixels(values_HWC=values_HWC[..., :-1], alpha_HW=alpha_HW)


def _of_tiff(data: bytes) -> np.ndarray:
    """(H, W, C) values of a TIFF in colour, turned as its orientation says."""
    tags = getattr(Image.open(io.BytesIO(data), formats=["TIFF"]), "tag_v2", {})
    values: np.ndarray = imagecodecs.tiff_decode(data)
    if tags.get(PLANES) == APART:
        values = np.moveaxis(values, 0, 2)
    turn = TURNS.get(tags.get(ORIENTATION, 1))
    return values if turn is None else turn(values)


def _bare_png(data: bytes) -> bytes:
    """A PNG's pixels and transparency; of odd notes beside them libpng speaks on the terminal."""
    kept, offset = [data[:PNG_SIGNATURE_BYTES]], PNG_SIGNATURE_BYTES
    while offset < len(data):
        end = offset + int.from_bytes(data[offset : offset + 4]) + PNG_FRAME_BYTES
        if data[offset + 4 : offset + 8] in PNG_PIXELS:
            kept.append(data[offset:end])
        offset = end
    return b"".join(kept)


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    if image.format == "PNG":
        return data[PNG_DEPTH] == 16
    if image.format != "TIFF" or image.mode not in ("RGB", "RGBA"):
        return False
    bits: tuple[int, ...] = getattr(image, "tag_v2", {}).get(BITS, ())
    return set(bits) == {16}


def _opaque(opaque_HW: np.ndarray) -> np.ndarray:
    return np.where(opaque_HW, 255, 0).astype(np.uint8)


def levels_of(images: Iterable[DeepPixels]) -> Levels | None:
    """The levels that suit these images: the narrowest usual ones that hold all their values.

    Whole numbers from 0 on: 255, 1023, 4095, 16383 or 65535 is white. Floats: 0 to 1, -1 to 1, or
    as whole numbers. Values below 0 (below -1 of floats), or above 65535: from the least to the
    largest value.

    Returns:
        None without images, and where floats and whole numbers are mixed, since no one pair suits.
    """
    low, high = np.inf, -np.inf
    are_float: set[bool] = set()
    for image in images:
        values = image.values_HWC[np.isfinite(image.values_HWC)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            are_float.add(image.is_float)
    if len(are_float) != 1:
        return None
    if are_float == {True} and low >= -1 and high <= 1:
        return (0, 1) if low >= 0 else (-1, 1)
    white = next((white for white in USUAL_WHITES if high <= white), None)
    if low < 0 or white is None:
        return (low, high) if low < high else None
    return (0, white)
