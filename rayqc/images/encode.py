"""Encode pixels as PNG, the one format in which rayqc writes images that come as pixels."""

from __future__ import annotations

import imagecodecs
import numpy as np

LEVEL = 3
"""zlib level; its files are as small as Pillow's at level 6, in half the time."""


def encode_png(image_HWC: np.ndarray) -> bytes:
    """Lossless PNG of (H, W, 1) or (H, W, 3) uint8 pixels; equal pixels give equal bytes."""
    pixels = image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC
    return bytes(imagecodecs.spng_encode(np.ascontiguousarray(pixels), level=LEVEL))
