"""Decode plain PNG and JPEG by libspng and TurboJPEG, faster than Pillow and to the same pixels.

Other images are left to Pillow: palettes, alpha, 16 bits, interlacing, CMYK, metadata that may
turn the image, and damaged files.
"""

from __future__ import annotations

import functools
import struct
import zlib

import imagecodecs
import numpy as np
import simplejpeg

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
HEADER = struct.Struct(">I4sIIBBBBB")
CHUNK = struct.Struct(">I4s")
CHUNK_FRAME = 12
"""Bytes of a chunk's length, type and checksum."""
HARMLESS = frozenset({b"pHYs", b"gAMA", b"sRGB", b"cHRM", b"tIME", b"bKGD"})
"""Chunks that change no pixel in either decoder."""
MOST_SCALED = 8
"""The smallest scale of a JPEG's decoder is one in so many."""
TURNS = (b"Exif", b"eXIf", b"Orientation")
"""Bytes that stand in a JPEG or PNG whose metadata may give an orientation."""


def plain_pixels(
    data: bytes, formats: tuple[str, ...], max_pixels: int, enough: int | None = None
) -> np.ndarray | None:
    """Pixels of a plain PNG or JPEG; None where the image is left to Pillow.

    Args:
        formats: formats that are admitted, as Pillow names them.
        max_pixels: most pixels (H * W); a larger image is not decoded.
        enough: pixels of the shorter side to which a JPEG may be scaled while it is decoded; None
            for all of them.

    Returns:
        (H, W, 1) gray or (H, W, 3) RGB uint8, or None.
    """
    if data.startswith(PNG) and "PNG" in formats:
        return _png(data, max_pixels)
    if data.startswith(JPEG) and "JPEG" in formats:
        return _jpeg(data, max_pixels, enough or 0)
    return None


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG that nothing turns, from its header; None of others."""
    try:
        if any(sign in data for sign in TURNS):
            return None
        if data.startswith(PNG):
            _, _, width, height, *_ = HEADER.unpack_from(data, len(PNG))
            return width, height
        if data.startswith(JPEG):
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            return width, height
    except (struct.error, ValueError):
        pass
    return None


def factor_of(width: int, height: int, enough: int | None) -> int:
    """How many times smaller a JPEG may be decoded: 1, 2, 4 or 8, which divides both sides.

    A side that is not divided would be continued, and the image stretched.

    Args:
        enough: least pixels of the shorter side that are to be left; None or 0 for all.
    """
    factor = 1
    while (
        enough
        and factor < MOST_SCALED
        and min(width, height) >= 2 * factor * enough
        and not (width % (2 * factor) or height % (2 * factor))
    ):
        factor *= 2
    return factor


def _png(data: bytes, max_pixels: int) -> np.ndarray | None:
    try:
        if not _is_plain_png(data, max_pixels):
            return None
        pixels: np.ndarray = imagecodecs.spng_decode(data)
        return pixels[..., None] if pixels.ndim == 2 else pixels
    except (struct.error, imagecodecs.SpngError):
        return None


def _is_plain_png(data: bytes, max_pixels: int) -> bool:
    """Whether a PNG is 8-bit gray or RGB, not interlaced, and has no chunks that change pixels."""
    offset = len(PNG) + CHUNK_FRAME + 13
    if not _is_plain_header(data[len(PNG) : offset], max_pixels):
        return False
    length, chunk_type = CHUNK.unpack_from(data, offset)
    while chunk_type in HARMLESS:
        end = offset + CHUNK_FRAME + length
        if zlib.crc32(data[offset + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return False
        offset = end
        length, chunk_type = CHUNK.unpack_from(data, offset)
    while chunk_type == b"IDAT":
        offset += CHUNK_FRAME + length
        length, chunk_type = CHUNK.unpack_from(data, offset)
    return bool(chunk_type == b"IEND")


@functools.lru_cache(maxsize=64)
def _is_plain_header(header: bytes, max_pixels: int) -> bool:
    """Whether a PNG header is plain; cached, since a pool's images have few different headers."""
    _, _, width, height, depth, colour, *other_fields = HEADER.unpack_from(header)
    return (
        depth == 8 and colour in (0, 2) and not any(other_fields) and width * height <= max_pixels
    )


def _jpeg(data: bytes, max_pixels: int, enough: int) -> np.ndarray | None:
    if any(sign in data for sign in TURNS):
        return None
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
        if colour not in ("Gray", "YCbCr") or width * height > max_pixels:
            return None
        factor = factor_of(width, height, enough)
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            data,
            "GRAY" if colour == "Gray" else "RGB",
            min_height=height // factor,
            min_width=width // factor,
        )
    except ValueError:
        return None
    return pixels
