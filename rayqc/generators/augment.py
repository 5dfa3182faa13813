"""Augmentation: candidates that are transformed copies of reference images.

Candidate i of an entry is made from reference image i // per_reference, with randomness
from (run seed, entry's name, i) alone, so every actor makes the same bytes of it.

Shape suffixes: N images, C H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from rayqc.config import Augment
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryContext, GeneratorKind
from rayqc.generators.policies import make_transform
from rayqc.images.decode import Limits, decode_native
from rayqc.images.encode import encode_png
from rayqc.schema import candidate_table, image_bytes
from rayqc.sources.cut import UNIT_BYTES
from rayqc.sources.rows import RowReader
from rayqc.storage import Folder, canonical_json, digest, read_table
from rayqc.units import Unit, slices

CHANNELS = 3
"""Bytes of a pixel at most."""


@dataclass(kw_only=True)
class AugmentSource:
    """A source of `per_reference` candidates of each reference image of a run."""

    references: Folder
    """Folder that holds the table of reference images."""
    table: str
    classes: tuple[str, ...]
    count: int
    """Reference images in the table."""
    references_digest: str
    name: str
    """Of the pool entry; begins the candidates' ids, and is part of their seeds."""
    seed: int
    policy: str | list[dict[str, Any]]
    per_reference: int
    most_pixels: int = 0
    """Pixels of the largest reference."""
    limits: Limits = field(default_factory=Limits)
    _named: pa.Table | None = field(default=None, repr=False)
    _images: RowReader | None = field(default=None, repr=False)
    _pixels_by_reference: dict[int, np.ndarray] = field(default_factory=dict, repr=False)
    _transform_by_channels: dict[int, nn.Module] = field(default_factory=dict, repr=False)

    def units(self, most_rows: int) -> list[Unit]:
        """Ranges of candidate numbers, at most `most_rows` in each; see `Source`.

        Candidates are PNG of the references' own size, which of a photograph is nearly as large as
        its pixels.
        """
        that_fit = UNIT_BYTES // max(1, CHANNELS * self.most_pixels)
        identity = [self.references_digest, self.seed, self.name, self.policy, self.per_reference]
        fingerprint = digest(canonical_json(identity))
        return [
            Unit(entry=0, path="augment", start=start, stop=stop, fingerprint=fingerprint)
            for start, stop in slices(
                self.count * self.per_reference, max(1, min(most_rows, that_fit))
            )
        ]

    def labels(self, unit: Unit) -> np.ndarray:
        """(n,) int64, the labels of the reference images that the candidates are made from."""
        label_N = np.asarray(self._references()["label"])
        return np.asarray(label_N[unit.rows() // self.per_reference])

    def read(self, unit: Unit, max_bytes: int | None = None) -> pa.Table:
        """Make the unit's candidates; `max_bytes` is for files and not used. See `Source`."""
        rows = unit.rows()
        reference_ids = self._references()["id"].to_pylist()
        parent_ids = [reference_ids[row // self.per_reference] for row in rows]
        return candidate_table(
            self.classes,
            ids=[f"{self.name}/{row:09d}" for row in rows],
            images=[self._candidate(int(row)) for row in rows],
            labels=self.labels(unit),
            sources=[f"augment seed={self.seed}"] * len(rows),
            parents=parent_ids,
        )

    def _candidate(self, row: int) -> bytes:
        pixels_HWC = self._reference_pixels(row // self.per_reference)
        channels = pixels_HWC.shape[2]
        if channels not in self._transform_by_channels:
            self._transform_by_channels[channels] = make_transform(self.policy, channels)
        seeds = np.random.SeedSequence([self.seed, *self.name.encode(), row])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
            image_CHW = self._apply(self._transform_by_channels[channels], pixels_HWC, row)
        return encode_png(image_CHW.permute(1, 2, 0).contiguous().numpy())

    def _apply(self, transform: nn.Module, pixels_HWC: np.ndarray, row: int) -> torch.Tensor:
        subject = f"pool entry {self.name}: the policy"
        try:
            image_CHW = transform(torch.from_numpy(pixels_HWC).permute(2, 0, 1))
        except Exception as error:  # torchvision's steps may raise any exception
            raise ConfigError(f"{subject} fails on candidate {row}: {error}") from error
        if not isinstance(image_CHW, torch.Tensor):
            raise ConfigError(
                f"{subject} gives {type(image_CHW).__name__}; expected one tensor, so leave out "
                "steps that change the type or give several images"
            )
        if (
            image_CHW.dtype != torch.uint8
            or image_CHW.ndim != 3
            or image_CHW.shape[0] not in (1, 3)
        ):
            raise ConfigError(
                f"{subject} gives {image_CHW.dtype} of shape {tuple(image_CHW.shape)}; "
                "expected uint8 of shape (1 or 3, height, width), so leave out steps that change "
                "the type"
            )
        return torch.as_tensor(image_CHW)

    def _reference_pixels(self, reference: int) -> np.ndarray:
        if reference not in self._pixels_by_reference:
            # Candidates of one reference image are made in a row, so only its pixels are kept.
            self._pixels_by_reference.clear()
            if self._images is None:
                file = pq.ParquetFile(self.references.open(self.table))
                self._images = RowReader(file, ["image"])
            (encoded,) = image_bytes(self._images.read(reference, reference + 1))
            self._pixels_by_reference[reference] = decode_native(encoded, self.limits).copy()
        return self._pixels_by_reference[reference]

    def _references(self) -> pa.Table:
        """Ids and labels; all images together may be larger than an actor's memory."""
        if self._named is None:
            self._named = read_table(self.references, self.table, ["id", "label"])
        return self._named

    def __getstate__(self) -> dict[str, Any]:
        """What an actor needs: each opens the table itself."""
        opened = {"_named": None, "_images": None}
        return {**self.__dict__, **opened, "_pixels_by_reference": {}, "_transform_by_channels": {}}


def augment_source(entry: Augment, context: EntryContext) -> AugmentSource:
    """The source of a pool entry's candidates."""
    return AugmentSource(
        references=context.model,
        most_pixels=context.most_pixels,
        table=context.table,
        classes=context.classes,
        count=context.references,
        references_digest=context.references_digest,
        name=context.name,
        seed=context.seed,
        policy=entry.policy,
        per_reference=entry.per_reference,
        limits=context.limits,
    )


def check_policy(entry: Augment) -> None:
    """Refuse a policy that gives no transform.

    Raises:
        ConfigError: as `make_transform` does.
    """
    make_transform(entry.policy, channels=3)


KIND = GeneratorKind(source=augment_source, check=check_policy, tried_first=True)
