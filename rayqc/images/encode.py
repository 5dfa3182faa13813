"""Pixels to PNG bytes: the one way rayqc writes images that come to it as pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encode_png(image_HWC: np.ndarray) -> bytes:
    """Lossless PNG of (H, W, 1) or (H, W, 3) uint8 pixels; equal pixels give equal bytes."""
    pixels = image_HWC[:, :, 0] if image_HWC.shape[2] == 1 else image_HWC
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format="PNG", compress_level=6)
    return sink.getvalue()
