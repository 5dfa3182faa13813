"""One unit of the filter: read, decode, encode, score, write, commit. Knows no Ray.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.images.decode import Limits, Wrong, decode_batch
from rayqc.ledger.commit import commit_unit
from rayqc.ledger.plan import work_digest
from rayqc.models.encoder import LatentEncoder
from rayqc.regions import Regions, load_regions
from rayqc.schema import image_bytes, score_schema, verdict_schema
from rayqc.sources import Source
from rayqc.storage import Folder
from rayqc.training.checkpoint import load_encoder
from rayqc.units import Unit

UNKNOWN = -1
DECODE_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class PoolSource:
    """A pool entry as the filter meets it."""

    source: Source
    prefix: str
    """Goes before ids; empty for pools whose ids stand for themselves."""
    to_class: tuple[int, ...]
    """The source's label to the references' label, by class name; -1 where there is none."""


@dataclass(frozen=True, kw_only=True)
class FilterSpec:
    """All a worker needs to judge units."""

    out: Folder
    model: Folder
    regions: Folder
    sources: tuple[PoolSource, ...]
    limits: Limits
    micro_batch: int
    keep_rejected: bool
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Verdict columns of a unit's N rows."""

    columns: dict[str, pa.Array]
    verdict_N: np.ndarray
    reason_N: np.ndarray


class FilterWorker:
    """Loads encoder and regions once, then judges and commits unit after unit."""

    def __init__(self, spec: FilterSpec) -> None:
        trained = load_encoder(spec.model)
        self.spec = spec
        self.image = trained.image
        self.encoder = LatentEncoder(trained.vae, spec.micro_batch, spec.device)
        latent_dim = trained.vae.shape.latent_dim
        self.regions: Regions = load_regions(spec.regions, trained.digest, latent_dim)
        self.work = work_digest(spec.out)
        self.threads = ThreadPoolExecutor(DECODE_THREADS)

    def __call__(self, index: int, unit: Unit) -> None:
        """Judge all rows of the unit and commit them."""
        entry = self.spec.sources[unit.entry]
        table = entry.source.read(unit)
        label_N = own_labels(table, entry.to_class)
        judged = self.judge(table, label_N)
        if entry.prefix:
            ids = [f"{entry.prefix}/{name}" for name in table["id"].to_pylist()]
            table = table.set_column(0, table.schema.field("id"), pa.array(ids, pa.string()))
        label = pa.array(label_N, mask=label_N == UNKNOWN)
        table = table.set_column(2, "label", label)
        self._commit(index, table, label_N, judged)

    def judge(self, table: pa.Table, label_N: np.ndarray) -> Judgement:
        """Verdicts on candidates; what cannot be decoded or has no known class is an error."""
        total = table.num_rows
        latent_ND, error_N = self._encode(table)
        for row in np.flatnonzero(label_N == UNKNOWN):
            known = table["label"][row].is_valid
            what = ("unknown_class", "no reference class has this name") if known else None
            error_N[row] = error_N[row] or what or ("no_label", "no label, or no class folder")
        for row in np.flatnonzero(~np.isfinite(latent_ND).all(1)):
            error_N[row] = error_N[row] or ("nonfinite", "the encoder gave NaN or infinity")
        sound_N = np.array([error is None for error in error_N], dtype=bool)
        found = self.regions.judge(latent_ND[sound_N], label_N[sound_N])
        score_N = np.full(total, np.nan, np.float32)
        score_N[sound_N] = found.score_N
        verdict_N = np.where(score_N <= 1, "accepted", np.where(sound_N, "rejected", "error"))
        reason_N = np.where(verdict_N == "accepted", "inside_region", "outside_region").astype(
            object
        )
        reason_N[~sound_N] = [error[0] for error in error_N if error is not None]
        message = [error[1] if error else None for error in error_N]

        def floats(values: np.ndarray) -> pa.Array:
            spread = np.zeros(total, np.float32)
            spread[sound_N] = values
            return pa.array(spread, mask=~sound_N)

        def texts(values: list[str]) -> pa.Array:
            spread = np.full(total, None, dtype=object)
            spread[sound_N] = values
            return pa.array(spread, pa.string())

        classes = self.regions.classes
        nearest = [classes[k] for k in found.nearest_K]
        columns = {
            "score": floats(found.score_N),
            "distance": floats(found.distance_N),
            "radius": floats(found.radius_N),
            "p_value": pa.nulls(total, pa.float32()),
            "decided_by": texts([found.decided_by] * len(nearest)),
            "nearest_reference": pa.nulls(total, pa.string()),
            "nearest_class": texts(nearest),
            "near_copy": pa.nulls(total, pa.bool_()),
            "verdict": pa.array(verdict_N.tolist(), pa.string()),
            "reason": pa.array(reason_N.tolist(), pa.string()),
            "message": pa.array(message, pa.string()),
        }
        return Judgement(columns=columns, verdict_N=verdict_N, reason_N=reason_N)

    def _encode(self, table: pa.Table) -> tuple[np.ndarray, list[Wrong | None]]:
        """Latents (N, D), zero where an image cannot be decoded, and what was wrong with it."""
        data = image_bytes(table)
        size = self.spec.micro_batch
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        latents, errors = [], []
        # The threads decode ahead while this one encodes.
        for images_NHWC, wrong in self.threads.map(self._decode, chunks):
            latents.append(self.encoder.encode(images_NHWC))
            errors += wrong
        latent_ND = np.concatenate(latents)
        return latent_ND, errors

    def _decode(self, data: list[bytes | None]) -> tuple[np.ndarray, list[Wrong | None]]:
        return decode_batch(data, self.image, self.spec.limits)

    def _commit(self, index: int, table: pa.Table, label_N: np.ndarray, judged: Judgement) -> None:
        classes = self.regions.classes
        whole = pa.table({**_columns(table), **judged.columns}, schema=verdict_schema(classes))
        kept = (
            ["accepted", "rejected", "error"] if self.spec.keep_rejected else ["accepted", "error"]
        )
        tables = {kind: whole.filter(pa.array(judged.verdict_N == kind)) for kind in kept}
        tables["scores"] = whole.drop_columns(["image"]).cast(score_schema(classes))
        by_class: dict[str, Counter[str]] = {}
        for label, verdict in zip(label_N, judged.verdict_N, strict=True):
            name = classes[label] if label != UNKNOWN else ""
            by_class.setdefault(name, Counter())[str(verdict)] += 1
        counted = Counter(str(verdict) for verdict in judged.verdict_N)
        commit_unit(
            self.spec.out,
            index,
            self.work,
            tables,
            outcomes={kind: counted[kind] for kind in ("accepted", "rejected", "error")},
            reasons=dict(Counter(str(reason) for reason in judged.reason_N)),
            by_class={name: dict(counts) for name, counts in by_class.items()},
        )


def own_labels(table: pa.Table, to_class: tuple[int, ...]) -> np.ndarray:
    """(N,) labels among the references' classes, -1 for none."""
    mapping_K = np.array([*to_class, UNKNOWN])
    label_N = np.asarray(table["label"].fill_null(len(to_class)))
    outside_N = (label_N < 0) | (label_N > len(to_class))
    return mapping_K[np.where(outside_N, len(to_class), label_N)]


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: table[name] for name in table.column_names}
