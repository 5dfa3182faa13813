"""Candidates made on demand: a generator takes labels and seeds and gives images.

Candidate i of a class is made from (run seed, entry's name, class, i) alone, and always in the
same batch. So even a generator whose images depend on their batch gives the same bytes for any
number of actors and any division into units.

Shape suffixes: N images, B images of a batch, H W C pixels, K classes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import PIL.Image
import pyarrow as pa
import torch

from rayqc.config import Generator
from rayqc.errors import ConfigError, RayqcError
from rayqc.generators.base import EntryContext
from rayqc.images.decode import ImageError, to_mode
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_table
from rayqc.sources.problems import Problem, with_problems
from rayqc.storage import canonical_json, digest
from rayqc.units import Unit, slices


class Sampler(Protocol):
    """A loaded generator."""

    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        """Images of labels and seeds, (B, H, W, C) uint8 with C 1 or 3.

        Args:
            label_B: (B,) int64, among the reference images' classes.
            seed_B: (B,) uint64 below 2**63; equal seeds must give equal images.
        """
        ...


class Maker(Protocol):
    """How to load a generator. It is small, and safe to send to other processes."""

    @property
    def identity(self) -> str:
        """A string that changes whenever the generator's images would."""
        ...

    def open(self, device: str) -> Sampler:
        """Load the generator onto a device, such as `cpu` or `cuda`."""
        ...


logger = logging.getLogger(__name__)

GENERATOR_ERROR = "generator_error"
"""Reason of candidates that their generator fails on, and not on others."""
PROBE_SEED = np.uint64(2**62)
"""First seed of a batch that tells a generator that fails on some seeds from a broken one."""
OWN_BATCH = 128
"""Images that the run's own networks make at once; another size would change the last digits."""


@dataclass(kw_only=True)
class SampledSource:
    """A source of `per_class` candidates of each class."""

    maker: Maker
    classes: tuple[str, ...]
    per_class: int
    name: str
    """Of the pool entry; begins the candidates' ids, and is part of their seeds."""
    seed: int
    batch: int
    """Images that the generator makes at once, all of one class."""
    unit_batches: int | None = None
    """Batches in a unit at most; None where only the rows of a unit are limited."""
    device: str = "cpu"
    _sampler: Sampler | None = field(default=None, repr=False, compare=False)
    _fingerprint: str = field(default="", repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sampler": None}

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of candidate numbers, at most `most_rows` in each, by class; see `Source`."""
        return [
            unit
            for label in range(len(self.classes))
            for unit in self.units_of(label, 0, self.per_class, most_rows)
        ]

    def units_of(self, label: int, start: int, stop: int, most_rows: int) -> list[Unit]:
        """Candidates [start, stop) of a class, divided at the borders of batches."""
        if stop <= start:
            return []  # otherwise the batch that holds `start` would become a unit without rows
        first_batch, stop_batch = start // self.batch, -(-stop // self.batch)
        unit_batches = max(1, min(most_rows // self.batch, self.unit_batches or most_rows))
        return [
            Unit(
                entry=0,
                path=str(label),
                start=max(start, (first_batch + a) * self.batch),
                stop=min(stop, (first_batch + b) * self.batch),
                fingerprint=self.fingerprint,
            )
            for a, b in slices(stop_batch - first_batch, unit_batches)
        ]

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the images; computed once, since a file may be large."""
        if not self._fingerprint:
            identity = [self.maker.identity, self.seed, self.name, self.batch, list(self.classes)]
            self._fingerprint = digest(canonical_json(identity))
        return self._fingerprint

    def labels(self, unit: Unit) -> np.ndarray:
        """(n,) int64, the unit's class for each of its candidates."""
        return np.full(unit.count(), int(unit.path), np.int64)

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """Make the unit's candidates; `max_bytes` is for files and not used. See `Source`.

        Candidates of a batch that the generator fails on have a problem and no image.

        Raises:
            ConfigError: the generator cannot be loaded, or fails on other seeds, too.
        """
        rows, label = unit.rows(), int(unit.path)
        images: list[bytes | None] = []
        problems: list[Problem | None] = []
        for batch_number in np.unique(rows // self.batch):
            offsets = rows[rows // self.batch == batch_number] % self.batch
            try:
                pixels_BHWC = self._batch(label, int(batch_number))
            except ConfigError as error:
                self._sample(label, PROBE_SEED + np.arange(self.batch, dtype=np.uint64))
                logger.warning("%s; other seeds work", error)
                images += [None] * len(offsets)
                problems += [(GENERATOR_ERROR, str(error))] * len(offsets)
                continue
            images += [encode_png(pixels_BHWC[offset]) for offset in offsets]
            problems += [None] * len(offsets)
        table = candidate_table(
            self.classes,
            ids=[f"{self.name}/{label:04d}-{row:09d}" for row in rows],
            images=images,
            labels=self.labels(unit),
            sources=[f"{self.name} seed={self.seed}"] * len(rows),
        )
        return with_problems(table, problems)

    def _batch(self, label: int, batch_number: int) -> np.ndarray:
        start = batch_number * self.batch
        seeds = [self._seed(label, row) for row in range(start, start + self.batch)]
        return self._sample(label, np.array(seeds, np.uint64))

    def _sample(self, label: int, seed_B: np.ndarray) -> np.ndarray:
        """(B, H, W, C) uint8 images of a class.

        Raises:
            ConfigError: the generator fails, or gives something else.
        """
        label_B = np.full(self.batch, label, np.int64)
        subject = f"pool entry {self.name}: its generator"
        try:
            if self._sampler is None:
                self._sampler = self.maker.open(self.device)
            output = self._sampler(label_B, seed_B)
        except RayqcError:
            raise
        except Exception as error:  # the user's code may raise any exception
            raise ConfigError(
                f"{subject} failed on {self.batch} images of class {self.classes[label]}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return checked(output, self.batch, subject)

    def _seed(self, label: int, row: int) -> int:
        seed_sequence = np.random.SeedSequence([self.seed, *self.name.encode(), label, row])
        return int(seed_sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def sampled_source(
    maker: Maker,
    entry: Generator,
    context: EntryContext,
    batch: int = OWN_BATCH,
    unit_batches: int | None = None,
) -> SampledSource:
    """The source of a pool entry's candidates; see `SampledSource`."""
    return SampledSource(
        maker=maker,
        classes=context.classes,
        per_class=entry.per_class,
        name=context.name,
        seed=context.seed,
        batch=batch,
        unit_batches=unit_batches,
    )


def checked(made: Any, count: int, who: str) -> np.ndarray:
    """The images that a generator gave, as (count, H, W, C) uint8 pixels.

    Args:
        made: uint8 array or tensor of (count, H, W) or (count, H, W, C), or a sequence of such
            images or of Pillow's.
        count: number of images that the generator was asked for.
        who: the generator, for the error.

    Raises:
        ConfigError: `made` is none of these, or holds another number of images.
    """
    try:
        pixels_NHWC = _pixels(made)
        if pixels_NHWC.dtype == object or isinstance(made, (list, tuple)):
            pixels_NHWC = np.stack([_pixels(image) for image in made])
    except (TypeError, ValueError, RuntimeError, ImageError) as error:
        raise ConfigError(f"{who} gave {type(made).__name__} that is no images: {error}") from error
    if pixels_NHWC.ndim == 3:
        pixels_NHWC = pixels_NHWC[..., None]
    if (
        pixels_NHWC.dtype != np.uint8
        or pixels_NHWC.ndim != 4
        or pixels_NHWC.shape[3] not in (1, 3)
        or not all(pixels_NHWC.shape[1:])
    ):
        raise ConfigError(
            f"{who} gave {pixels_NHWC.dtype} of shape {pixels_NHWC.shape}; expected uint8 of shape "
            f"({count}, height, width, 1 or 3)"
        )
    if len(pixels_NHWC) != count:
        raise ConfigError(f"{who} gave {len(pixels_NHWC)} images, {count} were asked for")
    return pixels_NHWC


def _pixels(made: Any) -> np.ndarray:
    """Pixels of an array, a tensor or one Pillow image, converted as those of files are.

    Raises:
        TypeError: a Pillow image of more than 8 bits.
    """
    if isinstance(made, torch.Tensor):
        return np.asarray(made.detach().cpu())
    if isinstance(made, PIL.Image.Image):
        if made.mode.startswith(("I", "F")):
            raise TypeError(f"Pillow images of mode {made.mode}; expected 8 bits, as L or RGB")
        return np.asarray(made if made.mode == "L" else to_mode(made, 3))
    return np.asarray(made)


def normal(seed_B: np.ndarray, width: int) -> np.ndarray:
    """(B, width) float32 standard normal noise, each row drawn from its own seed.

    Args:
        seed_B: (B,) uint64.
    """
    rows = [np.random.default_rng(int(seed)).standard_normal(width, np.float32) for seed in seed_B]
    return np.stack(rows)
