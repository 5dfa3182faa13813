"""Check what the settings name outside the run folder, before Ray starts and work begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rayqc.config import Config, Files
from rayqc.encoders.base import EncoderKind
from rayqc.errors import InputError
from rayqc.generators.base import generator_kind
from rayqc.kinds import ENCODERS
from rayqc.ledger.plan import inputs_digest
from rayqc.pipeline.class_table import Opened, compare_classes
from rayqc.pipeline.run_folder import Inputs
from rayqc.sources import Source, open_source
from rayqc.sources.parquet import ParquetSource
from rayqc.tool_results import ClassCounts
from rayqc.units import WHOLE, Unit


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the settings name outside the run folder, opened."""

    digests: Inputs
    """Of the images and files, by section."""
    references: Opened
    test: Opened | None
    pool: dict[int, Opened]
    """The entries that have files, by their number in the settings."""
    classes: dict[str, ClassCounts]


def look_at_inputs(config: Config, *, table: bool = True) -> Looked:
    """Check all images, files and code that the settings name outside the run folder.

    Args:
        table: log how many images each class has, beside what is wrong with them.

    Raises:
        UserError: something is missing, or is not what it should be.
    """
    references = _opened("references", open_source(config.references))
    test_data = config.test_data()
    inputs = {"references": inputs_digest(references.units)}
    test = None
    if test_data is not None:
        test = _opened("test", open_source(test_data, split="test"))
        inputs["test"] = inputs_digest(test.units)
    elif config.classify.arms:
        raise InputError(
            "the classifier stage needs real test images and the configuration names none; set "
            "`test: {path: ...}`, or `classify: {arms: []}` to leave the stage out"
        )
    pool = {
        entry_number: _opened(name, open_source(entry))
        for entry_number, (name, entry) in enumerate(
            zip(config.pool_names(), config.pool, strict=True)
        )
        if isinstance(entry, Files)
    }
    _refuse_other_latents([references, *([test] if test else []), *pool.values()])
    inputs["pool"] = inputs_digest(_pool_units(config, pool))
    per_class = config.references.per_class
    classes = compare_classes(references, test, list(pool.values()), per_class, table=table)
    encoder: EncoderKind = ENCODERS[config.encoder.kind]
    input_digest = encoder.input_digest(config.encoder)
    if input_digest is not None:
        inputs["encoder"] = input_digest
    return Looked(digests=inputs, references=references, test=test, pool=pool, classes=classes)


def _refuse_other_latents(parts: list[Opened]) -> None:
    """Refuse latents of different lengths, which are not of one encoder.

    Raises:
        InputError: there are such.
    """
    dims = {
        part.name: part.source.latent_dim
        for part in parts
        if isinstance(part.source, ParquetSource)
    }
    if len(set(dims.values())) > 1:
        found = ", ".join(f"{dim} numbers in {name}" for name, dim in dims.items())
        raise InputError(f"latents of different lengths are not of one encoder: {found}")


def _opened(name: str, source: Source) -> Opened:
    return Opened(name=name, source=source, units=source.units(WHOLE))


def _pool_units(config: Config, pool: dict[int, Opened]) -> list[Unit]:
    """Units of the files and code that the pool names."""
    units: list[Unit] = []
    for entry_number, entry in enumerate(config.pool):
        if isinstance(entry, Files):
            units += [replace(unit, entry=entry_number) for unit in pool[entry_number].units]
            continue
        kind = generator_kind(entry)
        kind.check(entry)
        if kind.identity is not None:
            fingerprint = kind.identity(entry)
            units.append(
                Unit(entry=entry_number, path=entry.kind, start=0, stop=1, fingerprint=fingerprint)
            )
    return units
