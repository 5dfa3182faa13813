"""What an encoder says of altered copies of images (`images.alterations`).

Shape suffixes: N images, H W C pixels, T copies, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rayqc.encoders.batches import LatentEncoder
from rayqc.images.alterations import altered
from rayqc.images.look import ImageShape
from rayqc.schema import LATENT


def features_of_altered(
    images: Sequence[np.ndarray],
    row_N: Sequence[int],
    encoder: LatentEncoder,
    shape: ImageShape,
    copies: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Latents and features of inner layers of altered copies of images.

    Args:
        images: N of (H, W, C) uint8, each of its own size (`images.alterations.Whole`). What is
            put into a copy is of another one of them.
        row_N: N numbers, by which alterations take turns.
        shape: what the encoder looks at.
        copies: T.
        seed: equal ones give equal copies.

    Returns:
        (N, T, F) float32 by the features' name.
    """
    altered_NHWC = np.stack(
        [
            altered(image, _another(images, place, copy), shape, row, copy, seed)
            for place, (row, image) in enumerate(zip(row_N, images, strict=True))
            for copy in range(copies)
        ]
    )
    latent, inner = encoder.split(encoder.encode_all(altered_NHWC))
    return {
        name: np.ascontiguousarray(value).reshape(len(images), copies, -1)
        for name, value in {LATENT: latent, **inner}.items()
    }


def _another(images: Sequence[np.ndarray], place: int, copy: int) -> np.ndarray:
    """An image at another place; where there is none, this one's mirror image."""
    if len(images) == 1:
        return images[0][:, ::-1]
    return images[(place + 1 + copy % (len(images) - 1)) % len(images)]
