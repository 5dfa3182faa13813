"""What an encoded image is: format, mode, size, and range of values."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from rayqc.images.decode import SIGNATURES, Limits, fast_pixels, opened, to_mode
from rayqc.images.plain import plain_size

SIDEWAYS = (5, 6, 7, 8)
"""Values of EXIF's orientation by which width and height change places."""


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
    width: int
    height: int
    """Pixels, as the image is shown: a camera's EXIF orientation is applied."""

    @property
    def shorter_side(self) -> int:
        """Pixels."""
        return min(self.width, self.height)


def most_pixels(contents: Iterable[bytes | None]) -> int:
    """Pixels of the largest of some encoded images; 0 where no header can be read."""
    headers = (header_of(data) for data in contents)
    return max((header.width * header.height for header in headers if header), default=0)


def header_of(data: bytes | None) -> Header | None:
    """An encoded image's header; None where it cannot be read, which decoding then explains."""
    size = plain_size(data or b"")
    if size is not None:
        name = "PNG" if (data or b"").startswith(SIGNATURES["PNG"]) else "JPEG"
        return Header(format=name, width=size[0], height=size[1])
    try:
        with Image.open(io.BytesIO(data or b"")) as file:
            # Pillow turns a TIFF's size itself.
            turned = file.format != "TIFF" and (
                file.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
            )
            width, height = file.size[::-1] if turned else file.size
            return Header(format=file.format or "", width=width, height=height)
    except Exception:
        return None


def own_sizes(data: Sequence[bytes | None]) -> np.ndarray:
    """(N, 2) int64: width and height of encoded images, as they are shown; 0 where unknown."""
    headers = map(header_of, data)
    sizes = [(0, 0) if header is None else (header.width, header.height) for header in headers]
    return np.array(sizes, np.int64).reshape(-1, 2)
