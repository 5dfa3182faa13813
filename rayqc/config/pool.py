"""Entries of the pool: images that exist already, and generators of several kinds."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from rayqc.config.base import (
    FILES,
    JOINT,
    Data,
    NamesCode,
    Policy,
    PositiveInt,
    Settings,
    Statistic,
    one_of,
)
from rayqc.kinds import GENERATORS, SOURCES
from rayqc.targets import load_target

BUNDLED = "bundled:"
"""Begins the path of a network that comes with the package, as `bundled:digits.pt` does."""

PlainName = Annotated[str, Field(pattern=r"^[^/]+$")]


class Files(Data):
    """A pool entry: images that are there already."""

    # An entry of a generator's kind is never read as files: those kinds are here because the error
    # for a mistyped kind lists them.
    kind: Annotated[str, one_of(FILES, *SOURCES.names, *GENERATORS.names)] = FILES
    """`files` looks what is at `path`; the others say so. `bundled` is the package's own digits."""
    default_statistic: ClassVar[Statistic] = JOINT

    statistic: Statistic | None = None
    """What calibrated regions judge by: one score, such as `label`, or all of them, `joint`; null
    is joint."""

    name: PlainName | None = None
    """Goes before the ids of this entry's images; `files`, `files-2`, ... unless set."""


class MadeHere(NamesCode):
    """A pool entry whose candidates are made by the run itself."""

    default_statistic: ClassVar[Statistic] = JOINT
    """What calibrated regions judge by where the entry's `statistic` is null."""

    if TYPE_CHECKING:
        kind: str
        name: str | None
        statistic: Statistic | None


class Augment(MadeHere):
    """A pool entry: transformed copies of the references."""

    default_statistic: ClassVar[Statistic] = "label"

    kind: Literal["augment"]
    """Says that the candidates are made here."""
    name: PlainName | None = None
    """Goes before the ids of this entry's images; `augment`, `augment-2`, ... unless set."""
    policy: Policy | list[dict[str, Any]] = "moderate"
    """`mild`, `moderate`, `strong`, or a list of torchvision v2 transforms, applied in order:
    `[{name: RandomAffine, degrees: 10}, {name: RandomErasing, p: 0.2}]`."""
    statistic: Statistic | None = None
    """What calibrated regions judge by: one score or all of them, `joint`; null is `label`, since
    augmentation is meant to change how an image is made."""
    per_reference: PositiveInt = 10
    """Candidates made from each reference image."""


class Generator(MadeHere):
    """What all pool entries have in common that make images of a class on demand."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    """Goes before the ids of this entry's images, and names its folder; its kind (`gan`, `gan-2`,
    ...) unless set."""
    statistic: Statistic | None = None
    """What calibrated regions judge by: one score, such as `label`, or all of them, `joint`; null
    is joint."""
    per_class: PositiveInt = 1000
    """Candidates of each class."""
    share: Annotated[float, Field(gt=0)] = 1.0
    """Its weight among several generators in `rayqc generate --until`."""


class Gan(Generator):
    """A pool entry: a class-conditional GAN, trained on the references (docs/generators.md)."""

    kind: Literal["gan"]
    """Says that a GAN is trained here."""
    steps: PositiveInt = 6000
    """Optimiser steps of generator and discriminator each."""
    batch_size: PositiveInt = 32
    """Images a step, over all training workers together."""
    learning_rate: Annotated[float, Field(gt=0)] = 4e-4
    """Adam's, constant, of both networks."""
    penalty: Annotated[float, Field(ge=0)] = 0.5
    """On the discriminator's squared gradients at real pixels in [0, 1]."""
    width: PositiveInt = 16
    """Channels at full resolution; each halving of the side doubles them."""
    noise_dim: PositiveInt = 64
    """Length of the noise that an image is made from."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Of the moving average of the generator's weights, which makes the samples."""
    augment: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.5
    """Differentiable augmentation: the chance that the discriminator sees an image through a random
    affine map, and that of a random cutout."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the references it is not trained on, which choose the best checkpoint; spread over
    the classes, none from one with fewer than 3. 0 trains on all and chooses on them."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints; at each the quality is measured."""
    seed: Annotated[int, Field(ge=0)] | None = None
    """Of its training; null takes the run's."""


class Latent(Generator):
    """A pool entry: decodings of the run's own VAE near its references' latents. Cheap."""

    kind: Literal["vae"]
    """Says that the VAE makes candidates; `encoder.kind` must be vae."""
    spread: Annotated[float, Field(ge=0)] = 0.5
    """Noise added to a reference's latent, as a factor on its class's standard deviations."""


class Code(Generator):
    """A pool entry: somebody's generator in Python (docs/generators.md)."""

    code_setting: ClassVar[str] = "target"

    kind: Literal["python"]
    """Says that `target` makes candidates."""
    target: str
    """`package.module:Name`: called with `options`, gives what takes labels (N,) int64 and seeds
    (N,) uint64 to images: uint8 (N, H, W, C), or a list of Pillow images."""
    options: dict[str, Any] = {}
    """Keyword arguments of `target`."""
    batch_size: PositiveInt = 64
    """Images it is asked for at once; another number may give other images."""


class Exported(Generator):
    """A pool entry: a generator's network in a file (docs/generators.md)."""

    code_setting: ClassVar[str] = "path"  # a network is a program, and its reader may unpickle

    kind: Literal["exported"]
    """Says that a file's network makes candidates."""
    path: str
    """A TorchScript file, or *.pt2 of `torch.export.save`: takes noise (N, noise_dim) float32 and
    labels (N,) int64 to pixels (N, C, H, W). `bundled:NAME` is one of the package's own."""
    noise_dim: PositiveInt
    """Length of the standard normal noise."""
    low: Literal[0, -1] = 0
    """Least value of its pixels; the largest is 1."""
    batch_size: PositiveInt = 64
    """Images it is asked for at once, always so many."""


SETTINGS: dict[str, type[Settings]] = {
    name: load_target(entry.settings) for name, entry in GENERATORS.entries.items()
}
"""Kind of generator to the settings of a pool entry of that kind."""


def _entry_tag(entry: Any) -> str:
    """Name of the class that an entry is read as: a generator's by its kind, else `Files`."""
    kind = entry.get("kind") if isinstance(entry, dict) else getattr(entry, "kind", None)
    entry_class = SETTINGS.get(kind, Files) if isinstance(kind, str) else Files
    return entry_class.__name__


if TYPE_CHECKING:
    PoolEntry = Files | MadeHere
else:
    PoolEntry = Annotated[
        functools.reduce(
            operator.or_,
            (
                Annotated[entry_class, Tag(entry_class.__name__)]
                for entry_class in (Files, *SETTINGS.values())
            ),
        ),
        Discriminator(_entry_tag),
    ]


def statistic_of(entry: PoolEntry) -> Statistic:
    """The statistic that an entry's images are judged by."""
    return entry.statistic or entry.default_statistic


def made_in_the_runs_size(pool: list[PoolEntry]) -> bool:
    """Does the run itself make candidates in `image.size` that more than their label is judged of?

    Their detail cannot be that of larger references.
    """
    return any(isinstance(entry, Gan | Latent) and statistic_of(entry) != "label" for entry in pool)


def kind_of(entry: PoolEntry) -> str:
    """The name of an entry that sets none, before any number: its kind, or `files`."""
    return FILES if isinstance(entry, Files) else entry.kind
