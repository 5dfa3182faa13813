"""Classifier kind `probe`: a linear classifier on features, in seconds for a hundred seeds.

Shape suffixes: N images, D latent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from rayqc.config import Config
from rayqc.distributed.classifiers.base import ArmInputs, ClassifierKind, Training
from rayqc.distributed.classifiers.pixels import pixels_of, pool_pixels
from rayqc.distributed.encode import encode_images
from rayqc.distributed.judged_pool import judged_of, latent_tables, pool_tables
from rayqc.distributed.tasks import put_shared
from rayqc.images.look import ImageShape
from rayqc.models.features import edge_histograms
from rayqc.models.vae import pixels_to_input
from rayqc.storage import Folder
from rayqc.training.arms import Images, LatentPool, Latents
from rayqc.training.probe import probe_accuracy, train_probe
from rayqc.work.latent_columns import latent_matrix

BATCH = 256
"""Images whose edge histograms are taken at once."""
MOST_BYTES = 2**32
"""Bytes of images of the pool that the driver holds at once, where no latents of them are kept."""


def in_pieces(tables: Iterable[pa.Table], most: int) -> Iterator[pa.Table]:
    """The tables, joined as long as they have so many bytes together; none without rows."""
    held: list[pa.Table] = []
    for table in tables:
        if held and sum(each.nbytes for each in held) + table.nbytes > most:
            yield pa.concat_tables(held)
            held = []
        if table.num_rows:
            held.append(table)
    if held:
        yield pa.concat_tables(held)


def put(inputs: ArmInputs) -> tuple[Any, Any, Any]:
    """The encoder's latents where it was trained elsewhere.

    Where it was trained on the few references its latents tell classes apart badly, and edge
    histograms are taken.
    """
    references, test, filtered = inputs.references, inputs.test, inputs.filtered
    if inputs.seen:
        return _put_edges(references, test, filtered, inputs.image, inputs.config)
    return _put_latents(inputs)


def train(training: Training) -> float:
    """See `ClassifierKind.accuracy`."""
    pool, rows = training.pool, training.rows
    added = Latents(latent_ND=pool.latent_ND[rows], label_N=pool.label_N[rows])
    probe = train_probe(training.references, added, training.classes, training.seed)
    return probe_accuracy(probe, training.test)


def _put_edges(
    references: pa.Table, test: pa.Table, filtered: Folder, image: ImageShape, config: Config
) -> tuple[Any, Any, Any]:
    def edges(images: Images) -> Latents:
        return Latents(latent_ND=_edges(images.images_NHWC), label_N=images.label_N)

    pool = pool_pixels(filtered, image, config)
    of_pool = LatentPool(
        latent_ND=_edges(pool.images_NHWC),
        label_N=pool.label_N,
        accepted_N=pool.accepted_N,
        entry_N=pool.entry_N,
    )
    return (
        put_shared(edges(pixels_of(references, image, config))),
        put_shared(edges(pixels_of(test, image, config))),
        put_shared(of_pool),
    )


@torch.inference_mode()
def _edges(images_NHWC: np.ndarray) -> np.ndarray:
    """(N, F) float32 edge histograms."""
    parts = [
        edge_histograms(pixels_to_input(torch.from_numpy(images_NHWC[start : start + BATCH])))
        for start in range(0, max(1, len(images_NHWC)), BATCH)
    ]
    return torch.cat(parts).numpy()


def _put_latents(inputs: ArmInputs) -> tuple[Any, Any, Any]:
    filtered, config = inputs.filtered, inputs.config

    def latents(table: pa.Table, name: str) -> Latents:
        (encoded,) = encode_images(
            [table], inputs.model, inputs.looked_at, config, inputs.progress, name
        )
        return Latents(latent_ND=latent_matrix(encoded), label_N=np.asarray(table["label"]))

    of_references = latents(inputs.references, "encode references")
    tables = latent_tables(filtered, config)  # what the filter kept needs no second encoding
    if tables:
        latent_ND = latent_matrix(pa.concat_tables(tables)).astype(np.float32)
    else:
        parts = [np.zeros((0, of_references.latent_ND.shape[1]), np.float32)]
        for piece in in_pieces(pool_tables(filtered, config), MOST_BYTES):
            parts.append(latents(piece, "encode pool").latent_ND)
            tables.append(piece.drop_columns(["image"]))
        latent_ND = np.concatenate(parts)
    judged = judged_of(tables, config)
    pool = LatentPool(
        latent_ND=latent_ND,
        label_N=judged.label_N,
        accepted_N=judged.accepted_N,
        entry_N=judged.entry_N,
    )
    return (
        put_shared(of_references),
        put_shared(latents(inputs.test, "encode test")),
        put_shared(pool),
    )


KIND = ClassifierKind(
    seeds=20,
    put=put,
    accuracy=train,
    uses_gpu=False,
    says=lambda seen: " of edge histograms" if seen else " of latents",
)
