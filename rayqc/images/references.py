"""The shape a model should take, from the references themselves."""

from __future__ import annotations

from collections import Counter

from PIL import Image

from rayqc.images.decode import ImageError, ImageShape, Limits, is_gray, open_image

LARGEST_AUTOMATIC = 64


def infer_shape(
    images: dict[str, bytes | None], limits: Limits, size: int | None, channels: int | None
) -> ImageShape:
    """Size and channels of the model's input.

    Args:
        images: encoded references by id.
        size: as set; None takes the most common larger side, rounded up to a
            multiple of 4, at most 64 pixels.
        channels: as set; None takes 3 when any image has colour.

    Raises:
        ImageError: an image cannot be decoded; the message names it.
    """
    opened = [_open(name, data, limits) for name, data in images.items()]
    if size is None:
        side, _ = Counter(max(image.size) for image in opened).most_common(1)[0]
        size = min(LARGEST_AUTOMATIC, -(-side // 4) * 4)
    if channels is None:
        channels = 1 if all(is_gray(image) for image in opened) else 3
    return ImageShape(size=size, channels=channels)


def _open(name: str, data: bytes | None, limits: Limits) -> Image.Image:
    try:
        return open_image(data, limits)
    except ImageError as error:
        raise ImageError(error.reason, f"{name}: {error}") from error
