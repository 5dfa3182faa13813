"""Find the duplicates inside a judged pool, from the fingerprints that its scores hold.

Shape suffixes: N images, B bytes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.distributed.session import in_session
from rayqc.distributed.tasks import put_shared, run_tasks
from rayqc.errors import InputError
from rayqc.ledger.manifest import load_files
from rayqc.schema import LOOK, LOOK_BYTES, PIXELS, PIXELS_BYTES
from rayqc.set_results import DuplicateFacts
from rayqc.storage import Folder, read_table
from rayqc.verdicts import ACCEPTED, NEAR
from rayqc.work.duplicates import exact_groups, near_groups, surplus

logger = logging.getLogger(__name__)

MOST = 20_000_000
"""Images that duplicates are looked for among; of more, a line says that they are not."""
IN_TASKS_FROM = 200_000
"""Images from which on classes are looked at in parallel tasks, where there is a session."""


@dataclass(frozen=True, kw_only=True)
class Prints:
    """Fingerprints of the images of a judged pool that could be decoded."""

    id_N: np.ndarray
    """(N,) str; None where ids were not asked for, which counting does without."""
    label_N: np.ndarray
    accepted_N: np.ndarray
    score_N: np.ndarray
    pixels_N: np.ndarray
    """(N,) of `PIXELS_BYTES` bytes each."""
    look_NB: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Prints:
        return Prints(**{name: values[rows] for name, values in vars(self).items()})


def read_prints(judged: Folder, ids: bool = False) -> Prints | None:
    """Fingerprints, in the order of the shards; None where an earlier version kept none."""
    shards = load_files(judged)["scores"]
    tables = []
    for shard in shards:
        names = [PIXELS, LOOK, "label", "verdict", "score", *(["id"] if ids else [])]
        table = read_table(judged, shard.path, names)
        if PIXELS not in table.column_names:
            return None
        tables.append(table.filter(_known(table)))
    table = pa.concat_tables(tables)
    return Prints(
        id_N=np.array(table["id"].to_pylist() if ids else [None] * len(table), object),
        label_N=np.asarray(table["label"], np.int64),
        accepted_N=np.asarray(pc.equal(table["verdict"], ACCEPTED), bool),
        score_N=np.asarray(table["score"], np.float32),
        pixels_N=_bytes_of(table[PIXELS], PIXELS_BYTES).view(f"V{PIXELS_BYTES}").reshape(-1),
        look_NB=_bytes_of(table[LOOK], LOOK_BYTES),
    )


def duplicate_facts(judged: Folder) -> DuplicateFacts | None:
    """How many images of a judged pool are duplicates; None where they were not looked for."""
    images = sum(shard.rows for shard in load_files(judged)["scores"])
    if images > MOST:
        logger.info("duplicates are not looked for among more than %s images", f"{MOST:,}")
        return None
    prints = read_prints(judged)
    if prints is None:
        return None
    pixels_N = exact_groups(prints.pixels_N)
    pairs = np.stack([pixels_N, prints.label_N])
    pairs_of_class, exact_N = np.unique(pairs, axis=1, return_inverse=True)
    exact_N = exact_N.reshape(-1)
    near_N = near_groups_of_all(prints)
    accepted = prints[prints.accepted_N]
    best_first_M = np.argsort(accepted.score_N, kind="stable")  # a count needs no ids
    near_M = among_accepted(prints, near_N)
    surplus_exact_M, surplus_near_M = _surplus_of_accepted(accepted, near_M, best_first_M)
    return {
        "exact": exact_N.size - np.unique(exact_N).size,
        "near": near_N.size - np.unique(near_N).size,
        "accepted_exact": int(surplus_exact_M.sum()),
        "accepted_near": int(surplus_near_M.sum()),
        "under_several_classes": int((np.bincount(pairs_of_class[0]) > 1).sum()),
    }


def surplus_ids(judged: Folder, kind: str) -> set[str]:
    """Ids of accepted images that have a better copy, of a lower score, among the accepted.

    Args:
        kind: `exact`, or `near`, which are the exact ones, too.

    Raises:
        InputError: an earlier version judged the pool and kept no fingerprints.
    """
    prints = read_prints(judged, ids=True)
    if prints is None:
        raise InputError(
            f"{judged} was judged by an earlier version, which kept nothing that duplicates "
            "are found by; filter the pool again"
        )
    accepted = prints[prints.accepted_N]
    best_first_M = np.lexsort((accepted.id_N.astype(str), accepted.score_N))
    near_groups_M = near_groups_of_all(accepted)
    exact_M, near_M = _surplus_of_accepted(accepted, near_groups_M, best_first_M)
    return set(accepted.id_N[near_M if kind == NEAR else exact_M].tolist())


def _surplus_of_accepted(
    accepted: Prints, near_M: np.ndarray, best_first_M: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of M accepted images have a better exact copy, and which a better near one, too.

    Args:
        accepted: M accepted images.
        near_M: (M,) int64 groups of like pictures among them.
        best_first_M: (M,) int64, row numbers from the best to the worst.
    """
    # Of equal images under several classes at most one label is right: the best one stays.
    exact_M = surplus(exact_groups(accepted.pixels_N), best_first_M)
    # A like picture stays unless a better one does: an exact copy that goes leaves none behind.
    rows = np.flatnonzero(~exact_M)
    best_first = best_first_M[~exact_M[best_first_M]]
    either_M = exact_M.copy()
    either_M[rows] = surplus(near_M[rows], np.searchsorted(rows, best_first))
    return exact_M, either_M


def among_accepted(prints: Prints, near_N: np.ndarray) -> np.ndarray:
    """(M,) int64 groups of like pictures among the M accepted images alone.

    A chain of like pictures that goes by a rejected one is none among the accepted.

    Args:
        near_N: (N,) int64 groups among all N.
    """
    near_M = near_N[prints.accepted_N]
    groups = int(near_N.max(initial=-1)) + 1
    mixed_G = np.bincount(near_M, minlength=groups) < np.bincount(near_N, minlength=groups)
    rows = np.flatnonzero(mixed_G[near_M])
    if rows.size:
        near_M[rows] = groups + near_groups_of_all(prints[np.flatnonzero(prints.accepted_N)[rows]])
    return np.asarray(near_M)


def near_groups_of_all(prints: Prints) -> np.ndarray:
    """(N,) int64 numbers of groups of like pictures; each group is of one class."""
    group_N = np.zeros(prints.label_N.size, np.int64)
    classes = np.unique(prints.label_N)
    rows_by_class = [np.flatnonzero(prints.label_N == k) for k in classes]
    if prints.label_N.size >= IN_TASKS_FROM and in_session():
        jobs = ((put_shared(prints.look_NB[rows]),) for rows in rows_by_class)
        found = run_tasks(near_groups, jobs)
    else:
        found = [near_groups(prints.look_NB[rows]) for rows in rows_by_class]
    first = 0
    for rows, group in zip(rows_by_class, found, strict=True):
        group_N[rows] = first + group
        first += int(group.max()) + 1
    return group_N


def _known(table: pa.Table) -> pa.ChunkedArray:
    """Which images have fingerprints and a score."""
    return pc.and_(pc.is_valid(table[PIXELS]), pc.is_valid(table["score"]))


def _bytes_of(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """(N, width) uint8 of a column of fixed width without nulls."""
    parts = [np.zeros((0, width), np.uint8)]
    for chunk in column.chunks:
        held = np.frombuffer(chunk.buffers()[1], np.uint8)
        start = chunk.offset * width
        parts.append(held[start : start + len(chunk) * width].reshape(len(chunk), width))
    return np.concatenate(parts)
