"""Real images as regions take them: pixels in the run's size, latents, and detail.

Shape suffixes: N images, D latent, F features, T tiles, S statistics.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from rayqc.images.decode import Limits
from rayqc.images.detail import SIDE, Detail, OwnSize
from rayqc.images.facts import header_of
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real_looks
from rayqc.images.statistics import told_apart
from rayqc.regions import Candidates
from rayqc.schema import each_image, image_bytes, take_rows
from rayqc.units import evenly

BATCH = 64
"""Images whose tiles are in memory at once."""


def real_candidates(
    table: pa.Table,
    latent_ND: np.ndarray,
    inner: Mapping[str, np.ndarray],
    image: ImageShape,
    detail: Detail | None,
    limits: Limits,
) -> Candidates:
    """Real images of a table, decoded once for all that regions look at.

    Args:
        table: columns id, label and image.
        latent_ND: (N, D) float32, in the table's order.
        inner: (N, F) float32 features of inner layers, by name, in the table's order.
        image: the run's size and channels.
        detail: how detail is looked at; None where it is not.

    Raises:
        InputError: an image cannot be decoded.
    """
    images = [np.zeros((0, *image.pixels), np.uint8)]
    own_size: list[OwnSize] = []
    looks = (image,) if detail is None else (image, *detail.looks)
    for start in range(0, table.num_rows, BATCH):
        some = table.slice(start, BATCH)
        in_looks = decode_real_looks(some["id"].to_pylist(), image_bytes(some), looks, limits)
        images.append(in_looks[0])
        if detail is not None:
            own_size.append(detail.measured(in_looks[1:]))
    return Candidates(
        images_NHWC=np.concatenate(images),
        latent_ND=latent_ND,
        label_N=np.asarray(table["label"]),
        own_size=OwnSize.concatenated(own_size),
        inner=inner,
    )


def detail_of(
    table: pa.Table, image: ImageShape, limits: Limits, shorter: int | None
) -> Detail | None:
    """How detail is looked at in a run with these references; None where there is none to see.

    There is where half of the references have a shorter side above both `image.size` and `SIDE`, or
    where `shorter` is given.

    Args:
        table: the references, with columns id and image.
        image: the run's size and channels.
        shorter: pixels that the shorter side is brought to; None looks at each image's own size.
    """
    if shorter is None:
        headers = [header_of(encoded) for encoded in each_image(table)]
        sides = [header.shorter_side if header else 0 for header in headers]
        if np.median(sides) <= max(image.size, SIDE):
            return None
    sample = take_rows(table, evenly(table.num_rows, 4 * BATCH))  # of classes that lie in order
    images = decode_real_looks(sample["id"].to_pylist(), image_bytes(sample), (image,), limits)
    low, high = told_apart(images[0])
    return Detail(channels=image.channels, shorter=shorter, levels=(int(low), int(high)))
