"""Reference images: the model's input shape from them, and decoding that must not fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from rayqc.errors import InputError
from rayqc.images.decode import (
    ImageError,
    Limits,
    Wrong,
    decode_batch_looks,
    decode_looks,
    is_gray,
    open_image,
    values_of,
)
from rayqc.images.deep import DeepPixels
from rayqc.images.look import ImageShape, Look

LARGEST_AUTOMATIC = 64
SMALLEST = 8


def infer_shape(
    images: Iterable[tuple[str, bytes | None]],
    limits: Limits,
    size: int | None,
    channels: int | None,
) -> ImageShape:
    """Size and channels of the model's input, from the settings or from the reference images.

    Args:
        images: ids and encoded reference images, at least one.
        size: pixels a side as set; None takes the most common larger side, rounded up to a
            multiple of 4, at least 8 and at most 64 pixels.
        channels: 1 or 3 as set; None takes 3 where any image has colour, else 1.

    Raises:
        InputError: an image cannot be decoded.
    """
    sides: Counter[int] = Counter()
    gray = True
    for name, data in images:
        try:
            image = open_image(data, limits)
        except ImageError as error:
            raise unusable(name, (error.reason, str(error))) from error
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
    """Pixels of real images in the model's shape.

    Returns:
        (N, H, W, C) uint8.

    Raises:
        InputError: an image cannot be decoded, since a real image is never passed over in silence.
    """
    return decode_real_looks(ids, data, (shape,), limits)[0]


def decode_real_looks(
    ids: list[str], data: list[bytes | None], looks: Sequence[Look], limits: Limits
) -> list[np.ndarray]:
    """Pixels of real images for each of several looks; raises as `decode_real`."""
    images, failures = decode_batch_looks(data, looks, limits)
    for name, failure in zip(ids, failures, strict=True):
        if failure is not None:
            raise unusable(name, failure)
    return images


def real_pixels(name: str, data: bytes | None, look: Look, limits: Limits) -> np.ndarray:
    """What a look takes of one real image; raises as `decode_real`."""
    try:
        return decode_looks(data, (look,), limits)[0]
    except ImageError as error:
        raise unusable(name, (error.reason, str(error))) from error


def values_of_all(images: Iterable[bytes | None], limits: Limits) -> list[DeepPixels]:
    """Values of the images of more than 8 bits; one that cannot be decoded is told elsewhere."""
    deep_images = []
    for data in images:
        try:
            values = values_of(data, limits)
        except ImageError:
            continue
        if values is not None:
            deep_images.append(values)
    return deep_images


def unusable(name: str, failure: Wrong) -> InputError:
    """The error for a real image that cannot be used."""
    return InputError(
        f"real image {name} cannot be used ({failure[0]}): {failure[1]}; mend or remove it"
    )
