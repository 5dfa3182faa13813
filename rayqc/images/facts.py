"""What an encoded image is: format, mode, size, and range of values."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from rayqc.images.decode import SIGNATURES, Limits, fast_pixels, opened, to_mode


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What an encoded image is."""

    format: str
    """As Pillow names it."""
    mode: str
    """As Pillow names it, such as RGB, L or I;16."""
    width: int
    height: int
    values: tuple[float, float, bool] | None = None
    """Of an image of more than 8 bits: least and largest value, and whether they are floats."""


def facts_of(data: bytes | None, limits: Limits) -> ImageFacts:
    """What an image is; it is decoded as `decode` does, to colour.

    Raises:
        ImageError: as `decode`.
    """
    pixels = fast_pixels(data, limits)
    if data and pixels is not None:
        return ImageFacts(
            format="PNG" if data.startswith(SIGNATURES["PNG"]) else "JPEG",
            mode="L" if pixels.shape[2] == 1 else "RGB",
            width=pixels.shape[1],
            height=pixels.shape[0],
        )
    found = opened(data, limits)
    to_mode(found.image, 3)
    values = None
    if found.deep is not None:
        values_HWC = found.deep.values_HWC
        values = (float(values_HWC.min()), float(values_HWC.max()), found.deep.is_float)
    return ImageFacts(
        format=found.format,
        mode=found.mode,
        width=found.image.width,
        height=found.image.height,
        values=values,
    )


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an encoded image says of itself before it is decoded."""

    format: str
    """As Pillow names it."""
    shorter_side: int
    """Pixels."""


def header_of(data: bytes | None) -> Header | None:
    """An encoded image's header; None where it cannot be read, which decoding then explains."""
    try:
        with Image.open(io.BytesIO(data or b"")) as file:
            return Header(format=file.format or "", shorter_side=min(file.size))
    except Exception:
        return None
