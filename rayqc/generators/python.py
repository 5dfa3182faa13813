"""Generator kind `python`: the user's own code.

Shape suffixes: B images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rayqc.config import Code
from rayqc.errors import ConfigError
from rayqc.generators.base import EntryContext, GeneratorKind
from rayqc.generators.named import UNNAMED, named_code
from rayqc.generators.sampled import SampledSource, Sampler, sampled_source
from rayqc.storage import canonical_json, digest
from rayqc.targets import load_target, source_digest

BATCHES_A_UNIT = 4
"""Few, since code may take seconds an image, and a crash or a time limit costs a whole unit."""


@dataclass(frozen=True, kw_only=True)
class PythonMaker:
    """Calls `package.module:Name` with options, which gives the sampler."""

    target: str | None
    """`package.module:Name`; None where the user has not named it, see `open_run`."""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Digest of the target, its source and its options."""
        if self.target is None:
            return UNNAMED
        return digest(canonical_json([self.target, source_digest(self.target), self.options]))

    def open(self, device: str) -> Sampler:
        """Import the target and call it; `device` is not used, since the code chooses its own.

        Raises:
            UntrustedCodeError: the user has not named the target.
            ConfigError: the target cannot be loaded, or gives nothing that can be called.
        """
        instance = load_target(named_code(self.target))(**self.options)
        if not callable(instance):
            raise ConfigError(
                f"{self.target} gave a {type(instance).__name__}; expected what can be called with "
                "labels and seeds"
            )
        sampler: Sampler = instance
        return sampler


def maker_of(entry: Code) -> PythonMaker:
    """How to load an entry's generator."""
    return PythonMaker(target=entry.code(), options=entry.options)


def python_source(entry: Code, context: EntryContext) -> SampledSource:
    """The source of a pool entry's candidates."""
    return sampled_source(maker_of(entry), entry, context, entry.batch_size, BATCHES_A_UNIT)


KIND = GeneratorKind(source=python_source, identity=lambda entry: maker_of(entry).identity)
