"""Real images: the shape a model should take from them, and decoding that admits no failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from rayqc.errors import InputError
from rayqc.images.decode import (
    ImageError,
    ImageShape,
    Limits,
    Wrong,
    decode_batch,
    is_gray,
    open_image,
)

LARGEST_AUTOMATIC = 64
SMALLEST = 8


def infer_shape(
    images: Iterable[tuple[str, bytes | None]],
    limits: Limits,
    size: int | None,
    channels: int | None,
) -> ImageShape:
    """Size and channels of the model's input.

    Args:
        images: ids and encoded references, at least one.
        size: as set; None takes the most common larger side, rounded up to a
            multiple of 4, at least 8 and at most 64 pixels.
        channels: as set; None takes 3 when any image has colour.

    Raises:
        InputError: an image cannot be decoded.
    """
    sides: Counter[int] = Counter()
    gray = True
    for name, data in images:
        try:
            image = open_image(data, limits)
        except ImageError as error:
            raise _unusable(name, (error.reason, str(error))) from error
        sides[max(image.size)] += 1
        gray = gray and is_gray(image)
    if size is None:
        side, _ = sides.most_common(1)[0]
        size = min(LARGEST_AUTOMATIC, max(SMALLEST, -(-side // 4) * 4))
    if channels is None:
        channels = 1 if gray else 3
    return ImageShape(size=size, channels=channels)


def decode_real(
    ids: list[str], data: list[bytes | None], shape: ImageShape, limits: Limits
) -> np.ndarray:
    """(N, H, W, C) uint8 pixels of real images.

    Raises:
        InputError: one cannot be decoded; a real image is never passed over in silence.
    """
    images_NHWC, wrong = decode_batch(data, shape, limits)
    for name, error in zip(ids, wrong, strict=True):
        if error is not None:
            raise _unusable(name, error)
    return images_NHWC


def _unusable(name: str, wrong: Wrong) -> InputError:
    return InputError(
        f"real image {name} cannot be used ({wrong[0]}): {wrong[1]}; mend or remove it"
    )
