"""Latents for linear probes: of references, test images and the judged pool.

Shape suffixes: N images, D latent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rayqc.config import Config
from rayqc.distributed.encode import encode_images, in_order
from rayqc.distributed.judged_pool import judged_of, pool_tables
from rayqc.distributed.tasks import put_shared
from rayqc.progress import Progress
from rayqc.storage import Folder
from rayqc.training.arms import LatentPool, Latents
from rayqc.work.latent_columns import latent_matrix


def put_latents(
    references: pa.Table,
    test: pa.Table,
    filtered: Folder,
    model: Folder,
    config: Config,
    progress: Progress,
) -> tuple[Any, Any, Any]:
    """Latents of references, test images and pool, put in Ray's object store once for all jobs."""

    def latents(table: pa.Table, name: str) -> Latents:
        encoded = encode_images(table, model, config, progress, name)
        return Latents(
            latent_ND=latent_matrix(in_order(encoded, table)), label_N=np.asarray(table["label"])
        )

    of_references = latents(references, "encode references")
    tables = list(pool_tables(filtered, config))
    judged = judged_of(tables, config)
    latent_ND = np.zeros((0, of_references.latent_ND.shape[1]), np.float32)
    if judged.label_N.size:
        latent_ND = latents(pa.concat_tables(tables), "encode pool").latent_ND
    pool = LatentPool(
        latent_ND=latent_ND,
        label_N=judged.label_N,
        accepted_N=judged.accepted_N,
        entry_N=judged.entry_N,
    )
    return (
        put_shared(of_references),
        put_shared(latents(test, "encode test")),
        put_shared(pool),
    )
