"""One unit of the filter: read, decode, encode, score, write, commit.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.decode import Limits, Wrong, decode_batch
from rayqc.ledger.commit import commit_unit
from rayqc.ledger.plan import work_digest
from rayqc.regions import Candidates, load_regions
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import candidate_schema, image_bytes, score_schema, verdict_schema
from rayqc.sources.problems import problems_of
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.verdicts import VERDICTS
from rayqc.work.columns import Judgement, VerdictColumns
from rayqc.work.match_classes import UNKNOWN, PoolSource, own_labels

POISON = "poison"
"""Reason of an image that takes its process down each time."""
DECODE_THREADS = 4
"""Beside a GPU. Where one core does all, threads only wait for each other."""


@dataclass(frozen=True, kw_only=True)
class FilterSpec:
    """All a worker needs to judge units."""

    out: Folder
    model: Folder
    trusted: str | None
    """Python target of the encoder that the user named; see `load_encoder`."""
    regions: Folder
    sources: tuple[PoolSource, ...]
    limits: Limits
    micro_batch: int
    keep: tuple[str, ...]
    """Verdicts whose images are written; scores are in any case."""
    statistics: StatisticChoice
    device: str = "cpu"
    precision: str = "float32"


class FilterWorker:
    """Loads encoder and regions once, then judges and commits unit after unit."""

    def __init__(self, spec: FilterSpec) -> None:
        trained = load_encoder(spec.model, spec.trusted)
        self.spec = spec
        self.image = trained.image
        self.encoder = LatentEncoder(trained.network, spec.micro_batch, spec.device, spec.precision)
        latent_dim = trained.network.latent_dim
        self.fitted = load_regions(spec.regions, trained.digest, latent_dim)
        self.work = work_digest(spec.out)
        self.threads = ThreadPoolExecutor(DECODE_THREADS) if spec.device != "cpu" else None

    def __call__(self, index: int, unit: Unit, poison: dict[int, str]) -> None:
        """Judge all rows of the unit and commit them."""
        table, label_N, error_N = self._read(unit)
        for row, how in poison.items():
            error_N[row] = (POISON, how)
        judged = self.judge(table, label_N, error_N)
        label = pa.array(label_N, mask=label_N == UNKNOWN)
        table = table.set_column(2, "label", label)
        self._commit(index, table, label_N, judged)

    def rehearsal(self, unit: Unit) -> tuple[int, Callable[[int], None]]:
        """All that is done with a row but its commit; see `isolate.Isolable`."""
        table, label_N, error_N = self._read(unit)

        def attempt(row: int) -> None:
            self.judge(table.slice(row, 1), label_N[row : row + 1], error_N[row : row + 1])

        return table.num_rows, attempt

    def _read(self, unit: Unit) -> tuple[pa.Table, np.ndarray, list[Wrong | None]]:
        """The unit's rows, their labels among the regions' classes, and what the source met."""
        entry = self.spec.sources[unit.entry]
        table = entry.source.read(unit, self.spec.limits.max_bytes)
        error_N = problems_of(table)
        table = table.select(candidate_schema(()).names)
        if entry.prefix:
            ids = [f"{entry.prefix}/{name}" for name in table["id"].to_pylist()]
            table = table.set_column(0, table.schema.field("id"), pa.array(ids, pa.string()))
        return table, own_labels(table, entry.to_class), error_N

    def judge(self, table: pa.Table, label_N: np.ndarray, known_N: list[Wrong | None]) -> Judgement:
        """Verdicts on candidates; what cannot be decoded or has no known class is an error.

        Args:
            known_N: errors known already; these images are not decoded.
        """
        statistic_N = self.spec.statistics.of(table["id"].to_pylist())
        images_NHWC, latent_ND, error_N = self._encode(table, known_N)
        for row in np.flatnonzero(label_N == UNKNOWN):
            known = table["label"][row].is_valid
            what = ("unknown_class", "no reference class has this name") if known else None
            error_N[row] = error_N[row] or what or ("no_label", "no label, or no class folder")
        for row in np.flatnonzero(~np.isfinite(latent_ND).all(1)):
            error_N[row] = error_N[row] or ("nonfinite", "the encoder gave NaN or infinity")
        sound_N = np.array([error is None for error in error_N], dtype=bool)
        everything = Candidates(images_NHWC=images_NHWC, latent_ND=latent_ND, label_N=label_N)
        columns = VerdictColumns(table.num_rows)
        for statistic in np.unique(statistic_N[sound_N]):
            rows = np.flatnonzero(sound_N & (statistic_N == statistic))
            candidates = everything[rows]
            verdicts = self.fitted.regions.judge(candidates, statistic)
            columns.fill(rows, candidates, verdicts, self.fitted)
        return columns.judgement(error_N)

    def _encode(
        self, table: pa.Table, known_N: list[Wrong | None]
    ) -> tuple[np.ndarray, np.ndarray, list[Wrong | None]]:
        """Pixels and latents, zero where an image cannot be decoded, and what was wrong with it."""
        data = [
            None if known else one for one, known in zip(image_bytes(table), known_N, strict=True)
        ]
        size = self.spec.micro_batch
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        images, latents, errors = [], [], []
        # Threads decode ahead while this one encodes.
        in_turn = self.threads.map if self.threads else map
        for images_NHWC, wrong in in_turn(self._decode, chunks):
            images.append(images_NHWC)
            latents.append(self.encoder.encode(images_NHWC))
            errors += wrong
        error_N = [known or met for known, met in zip(known_N, errors, strict=True)]
        return np.concatenate(images), np.concatenate(latents), error_N

    def _decode(self, data: list[bytes | None]) -> tuple[np.ndarray, list[Wrong | None]]:
        return decode_batch(data, self.image, self.spec.limits)

    def _commit(self, index: int, table: pa.Table, label_N: np.ndarray, judged: Judgement) -> None:
        classes = self.fitted.regions.classes
        own = {name: table[name] for name in table.column_names}
        whole = pa.table({**own, **judged.columns}, schema=verdict_schema(classes))
        tables = {kind: whole.filter(pa.array(judged.verdict_N == kind)) for kind in self.spec.keep}
        tables["scores"] = whole.drop_columns(["image"]).cast(score_schema(classes))
        by_class: dict[str, dict[str, int]] = {}
        pairs = zip(label_N.tolist(), judged.verdict_N, strict=True)
        for (label, verdict), count in Counter(pairs).items():
            name = classes[label] if label != UNKNOWN else ""
            by_class.setdefault(name, {})[verdict] = count
        counted = Counter(judged.verdict_N)
        commit_unit(
            self.spec.out,
            index,
            self.work,
            tables,
            outcomes={kind: counted[kind] for kind in VERDICTS},
            reasons=dict(Counter(judged.reason_N)),
            by_class=by_class,
        )
