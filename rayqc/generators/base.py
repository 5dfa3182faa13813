"""What each kind of generator declares, and what its sources are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rayqc.config.pool import MadeHere
from rayqc.images.decode import Limits
from rayqc.kinds import GENERATORS
from rayqc.sources import Source
from rayqc.storage import Folder


@dataclass(frozen=True, kw_only=True)
class EntryContext:
    """The name of a pool entry, and the run that its candidates are made for."""

    name: str
    """Of the entry; begins its candidates' ids."""
    folder: Folder
    """Of this entry alone; holds what is trained for it."""
    model: Folder
    """Holds the encoder and the table of reference images."""
    table: str
    """Name of the table of reference images."""
    references: int
    """Number of reference images."""
    most_pixels: int
    """Pixels of the largest of them."""
    references_digest: str
    classes: tuple[str, ...]
    seed: int
    """Of the run."""
    limits: Limits


class GeneratedSource(Source, Protocol):
    """A source that makes the candidates of a unit when the unit is read."""

    name: str


@dataclass(frozen=True, kw_only=True)
class GeneratorKind:
    """How pool entries of one kind make candidates; each function takes an entry's settings."""

    source: Callable[[Any, EntryContext], GeneratedSource]
    """Makes the source of an entry's candidates, which is small and has loaded no network yet."""
    identity: Callable[[Any], str] | None = None
    """Identity of the file or code that an entry names; None for kinds that name none.

    Raises:
        ConfigError: the file or code cannot be read.
    """
    check: Callable[[Any], None] = lambda entry: None
    """Checks an entry's settings before any work starts.

    Raises:
        ConfigError: no candidate can be made with these settings.
    """
    tried_first: bool = False
    """Is one candidate made before the encoder is trained, so that an error shows early?"""
    trained: bool = False
    """Is it a GAN, which `generate` trains (see `distributed.train_gan`)?"""


def generator_kind(entry: MadeHere) -> GeneratorKind:
    """The record of an entry's kind."""
    kind: GeneratorKind = GENERATORS[entry.kind]
    return kind
