"""Fingerprints of images: equal for equal pixels, and nearly equal for pictures that look alike.

The perceptual hash is that of Zauner (2010): the signs of an image's low frequencies, here 16 x 16
of its discrete cosine transform against their median. 255 bits tell digits and photographs apart
that 63, the usual number, confuse. Its bits are ordered so that any 16 in a row are of low and high
frequencies alike. Beside it stands the mean colour, which the hash does not see.

Shape suffixes: N images, H W C pixels, S side, F frequencies.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from rayqc.schema import LOOK_BYTES, PIXELS_BYTES

FREQUENCIES = 16
"""Of each direction."""
BANDS = 16
HASH_BYTES = FREQUENCIES**2 // 8
FAINTEST = 2.5e-4
"""Least coefficient that counts, a pixel: that of a wave of a thousandth of a level; what is less
is rounding."""


def pixel_digests(images_NHWC: np.ndarray) -> list[bytes]:
    """A digest of each image's pixels, of `PIXELS_BYTES`."""
    return [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=PIXELS_BYTES).digest()
        for image in images_NHWC
    ]


def looks(images_NHWC: np.ndarray) -> np.ndarray:
    """How images look: perceptual hash, then mean colour.

    Args:
        images_NHWC: uint8, square.

    Returns:
        (N, `LOOK_BYTES`) uint8.
    """
    count, side, _, channels = images_NHWC.shape
    # One plane after another: a mean along the last of four axes takes ten times as long.
    planes = [images_NHWC[..., channel].astype(np.float32) for channel in range(channels)]
    gray_NSS = sum(planes[1:], planes[0]) / channels
    wave_FS = _waves(side)
    transform_NFF = wave_FS @ gray_NSS @ wave_FS.T
    value_NF = transform_NFF.reshape(count, -1)
    value_NF[:, 0] = 0  # the brightness, which the colour has
    # Of a flat or symmetric image rounding alone would decide the sign.
    value_NF[np.abs(value_NF) < FAINTEST * side**2] = 0
    bit_NF = value_NF > np.median(value_NF, axis=1, keepdims=True)
    hash_NB = np.packbits(bit_NF[:, _order()], axis=1)
    colour_NC = np.stack([plane.reshape(count, -1).mean(1) for plane in planes], axis=1)
    colour_N3 = (
        np.broadcast_to(colour_NC, (count, LOOK_BYTES - HASH_BYTES)).round().astype(np.uint8)
    )
    return np.concatenate([hash_NB, colour_N3], axis=1)


@functools.cache
def _waves(side: int) -> np.ndarray:
    """(F, S) float32: the cosines that a side of so many pixels is compared with."""
    place_S, frequency_F = np.arange(side) + 0.5, np.arange(FREQUENCIES)
    return np.cos(np.pi * frequency_F[:, None] * place_S / side).astype(np.float32)


@functools.cache
def _order() -> np.ndarray:
    """(F * F,) int64: coefficients from low to high frequency, dealt out to the bands in turn."""
    row, column = np.divmod(np.arange(FREQUENCIES**2), FREQUENCIES)
    from_low = np.lexsort((row, row + column))
    return from_low.reshape(-1, BANDS).T.reshape(-1)
