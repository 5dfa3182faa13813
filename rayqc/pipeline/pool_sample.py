"""Images of the pool that the label's view `pool` learns from, read before anything is judged."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa

from rayqc.config import Files
from rayqc.images.decode import decode_batch
from rayqc.pipeline.run import Run
from rayqc.pipeline.unit_size import plan_units
from rayqc.printable import counted
from rayqc.schema import LATENT, candidate_table, image_bytes
from rayqc.sources import open_source
from rayqc.sources.classes import described
from rayqc.sources.problems import problems_of
from rayqc.work.known_images import KnownImages, digests_of
from rayqc.work.match_classes import PoolSource, match_classes, own_labels

logger = logging.getLogger(__name__)

FEW = 20
"""Images below which the label learns nothing of a pool, and little of a class."""


def pool_sample(run: Run) -> pa.Table | None:
    """Images of the pool's files to learn from, under the pool's own labels; None for none.

    They are spaced evenly over all files that the filter judges. Images that cannot be judged,
    have no class of the references', or are references or test images byte for byte are left out;
    the filter counts them.

    Raises:
        InputError: a pool is not there, or shares no class with the references.
    """
    config, classes = run.config, run.encoder.classes
    most = config.pool_images()
    if not most:
        return None
    named_entries = zip(config.pool_names(), config.pool, strict=True)
    sources = [
        match_classes(open_source(entry), name, classes)
        for name, entry in named_entries
        if isinstance(entry, Files)
    ]
    settings = config.filter.model_copy(update={"limit": most})
    units = plan_units([source.source for source in sources], settings, run.encoder.input)
    known = KnownImages(run.folder)
    tables = []
    for unit in units:
        source = sources[unit.entry]
        tables.append(_usable(source.read(unit, config.image.max_bytes), source, run, known))
    sample = pa.concat_tables(tables)
    if sample.num_rows < FEW:
        logger.warning("the label learns nothing from the pool: %d usable images", sample.num_rows)
        return None
    count_K = np.bincount(np.asarray(sample["label"]), minlength=len(classes))
    logger.info("fit: the label learns from %s of the pool, too", counted(len(sample), "image"))
    few = [name for name, count in zip(classes, count_K.tolist(), strict=True) if count < FEW]
    if few:
        logger.warning(
            "fewer than %d of the pool's images that the label learns from are of %s: of these "
            "classes it learns little or nothing; raise regions.pool_images",
            FEW,
            described(few),
        )
    return sample


def _usable(table: pa.Table, source: PoolSource, run: Run, known: KnownImages) -> pa.Table:
    """Columns id, label, image (and latent) of the images to learn from."""
    label_N = own_labels(table, source.to_class)
    _, failures = decode_batch(image_bytes(table), run.encoder.image, run.limits)
    known_N = np.asarray(known.notes(digests_of(table)).is_valid())
    whole_N = [not (bad or lacks) for bad, lacks in zip(failures, problems_of(table), strict=True)]
    rows = pa.array(np.flatnonzero((label_N >= 0) & ~known_N & np.array(whole_N, bool)))
    usable = candidate_table(
        run.encoder.classes,
        ids=table["id"].take(rows),
        images=table["image"].take(rows),
        labels=label_N[np.asarray(rows)],
        sources=table["source"].take(rows),
    )
    if LATENT not in table.column_names:
        return usable
    return usable.append_column(LATENT, table[LATENT].take(rows))
