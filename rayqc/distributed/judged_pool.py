"""The judged pool, as the classifier stage trains on it.

Shape suffixes: N images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.config import Config
from rayqc.errors import InputError
from rayqc.ledger.commit import Part
from rayqc.ledger.manifest import load_files, load_totals
from rayqc.ledger.plan import LEDGER
from rayqc.schema import LATENT, kept_latent_dim
from rayqc.seeds import POOL_DRAW
from rayqc.storage import Folder, read_json, read_table
from rayqc.training.arms import Judged
from rayqc.verdicts import ACCEPTED, DUPLICATE, ERROR, NOT_SELECTED, REJECTED


def pool_tables(filtered: Folder, config: Config) -> Iterator[pa.Table]:
    """Accepted and rejected images, or a random draw of about `classify.max_images` of them.

    Yields:
        A table for each shard: columns id, image, label, verdict.

    Raises:
        InputError: images were accepted and not kept, and the settings name other arms than `real`.
    """
    files = load_files(filtered)
    accepted = load_totals(filtered).outcomes.get(ACCEPTED, 0)
    if accepted and ACCEPTED not in files and set(config.classify.arms) != {"real"}:
        raise InputError(
            f"{filtered} accepted {accepted:,} images and kept none of them (--scores-only, or "
            "filter.keep_pool: none), so there is nothing to train on beside the references; "
            "judge again and keep the images"
        )
    shards = files.get(ACCEPTED, []) + files.get(REJECTED, [])
    columns = ["id", "image", "label", "verdict"]
    yield from _drawn(filtered, shards, columns, config)


def latent_tables(filtered: Folder, config: Config) -> list[pa.Table]:
    """Kept latents of the accepted and rejected images, or of a draw as in `pool_tables`.

    Returns:
        A table for each shard of scores: columns id, label, verdict, latent; none where the filter
        kept no latents.
    """
    shards = load_files(filtered)["scores"]
    columns = ["id", "label", "verdict", LATENT]
    tables = []
    for table in _drawn(filtered, shards, columns, config):
        if kept_latent_dim(table.schema) is None:
            return []
        tables.append(table.filter(pc.not_equal(table["verdict"], ERROR)))
    return tables


def _drawn(
    filtered: Folder, shards: list[Part], columns: list[str], config: Config
) -> Iterator[pa.Table]:
    """Columns of each shard, of all rows or of about `classify.max_images` drawn over all.

    Of a chosen set the pool is what was accepted before.
    """
    is_set = read_json(filtered, LEDGER)["stage"] == "select"
    total_rows = sum(shard.rows for shard in shards)
    drawn_share = (
        config.classify.max_images / total_rows if total_rows > config.classify.max_images else 1.0
    )
    for shard_number, shard in enumerate(shards):
        table = read_table(filtered, shard.path, [*columns, "reason"])
        if is_set:
            accepted = pc.equal(table["verdict"], ACCEPTED)
            left_out = pc.is_in(table["reason"], pa.array([NOT_SELECTED, DUPLICATE]))
            table = table.filter(pc.or_(accepted, left_out))
        table = table.drop_columns(["reason"])
        if drawn_share < 1:
            rng = np.random.default_rng([config.seed, POOL_DRAW, shard_number])
            table = table.filter(pa.array(rng.random(table.num_rows) < drawn_share))
        yield table


def judged_of(tables: list[pa.Table], config: Config) -> Judged:
    """Labels, verdicts and pool entries of tables that `pool_tables` gave."""
    names = config.pool_names()
    return Judged(
        label_N=np.concatenate(
            [np.zeros(0, np.int64), *(np.asarray(table["label"]) for table in tables)]
        ).astype(np.int64),
        accepted_N=np.array(
            [verdict == ACCEPTED for table in tables for verdict in table["verdict"].to_pylist()],
            bool,
        ),
        entry_N=np.array(
            [_entry_of(id_, names) for table in tables for id_ in table["id"].to_pylist()], object
        ),
    )


def _entry_of(id_: str, entry_names: list[str]) -> str:
    """The pool entry whose name an id begins with; empty where there is none."""
    return next((name for name in entry_names if id_.startswith(f"{name}/")), "")
