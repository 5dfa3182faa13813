"""Pixels that classifiers are trained and tested on: of references, test images and the pool.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rayqc.config import Config
from rayqc.distributed.classifiers.base import Training
from rayqc.distributed.judged_pool import judged_of, pool_tables
from rayqc.distributed.tasks import put_shared
from rayqc.images.decode import decode_batch, limits_of
from rayqc.images.look import ImageShape
from rayqc.images.references import decode_real
from rayqc.schema import image_bytes
from rayqc.storage import Folder
from rayqc.training.arms import Images, LabelledPool


def put_images(
    references: pa.Table, test: pa.Table, filtered: Folder, image: ImageShape, config: Config
) -> tuple[Any, Any, Any]:
    """Pixels of references, test images and pool, put in Ray's object store once for all jobs."""
    pool = pool_pixels(filtered, image, config)
    return (
        put_shared(pixels_of(references, image, config)),
        put_shared(pixels_of(test, image, config)),
        put_shared(pool),
    )


def arm_images(training: Training) -> Images:
    """The references and the candidates that an arm adds to them."""
    references, pool, rows = training.references, training.pool, training.rows
    return Images(
        images_NHWC=np.concatenate([references.images_NHWC, pool.images_NHWC[rows]]),
        label_N=np.concatenate([references.label_N, pool.label_N[rows]]),
    )


def pixels_of(table: pa.Table, image: ImageShape, config: Config) -> Images:
    """Pixels of real images.

    Args:
        table: columns id, label, image.
    """
    data, limits = image_bytes(table), limits_of(config.image)
    images_NHWC = decode_real(table["id"].to_pylist(), data, image, limits)
    return Images(images_NHWC=images_NHWC, label_N=np.asarray(table["label"]))


def pool_pixels(filtered: Folder, image: ImageShape, config: Config) -> LabelledPool:
    """Pixels of the judged pool, or of as many as `classify.max_images` allows."""
    images = [np.zeros((0, *image.pixels), np.uint8)]
    judged_tables = []
    for table in pool_tables(filtered, config):
        images.append(decode_batch(image_bytes(table), image, limits_of(config.image))[0])
        judged_tables.append(table.select(["id", "label", "verdict"]))
    judged = judged_of(judged_tables, config)
    return LabelledPool(
        images_NHWC=np.concatenate(images),
        label_N=judged.label_N,
        accepted_N=judged.accepted_N,
        entry_N=judged.entry_N,
    )
