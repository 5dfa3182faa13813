"""What a kind of generators says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rayqc.images.decode import Limits
from rayqc.sources import Source
from rayqc.storage import Folder


@dataclass(frozen=True, kw_only=True)
class EntryPlace:
    """Where a pool entry is at home: the run that its candidates are made for."""

    name: str
    """Of the entry; goes before its candidates' ids."""
    folder: Folder
    """The entry's own, for what is trained for it."""
    model: Folder
    """Holds the encoder and the table of references."""
    table: str
    """Name of the table of references."""
    references: int
    """Rows of the table."""
    references_digest: str
    classes: tuple[str, ...]
    seed: int
    """The run's."""
    limits: Limits


class GeneratedSource(Source, Protocol):
    """A source that makes what it reads."""

    name: str


@dataclass(frozen=True, kw_only=True)
class GeneratorKind:
    """How a pool entry of a kind makes its candidates. `Entry` is its class of settings."""

    source: Callable[[Any, EntryPlace], GeneratedSource]
    """The source of an entry's candidates; small, and nothing is loaded yet."""
    identity: Callable[[Any], str] | None = None
    """Digest of the file or the code that an entry names; None where it names none.

    Raises:
        ConfigError: it cannot be read.
    """
    check: Callable[[Any], None] = lambda entry: None
    """Find what is wrong with an entry before anything starts.

    Raises:
        ConfigError: something is.
    """
    tried_first: bool = False
    """Is a first candidate made before the encoder is trained, so that what fails, fails early?"""
    trained: bool = False
    """Is it a GAN, which `generate` trains (`distributed.train_gan`)?"""
