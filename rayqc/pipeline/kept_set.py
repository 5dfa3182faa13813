"""What the accepted images are as a set: beside the whole pool, and beside as many at random.

Shape suffixes: N images, D directions, B bytes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from rayqc.images.facts import own_sizes
from rayqc.images.fingerprint import HASH_BYTES, looks
from rayqc.images.references import decode_real
from rayqc.ledger.manifest import load_files
from rayqc.pipeline.run import Run
from rayqc.schema import (
    HEIGHT,
    LATENT,
    LOOK,
    LOOK_BYTES,
    WIDTH,
    image_bytes,
    kept_latent_dim,
    take_rows,
)
from rayqc.seeds import chance_of, order_by_chance
from rayqc.selection.cues import find_cues, statistics_of
from rayqc.selection.measures import set_facts
from rayqc.selection.target import Space, fit_space
from rayqc.set_results import KeptSetFacts, SetFacts
from rayqc.storage import Folder, read_table
from rayqc.units import evenly
from rayqc.verdicts import ACCEPTED, ERROR
from rayqc.work.latent_columns import latent_matrix

logger = logging.getLogger(__name__)

MOST_OF_A_CLASS = 300
"""Images of each set of a class that are looked at, as many of each set."""
MOST_CLASSES = 100
MOST_REFERENCES = 2_000
MOST_SHARDS = 20
"""Shards of scores that are read, evenly spaced."""
COLUMNS = ["id", "label", "verdict", LATENT, LOOK, WIDTH, HEIGHT]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Judged images of a pool, in an order as good as random."""

    label_N: np.ndarray
    accepted_N: np.ndarray
    vector_ND: np.ndarray
    """float32; of no columns where no latents were kept."""
    colour_N3: np.ndarray
    """uint8; of no rows where no fingerprints were kept."""
    size_N2: np.ndarray | None
    """int64 width and height, pixels; None where they were not kept of each."""


def kept_set_facts(run: Run, judged: Folder) -> KeptSetFacts:
    """Measures of the accepted images, of the whole pool, and of as many of it at random.

    Means over classes with accepted images; without latents there are none. Cues are looked for
    where fingerprints were kept.
    """
    classes, neighbours = run.regions.regions.classes, run.regions.neighbours
    label_R = neighbours.labels(run.references)
    space = fit_space(neighbours.latent_RD, label_R, len(classes))
    images = _read(judged, space)
    facts: KeptSetFacts = {"sets": _sets(images, space), "cues": {}}
    if len(images.colour_N3):
        references = take_rows(run.references, evenly(run.references.num_rows, MOST_REFERENCES))
        pixels_NHWC = decode_real(
            references["id"].to_pylist(), image_bytes(references), run.encoder.image, run.limits
        )
        kept_N = images.accepted_N
        own_size_R2 = own_sizes(image_bytes(references))
        cues = find_cues(
            statistics_of(
                looks(pixels_NHWC)[:, HASH_BYTES:], own_size_R2 if own_size_R2.all() else None
            ),
            np.asarray(references["label"], np.int64),
            statistics_of(
                images.colour_N3[kept_N],
                None if images.size_N2 is None else images.size_N2[kept_N],
            ),
            images.label_N[kept_N],
            seed=0,
        )
        for name, cue in cues.items():
            facts["cues"][name] = {
                "references": cue.references,
                "upper": cue.upper,
                "accepted": cue.images,
                "spurious": cue.spurious,
            }
    return facts


def _read(judged: Folder, space: Space) -> Judged:
    shards = load_files(judged)["scores"]
    ids: list[str] = []
    labels, accepted, vectors, colours, sizes = [], [], [], [], []
    for number in evenly(len(shards), MOST_SHARDS):
        table = read_table(judged, shards[number].path, COLUMNS)
        table = table.filter(pc.not_equal(table["verdict"], ERROR))
        ids += table["id"].to_pylist()
        labels.append(np.asarray(table["label"], np.int64))
        accepted.append(np.asarray(pc.equal(table["verdict"], ACCEPTED), bool))
        if kept_latent_dim(table.schema) is not None:
            vectors.append(space.project(latent_matrix(table).astype(np.float32)))
        if LOOK in table.column_names:
            look = b"".join(table[LOOK].to_pylist())
            look_NB = np.frombuffer(look, np.uint8).reshape(table.num_rows, LOOK_BYTES)
            colours.append(look_NB[:, HASH_BYTES:].copy())
        if WIDTH in table.column_names:
            own_size = [pc.fill_null(table[name], 0).to_numpy() for name in (WIDTH, HEIGHT)]
            sizes.append(np.stack(own_size, axis=1))
    size_N2 = np.concatenate([np.zeros((0, 2), np.int64), *sizes])
    order = order_by_chance(np.array(ids, object), chance_of(ids))
    return Judged(
        label_N=np.concatenate(labels)[order],
        accepted_N=np.concatenate(accepted)[order],
        vector_ND=np.concatenate(vectors)[order] if vectors else np.zeros((len(ids), 0)),
        colour_N3=np.concatenate(colours)[order] if colours else np.zeros((0, 3), np.uint8),
        size_N2=size_N2[order] if len(size_N2) == len(ids) and size_N2.all() else None,
    )


def _sets(images: Judged, space: Space) -> dict[str, SetFacts]:
    """Mean measures over classes of each set; the sets of a class are of one size."""
    if not images.vector_ND.shape[1]:
        return {}
    with_accepted = np.unique(images.label_N[images.accepted_N])
    found: dict[str, list[SetFacts]] = {"pool": [], "random": [], "accepted": []}
    for k in with_accepted[evenly(with_accepted.size, MOST_CLASSES)]:
        rows = np.flatnonzero(images.label_N == k)
        kept = rows[images.accepted_N[rows]]
        reference_RD = space.reference_RD[space.label_R == k]
        if len(reference_RD) < 2 or kept.size < 2:
            continue
        sets = {
            "pool": rows[:MOST_OF_A_CLASS],
            "random": rows[: min(kept.size, MOST_OF_A_CLASS)],
            "accepted": kept[:MOST_OF_A_CLASS],
        }
        for name, chosen in sets.items():
            found[name].append(set_facts(images.vector_ND[chosen], reference_RD, 0))
    return {name: _mean(facts) for name, facts in found.items() if facts}


def _mean(facts: list[SetFacts]) -> SetFacts:
    def mean(name: str) -> float:
        return float(np.mean([one[name] for one in facts]))  # type: ignore[literal-required]

    return {
        "precision": mean("precision"),
        "recall": mean("recall"),
        "density": mean("density"),
        "coverage": mean("coverage"),
        "different": mean("different"),
    }
