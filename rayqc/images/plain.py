"""Plain PNG and JPEG by libspng and TurboJPEG, faster and to the very pixels that Pillow gives.

Whatever is out of the ordinary is left to Pillow: palettes, alpha, 16 bits, interlacing, CMYK,
notes that may turn the image round, and all that is damaged.
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
"""Chunks that neither decoder lets change a pixel."""
TURNS = (b"Exif", b"Orientation")
"""Signs of a note on orientation in a JPEG."""


def plain_pixels(data: bytes, formats: tuple[str, ...], max_pixels: int) -> np.ndarray | None:
    """(H, W, 1) gray or (H, W, 3) RGB uint8; None for what only Pillow is to judge.

    Args:
        formats: those admitted, as Pillow calls them.
        max_pixels: of a larger image nothing is decoded.
    """
    if data.startswith(PNG) and "PNG" in formats:
        return _png(data, max_pixels)
    if data.startswith(JPEG) and "JPEG" in formats:
        return _jpeg(data, max_pixels)
    return None


def _png(data: bytes, max_pixels: int) -> np.ndarray | None:
    try:
        if not _is_plain_png(data, max_pixels):
            return None
        pixels: np.ndarray = imagecodecs.spng_decode(data)
        return pixels[..., None] if pixels.ndim == 2 else pixels
    except (struct.error, imagecodecs.SpngError):
        return None


def _is_plain_png(data: bytes, max_pixels: int) -> bool:
    """8 bits of gray or RGB, not interlaced, and nothing but pixels after its first chunks."""
    place = len(PNG) + CHUNK_FRAME + 13
    if not _is_plain_header(data[len(PNG) : place], max_pixels):
        return False
    length, kind = CHUNK.unpack_from(data, place)
    while kind in HARMLESS:
        end = place + CHUNK_FRAME + length
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return False
        place = end
        length, kind = CHUNK.unpack_from(data, place)
    while kind == b"IDAT":
        place += CHUNK_FRAME + length
        length, kind = CHUNK.unpack_from(data, place)
    return bool(kind == b"IEND")


@functools.lru_cache(maxsize=64)
def _is_plain_header(header: bytes, max_pixels: int) -> bool:
    """Asked again and again of the same few headers: a pool's images are mostly of one size."""
    _, _, width, height, depth, colour, *others = HEADER.unpack_from(header)
    return depth == 8 and colour in (0, 2) and not any(others) and width * height <= max_pixels


def _jpeg(data: bytes, max_pixels: int) -> np.ndarray | None:
    if any(sign in data for sign in TURNS):
        return None
    try:
        height, width, colour, _ = simplejpeg.decode_jpeg_header(data)
        if colour not in ("Gray", "YCbCr") or width * height > max_pixels:
            return None
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, "GRAY" if colour == "Gray" else "RGB")
    except ValueError:
        return None
    return pixels
