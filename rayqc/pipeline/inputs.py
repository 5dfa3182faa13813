"""Check what the settings name outside the run folder, before Ray starts and work begins."""

from __future__ import annotations

from dataclasses import replace

from rayqc.config import Config, Files
from rayqc.encoders.base import EncoderKind
from rayqc.errors import InputError
from rayqc.kinds import ENCODERS
from rayqc.ledger.plan import inputs_digest
from rayqc.pipeline.generators import generator_kind
from rayqc.pipeline.run_folder import Inputs
from rayqc.sources import open_source
from rayqc.units import WHOLE, Unit


def look_at_inputs(config: Config) -> Inputs:
    """Check all images, files and code that the settings name outside the run folder.

    Returns:
        Digests of the images and files that the settings name, by section.

    Raises:
        UserError: something is missing, or is not what it should be.
    """
    references = open_source(config.references)
    test = config.test_data()
    inputs = {"references": inputs_digest(references.units(WHOLE))}
    if test is not None:
        inputs["test"] = inputs_digest(open_source(test, split="test").units(WHOLE))
    elif config.classify.arms:
        raise InputError(
            "the classifier stage needs real test images and the configuration names none; set "
            "`test: {path: ...}`, or `classify: {arms: []}` to leave the stage out"
        )
    inputs["pool"] = inputs_digest(_pool_units(config))
    encoder: EncoderKind = ENCODERS[config.encoder.kind]
    input_digest = encoder.input_digest(config.encoder)
    return inputs if input_digest is None else {**inputs, "encoder": input_digest}


def _pool_units(config: Config) -> list[Unit]:
    """Units of the files and code that the pool names."""
    units: list[Unit] = []
    for entry_number, entry in enumerate(config.pool):
        if isinstance(entry, Files):
            units += [replace(unit, entry=entry_number) for unit in open_source(entry).units(WHOLE)]
            continue
        kind = generator_kind(entry)
        kind.check(entry)
        if kind.identity is not None:
            fingerprint = kind.identity(entry)
            units.append(
                Unit(entry=entry_number, path=entry.kind, start=0, stop=1, fingerprint=fingerprint)
            )
    return units
