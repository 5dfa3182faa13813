"""One unit of the filter: read, decode, encode, score, write, commit.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.images.decode import Limits, Wrong, decode_batch_looks
from rayqc.images.detail import OwnSize
from rayqc.images.guarded import POISON
from rayqc.images.look import Look
from rayqc.ledger.commit import Commit, commit_unit
from rayqc.ledger.plan import work_digest
from rayqc.regions import Candidates, load_regions
from rayqc.regions.statistic_choice import StatisticChoice
from rayqc.schema import (
    LATENT,
    candidate_schema,
    image_bytes,
    like_scores,
    verdict_schema,
)
from rayqc.sources.problems import problems_of
from rayqc.storage import Folder
from rayqc.units import Unit
from rayqc.verdicts import ERROR, VERDICTS
from rayqc.work.columns import Judgement, VerdictColumns, seen_columns, verdict_values
from rayqc.work.known_images import KnownImages, content_of, contents_of, digests_of
from rayqc.work.latent_columns import all_finite, given_latents, kept_latents
from rayqc.work.match_classes import UNKNOWN, PoolSource, own_labels
from rayqc.work.sparing import Failures, failures_of, words_of

T = TypeVar("T")
R = TypeVar("R")

ENCODER_ERROR, SCORE_ERROR = "encoder_error", "score_error"
"""Reasons of images that make the encoder, or a score, raise."""
SCORED_ROWS = 256
"""Rows that a thread scores at once, where there are several threads."""


@dataclass(frozen=True, kw_only=True)
class FilterSpec:
    """Everything that a worker needs to judge units."""

    out: Folder
    model: Folder
    trusted: str | None
    """Python target of the encoder that the user named; see `load_encoder`."""
    regions: Folder
    run: Folder
    """Names the images that the run knows byte for byte."""
    sources: tuple[PoolSource, ...]
    limits: Limits
    micro_batch: int
    keep: tuple[str, ...]
    """Verdicts whose images are written; scores are written of all verdicts."""
    statistics: StatisticChoice
    keep_latents: bool = False
    device: str = "cpu"
    threads: int = 1
    """Threads that decode and score. More than one beside a GPU only: an actor on CPUs has one
    core, and threads would wait for it."""
    precision: str = "float32"


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """A chunk of images, as encoder and regions look at them."""

    images_NHWC: np.ndarray
    """uint8, in the run's size."""
    input_NHWC: np.ndarray
    """uint8, as the encoder takes them."""
    own_size: list[np.ndarray]
    """What is taken of the images at their own size (`images.detail`)."""
    errors: list[Wrong | None]


class FilterWorker:
    """Loads encoder and regions once, then judges and commits unit after unit."""

    def __init__(self, spec: FilterSpec) -> None:
        trained = load_encoder(spec.model, spec.trusted)
        self.spec = spec
        self.encoder = LatentEncoder(trained.network, spec.micro_batch, spec.device, spec.precision)
        latent_dim = trained.network.latent_dim
        self.fitted = load_regions(spec.regions, trained.digest, latent_dim)
        self.detail = self.fitted.regions.detail
        self.looks: list[Look] = [trained.image]
        if trained.input != trained.image:
            self.looks.append(trained.input)
        self.input_number = len(self.looks) - 1
        if self.detail is not None:
            self.looks += self.detail.looks
        self.work = work_digest(spec.out)
        self.known = KnownImages(spec.run)
        self.threads = ThreadPoolExecutor(spec.threads) if spec.threads > 1 else None

    def __call__(self, index: int, unit: Unit, poison: dict[int, str]) -> Commit | None:
        """Judge all rows of the unit and commit them.

        Args:
            poison: row numbers that are not decoded, and the message of each one's error.
        """
        table, label_N, error_N = self._read(unit)
        for row, message in poison.items():
            error_N[row] = (POISON, message)
        judged = self.judge(table, label_N, error_N)
        digests = digests_of(table)
        notes = self.known.notes(digests)
        judged.columns["message"] = pc.coalesce(judged.columns["message"], notes)
        label = pa.array(label_N, mask=label_N == UNKNOWN)
        content = content_of(table["id"].to_pylist(), label_N.tolist(), contents_of(table))
        table = table.set_column(2, "label", label).select(candidate_schema(()).names)
        return self._commit(index, table, label_N, judged, content)

    def rehearsal(self, unit: Unit) -> tuple[int, Callable[[int], None]]:
        """The unit's number of rows, and a function that judges one row; see `isolate.Isolable`."""
        table, label_N, error_N = self._read(unit)

        def attempt(row: int) -> None:
            self.judge(table.slice(row, 1), label_N[row : row + 1], error_N[row : row + 1])

        return table.num_rows, attempt

    def _read(self, unit: Unit) -> tuple[pa.Table, np.ndarray, list[Wrong | None]]:
        """The unit's rows, their labels among the regions' classes, and the source's errors."""
        pool_source = self.spec.sources[unit.entry]
        table = pool_source.read(unit, self.spec.limits.max_bytes)
        error_N = problems_of(table)
        given = [] if self.encoder.network.computes else [LATENT]
        table = table.select([*candidate_schema(()).names, *given])
        return table, own_labels(table, pool_source.to_class), error_N

    def judge(self, table: pa.Table, label_N: np.ndarray, known_N: list[Wrong | None]) -> Judgement:
        """Verdicts on candidates; one that cannot be decoded or has no known class is an error.

        Args:
            known_N: errors that are known already; images that have one are not decoded.
        """
        statistic_N = self.spec.statistics.of(table["id"].to_pylist())
        data = image_bytes(table)
        seen, error_N = self._encode(table, data, label_N, known_N)
        for row in np.flatnonzero(label_N == UNKNOWN):
            given = table["label"][row].as_py()
            has_label = given is not None and given >= 0
            class_error = (
                ("unknown_class", "no reference class has this name") if has_label else None
            )
            error_N[row] = (
                error_N[row] or class_error or ("no_label", "no label, or no class folder")
            )
        for row in np.flatnonzero(~all_finite([seen.latent_ND, *seen.inner.values()])):
            error_N[row] = error_N[row] or ("nonfinite", "the encoder gave NaN or infinity")
        valid_N = np.array([error is None for error in error_N], dtype=bool)
        columns = VerdictColumns(table.num_rows)
        for statistic in np.unique(statistic_N[valid_N]):
            rows = np.flatnonzero(valid_N & (statistic_N == statistic))
            failures = self._score(columns, seen, rows, statistic)
            for failed_row, error in failures.items():
                error_N[failed_row] = (SCORE_ERROR, words_of(error))
        sound_N = np.array([not error for error in error_N])
        kept = seen_columns(data, seen.images_NHWC, sound_N)
        return columns.judgement(error_N, seen.latent_ND, kept)

    def _score(
        self, columns: VerdictColumns, candidates: Candidates, rows: np.ndarray, statistic: str
    ) -> Failures:
        """Fill the columns of rows that are judged by a statistic; returns those that failed.

        Raises:
            Exception: what scoring raises for a blank image, too: no image is to blame.
        """

        def values(some: np.ndarray) -> dict[str, np.ndarray]:
            verdicts = self.fitted.regions.judge(candidates[some], statistic)
            return verdict_values(candidates[some], verdicts, self.fitted)

        failures: Failures = {}
        try:
            parts = np.array_split(rows, -(-rows.size // SCORED_ROWS)) if self.threads else [rows]
            for part, found in zip(parts, self._map(values, parts), strict=True):
                columns.fill(part, found)
        except Exception:
            self.fitted.regions.judge(candidates[rows[:1]].blank(), statistic)
            failures = failures_of(values, rows)
            sound_rows = rows[~np.isin(rows, list(failures))]
            # By itself, should some fail together that do not fail alone.
            for row in sound_rows:
                columns.fill(row[None], values(row[None]))
        return failures

    def _encode(
        self,
        table: pa.Table,
        data: list[bytes | None],
        label_N: np.ndarray,
        known_N: list[Wrong | None],
    ) -> tuple[Candidates, list[Wrong | None]]:
        """All rows as candidates, and errors; pixels are zero where an image was not decoded.

        Args:
            data: the table's encoded images.
        """
        untried = [None if error else image for image, error in zip(data, known_N, strict=True)]
        size = self.spec.micro_batch
        chunks = [untried[start : start + size] for start in range(0, len(untried), size)]
        images, features, own_size, errors = [], [], [], []
        # Threads decode later chunks while this thread encodes.
        given_ND = given_latents(table)
        first = 0
        for decoded in self._map(self._decode, chunks):
            if given_ND is None:
                features_NF, failures = self._features(decoded.input_NHWC)
            else:
                features_NF, failures = given_ND[first : first + len(decoded.errors)], {}
                first += len(decoded.errors)
            images.append(decoded.images_NHWC)
            features.append(features_NF)
            if self.detail is not None:
                own_size.append(self.detail.measured(decoded.own_size, self.spec.device))
            errors += [
                error or ((ENCODER_ERROR, words_of(failures[row])) if row in failures else None)
                for row, error in enumerate(decoded.errors)
            ]
        error_N = [
            known_error or decode_error
            for known_error, decode_error in zip(known_N, errors, strict=True)
        ]
        latent_ND, inner = self.encoder.split(np.concatenate(features))
        candidates = Candidates(
            images_NHWC=np.concatenate(images),
            latent_ND=latent_ND,
            label_N=label_N,
            own_size=OwnSize.concatenated(own_size),
            inner=inner,
        )
        return candidates, error_N

    def _map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """`map`, ahead in threads where there are several."""
        return self.threads.map(function, items) if self.threads else map(function, items)

    def _features(self, images_NHWC: np.ndarray) -> tuple[np.ndarray, Failures]:
        """Features of a chunk, zero for the rows that make the encoder fail, and how they do.

        Raises:
            Exception: what the encoder raises for blank images, too: no image is to blame.
        """
        try:
            return self.encoder.encode_all(images_NHWC), {}
        except Exception:
            self.encoder.encode_all(np.zeros_like(images_NHWC))

        def encode(rows: np.ndarray) -> np.ndarray:
            """Features of the chunk with all other rows blank; a row keeps its place in it."""
            some_NHWC = np.zeros_like(images_NHWC)
            some_NHWC[rows] = images_NHWC[rows]
            return self.encoder.encode_all(some_NHWC)

        every_row = np.arange(len(images_NHWC))
        failures = failures_of(encode, every_row)
        sound_rows = every_row[~np.isin(every_row, list(failures))]
        try:
            features_NF = encode(sound_rows)
        except Exception:  # some fail together that do not fail alone
            features_NF = np.zeros_like(self.encoder.encode_all(np.zeros_like(images_NHWC)))
            for row in sound_rows:
                features_NF[row] = encode(row[None])[row]
        features_NF[list(failures)] = 0
        return features_NF, failures

    def _decode(self, data: list[bytes | None]) -> _Decoded:
        """What encoder and regions look at; each image is decoded once."""
        found, errors = decode_batch_looks(data, self.looks, self.spec.limits)
        return _Decoded(
            images_NHWC=found[0],
            input_NHWC=found[self.input_number],
            own_size=found[self.input_number + 1 :],
            errors=errors,
        )

    def _commit(
        self, index: int, table: pa.Table, label_N: np.ndarray, judged: Judgement, content: str
    ) -> Commit | None:
        classes = self.fitted.regions.classes
        pool_columns = {name: table[name] for name in table.column_names}
        rows = pa.table({**pool_columns, **judged.columns}, schema=verdict_schema(classes))
        tables = {
            verdict: rows.filter(pa.array(judged.verdict_N == verdict))
            for verdict in self.spec.keep
        }
        scores = rows.drop_columns(["image"])
        for name, column in judged.seen.items():
            scores = scores.append_column(name, column)
        if self.spec.keep_latents:
            sound_N = judged.verdict_N != ERROR
            scores = scores.append_column(LATENT, kept_latents(judged.latent_ND, sound_N))
        tables["scores"] = scores.cast(like_scores(scores.schema, classes))
        by_class: dict[str, dict[str, int]] = {}
        label_verdicts = zip(label_N.tolist(), judged.verdict_N, strict=True)
        for (label, verdict), count in Counter(label_verdicts).items():
            name = classes[label] if label != UNKNOWN else ""
            by_class.setdefault(name, {})[verdict] = count
        verdict_counts = Counter(judged.verdict_N)
        return commit_unit(
            self.spec.out,
            index,
            self.work,
            tables,
            outcomes={verdict: verdict_counts[verdict] for verdict in VERDICTS},
            reasons=dict(Counter(judged.reason_N)),
            by_class=by_class,
            content=content,
        )
