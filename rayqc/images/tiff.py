"""What a TIFF holds, read from its header, where Pillow has no mode for it."""

from __future__ import annotations

import ctypes
import functools
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import TiffImagePlugin

IMAGE_LENGTH, BITS, STRIP_OFFSETS, BANDS, STRIP_BYTES = 257, 258, 273, 277, 279
TILE_OFFSETS, TILE_BYTES, SAMPLE_FORMAT = 324, 325, 339
KINDS = {1: "", 2: " signed", 3: " float", 5: " complex", 6: " complex"}
"""Sample format to a word for it."""
HEADER_BYTES = 8


@functools.cache
def quiet_libtiff() -> None:
    """Keep libtiff's own words on odd files off the terminal; what is wrong is said by errors.

    Pillow has no switch for it. Where the library cannot be found it goes on talking.
    """
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        for path in {line.split()[-1] for line in maps.splitlines() if "libtiff" in line}:
            library = ctypes.CDLL(path)
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)


def layout_of(data: bytes) -> str | None:
    """Bands and bits of a whole TIFF, as "5 bands of 8 bits"; None where it is damaged."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[:HEADER_BYTES])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        offsets, sizes = (
            _numbers(tags.get(strip, tags.get(tile)))
            for strip, tile in ((STRIP_OFFSETS, TILE_OFFSETS), (STRIP_BYTES, TILE_BYTES))
        )
        bands = _numbers(tags.get(BANDS, 1))[0]
        bits = sorted(set(_numbers(tags.get(BITS, 1))))
        kinds = {KINDS.get(kind, " unknown") for kind in _numbers(tags.get(SAMPLE_FORMAT, 1))}
    except Exception:  # Pillow's parser of hostile bytes raises anything
        return None
    if not offsets or len(offsets) != len(sizes) or IMAGE_LENGTH not in tags:
        return None
    if max(offset + size for offset, size in zip(offsets, sizes, strict=True)) > len(data):
        return None
    bits_text = " and ".join(map(str, bits))
    bands_text = f"{bands} band{'s' if bands > 1 else ''}"
    return f"{bands_text} of {bits_text} bits{' and'.join(sorted(kinds))}"


def _numbers(value: object) -> Sequence[int]:
    """A tag's numbers; none where the tag is missing."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple) else (int(str(value)),)
