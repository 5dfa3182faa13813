"""Augmentation: candidates that are transformed copies of references.

Candidate i of an entry is made from reference i // per_reference, with randomness
from (run seed, entry's name, i) alone: any actor makes the same bytes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from rayqc.config import Augment
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryPlace, GeneratorKind
from rayqc.generators.policies import make_transform
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_table
from rayqc.storage import Folder, canonical_json, digest, read_table
from rayqc.units import Unit, slices


@dataclass(kw_only=True)
class AugmentSource:
    """A source of `per_reference` candidates of each reference in a run."""

    references: Folder
    """Folder that holds the table of references."""
    table: str
    classes: tuple[str, ...]
    count: int
    """References in the table."""
    references_digest: str
    name: str
    """Goes before the candidates' ids, and seeds this entry apart from others."""
    seed: int
    policy: str | list[dict[str, Any]]
    per_reference: int
    limits: Limits = field(default_factory=Limits)
    _rows: pa.Table | None = field(default=None, repr=False)
    _pixels: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _transforms: dict[int, nn.Module] = field(default_factory=dict, repr=False)

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of candidate numbers; see `Source`."""
        made_from = [self.references_digest, self.seed, self.name, self.policy, self.per_reference]
        tag = digest(canonical_json(made_from))
        return [
            Unit(entry=0, path="augment", start=start, stop=stop, fingerprint=tag)
            for start, stop in slices(self.count * self.per_reference, most_rows)
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """See `Source`."""
        label_N = np.asarray(self._references()["label"])
        return np.asarray(label_N[unit.rows() // self.per_reference])

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """Make the unit's candidates, none of which is too large; see `Source`."""
        rows = unit.rows()
        parent_id = self._references()["id"].to_pylist()
        parents = [parent_id[row // self.per_reference] for row in rows]
        return candidate_table(
            self.classes,
            ids=[f"{self.name}/{row:09d}" for row in rows],
            images=[self._candidate(int(row)) for row in rows],
            labels=self.labels(unit),
            sources=[f"augment seed={self.seed}"] * len(rows),
            parents=parents,
        )

    def _candidate(self, row: int) -> bytes:
        pixels_HWC = self._reference_pixels(row // self.per_reference)
        channels = pixels_HWC.shape[2]
        if channels not in self._transforms:
            self._transforms[channels] = make_transform(self.policy, channels)
        seeds = np.random.SeedSequence([self.seed, *self.name.encode(), row])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
            made_CHW = self._apply(self._transforms[channels], pixels_HWC, row)
        return encode_png(made_CHW.permute(1, 2, 0).contiguous().numpy())

    def _apply(self, transform: nn.Module, pixels_HWC: np.ndarray, row: int) -> torch.Tensor:
        where = f"pool entry {self.name}: the policy"
        try:
            made = transform(torch.from_numpy(pixels_HWC).permute(2, 0, 1))
        except (ValueError, TypeError, RuntimeError) as error:
            raise ConfigError(f"{where} fails on candidate {row}: {error}") from error
        if made.dtype != torch.uint8 or made.ndim != 3 or made.shape[0] not in (1, 3):
            raise ConfigError(
                f"{where} gives {made.dtype} of shape {tuple(made.shape)}; expected uint8 of shape "
                "(1 or 3, height, width), so leave out steps that change the type"
            )
        return torch.as_tensor(made)

    def _reference_pixels(self, reference: int) -> np.ndarray:
        if reference not in self._pixels:
            # Candidates of one reference come one after another, so the last one is enough.
            self._pixels.clear()
            data = self._references()["image"][reference]["bytes"].as_py()
            self._pixels[reference] = decode_native(data, self.limits).copy()
        return self._pixels[reference]

    def _references(self) -> pa.Table:
        if self._rows is None:
            self._rows = read_table(self.references, self.table)
        return self._rows


def augment_source(entry: Augment, place: EntryPlace) -> AugmentSource:
    """The source of a pool entry's candidates."""
    return AugmentSource(
        references=place.model,
        table=place.table,
        classes=place.classes,
        count=place.references,
        references_digest=place.references_digest,
        name=place.name,
        seed=place.seed,
        policy=entry.policy,
        per_reference=entry.per_reference,
        limits=place.limits,
    )


def check_policy(entry: Augment) -> None:
    """Make the policy's transform, which says what is wrong with it."""
    make_transform(entry.policy, channels=3)


KIND = GeneratorKind(source=augment_source, check=check_policy, tried_first=True)
