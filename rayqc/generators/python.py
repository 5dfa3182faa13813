"""Generator kind `python`: somebody's own code.

Shape suffixes: B images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rayqc.config import Code
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryPlace, GeneratorKind
from rayqc.generators.named import UNNAMED, named_code
from rayqc.generators.sampled import SampledSource, Sampler, sampled_source
from rayqc.storage import canonical_json, digest
from rayqc.targets import load_target, source_digest

BATCHES_A_UNIT = 4
"""Code may take seconds an image: what a crash costs, and a unit's time limit."""


@dataclass(frozen=True, kw_only=True)
class PythonMaker:
    """`package.module:Name`, called with options, gives the sampler."""

    target: str | None
    """None where the user has not named it; see `open_run`."""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Of the target's source and its options."""
        if self.target is None:
            return UNNAMED
        return digest(canonical_json([self.target, source_digest(self.target), self.options]))

    def open(self, device: str) -> Sampler:
        """Import and call it; where it runs is the code's own to decide."""
        made = load_target(named_code(self.target))(**self.options)
        if not callable(made):
            raise ConfigError(
                f"{self.target} gave a {type(made).__name__}; expected what can be called with "
                "labels and seeds"
            )
        sampler: Sampler = made
        return sampler


def maker_of(entry: Code) -> PythonMaker:
    """How to load an entry's generator."""
    return PythonMaker(target=entry.code(), options=entry.options)


def python_source(entry: Code, place: EntryPlace) -> SampledSource:
    """The source of a pool entry's candidates."""
    return sampled_source(maker_of(entry), entry, place, entry.batch_size, BATCHES_A_UNIT)


KIND = GeneratorKind(source=python_source, identity=lambda entry: maker_of(entry).identity)
