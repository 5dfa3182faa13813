"""Candidates made on demand: a generator is asked for images of a class by their seeds.

Candidate i of a class is made from (run seed, entry's name, class, i) alone, and always in the
same batch: a generator whose output depends on what it makes beside an image gives the same bytes
for any number of actors and any division into units all the same.

Shape suffixes: N images, B images of a batch, H W C pixels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from rayqc.config import Generator
from rayqc.errors import ConfigError, RayqcError
from rayqc.generators.base import EntryPlace
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_table
from rayqc.storage import canonical_json, digest
from rayqc.units import Unit, slices


class Sampler(Protocol):
    """A generator, loaded."""

    def __call__(self, label_B: np.ndarray, seed_B: np.ndarray) -> np.ndarray:
        """Images of labels and seeds, (B, H, W, C) uint8 with C 1 or 3.

        Args:
            label_B: (B,) int64, in the references' classes.
            seed_B: (B,) uint64 below 2**63; equal seeds are to give equal images.
        """
        ...


class Maker(Protocol):
    """How to load a generator: small, and safe to send to other processes."""

    @property
    def identity(self) -> str:
        """Changes when its images would."""
        ...

    def open(self, device: str) -> Sampler:
        """Load it."""
        ...


OWN_BATCH = 128
"""Images that the run's own networks make at once; part of what decides their last digits."""


@dataclass(kw_only=True)
class SampledSource:
    """A source of so many candidates a class."""

    maker: Maker
    classes: tuple[str, ...]
    per_class: int
    name: str
    """Goes before the candidates' ids, and seeds this entry apart from others."""
    seed: int
    batch: int
    """Images asked for at once, all of one class."""
    unit_batches: int | None = None
    """Batches of a unit at most; None leaves it to the units' rows."""
    device: str = "cpu"
    _sampler: Sampler | None = field(default=None, repr=False, compare=False)
    _fingerprint: str = field(default="", repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sampler": None}

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of candidate numbers, class by class; see `Source`."""
        return [
            unit
            for label in range(len(self.classes))
            for unit in self.units_of(label, 0, self.per_class, most_rows)
        ]

    def units_of(self, label: int, start: int, stop: int, most_rows: int) -> list[Unit]:
        """Candidates [start, stop) of a class, in units that hold whole batches."""
        if stop <= start:
            return []  # else a batch that `start` lies within would be a unit without rows
        first, last = start // self.batch, -(-stop // self.batch)
        most = max(1, min(most_rows // self.batch, self.unit_batches or most_rows))
        return [
            Unit(
                entry=0,
                path=str(label),
                start=max(start, (first + a) * self.batch),
                stop=min(stop, (first + b) * self.batch),
                fingerprint=self.fingerprint,
            )
            for a, b in slices(last - first, most)
        ]

    @property
    def fingerprint(self) -> str:
        """Of all that decides the images; taken once, since a file may be large."""
        if not self._fingerprint:
            made_from = [self.maker.identity, self.seed, self.name, self.batch, list(self.classes)]
            self._fingerprint = digest(canonical_json(made_from))
        return self._fingerprint

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        return np.full(unit.count(), int(unit.path), np.int64)

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """Make the unit's candidates, none of which is too large; see `Source`."""
        rows, label = unit.rows(), int(unit.path)
        images: list[bytes] = []
        for number in np.unique(rows // self.batch):
            made_BHWC = self._batch(label, int(number))
            places = rows[rows // self.batch == number] % self.batch
            images += [encode_png(made_BHWC[place]) for place in places]
        return candidate_table(
            self.classes,
            ids=[f"{self.name}/{label:04d}-{row:09d}" for row in rows],
            images=images,
            labels=self.labels(unit),
            sources=[f"{self.name} seed={self.seed}"] * len(rows),
        )

    def _batch(self, label: int, number: int) -> np.ndarray:
        first = number * self.batch
        seed_B = np.array(
            [self._seed(label, row) for row in range(first, first + self.batch)], np.uint64
        )
        label_B = np.full(self.batch, label, np.int64)
        who = f"pool entry {self.name}: its generator"
        try:
            if self._sampler is None:
                self._sampler = self.maker.open(self.device)
            made = self._sampler(label_B, seed_B)
        except RayqcError:
            raise
        except Exception as error:  # somebody else's code raises whatever it likes
            raise ConfigError(
                f"{who} failed on {self.batch} images of class {self.classes[label]}: "
                f"{type(error).__name__}: {error}"
            ) from error
        return checked(made, self.batch, who)

    def _seed(self, label: int, row: int) -> int:
        words = np.random.SeedSequence([self.seed, *self.name.encode(), label, row])
        return int(words.generate_state(1, np.uint64)[0] >> np.uint64(1))


def sampled_source(
    maker: Maker,
    entry: Generator,
    place: EntryPlace,
    batch: int = OWN_BATCH,
    unit_batches: int | None = None,
) -> SampledSource:
    """The source of a pool entry's candidates; see `SampledSource`."""
    return SampledSource(
        maker=maker,
        classes=place.classes,
        per_class=entry.per_class,
        name=place.name,
        seed=place.seed,
        batch=batch,
        unit_batches=unit_batches,
    )


def checked(made: Any, count: int, who: str) -> np.ndarray:
    """(count, H, W, C) uint8 pixels of whatever a generator gave.

    Args:
        made: an array or tensor of (count, H, W) or (count, H, W, C), or a sequence of such
            images or of Pillow's.

    Raises:
        ConfigError: it is none of these.
    """
    try:
        found = np.asarray(made.cpu() if hasattr(made, "cpu") else made)
        if found.dtype == object or isinstance(made, (list, tuple)):
            found = np.stack([_pixels(one) for one in made])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{who} gave {type(made).__name__} that is no images: {error}") from error
    if found.ndim == 3:
        found = found[..., None]
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] not in (1, 3):
        raise ConfigError(
            f"{who} gave {found.dtype} of shape {found.shape}; expected uint8 of shape "
            f"({count}, height, width, 1 or 3)"
        )
    if len(found) != count:
        raise ConfigError(f"{who} gave {len(found)} images, {count} were asked for")
    return found


def _pixels(image: Any) -> np.ndarray:
    """Of one image; a Pillow image of another mode than gray becomes RGB."""
    mode = getattr(image, "mode", None)
    return np.asarray(image if mode in (None, "L", "RGB") else image.convert("RGB"))


def normal(seed_B: np.ndarray, width: int) -> np.ndarray:
    """(B, width) float32 standard normal noise, each row of its own seed."""
    rows = [np.random.default_rng(int(seed)).standard_normal(width, np.float32) for seed in seed_B]
    return np.stack(rows)
