"""The pictures' font: matplotlib's DejaVu Sans, since Pillow's own has no letter beyond ASCII."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import ImageFont


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at a size in pixels."""
    import matplotlib as mpl  # noqa: PLC0415  (slow, and only pictures need it)

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
