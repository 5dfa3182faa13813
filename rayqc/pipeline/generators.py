"""A run's own generators: which pool entries they are, and their training."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

from rayqc.config import Gan, MadeHere
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.train_gan import train_gan_generator
from rayqc.errors import UntrustedCodeError
from rayqc.generators.base import EntryPlace, GeneratedSource, GeneratorKind
from rayqc.generators.gan import FACTS, GANFacts, gan_facts
from rayqc.generators.sampled import SampledSource
from rayqc.kinds import GENERATORS
from rayqc.pipeline.run import REFERENCES, Run
from rayqc.storage import Folder, canonical_json, digest

logger = logging.getLogger(__name__)

FOLDER = "generators"
BEGUN = "training.txt"

OwnSources = dict[int, GeneratedSource]
"""Pool entries that are made here, by their number in the configuration."""


def kind_of(entry: MadeHere) -> GeneratorKind:
    """The record of an entry's kind."""
    kind: GeneratorKind = GENERATORS[entry.kind]
    return kind


def own_sources(run: Run) -> OwnSources:
    """Sources of the pool entries that are made here.

    A GAN's must be trained by now; see `train_generators`.
    """
    named = enumerate(zip(run.config.pool_names(), run.config.pool, strict=True))
    return {
        number: kind_of(entry).source(entry, _place(run, name))
        for number, (name, entry) in named
        if isinstance(entry, MadeHere)
    }


def on_devices(sources: OwnSources, run: Run) -> OwnSources:
    """The sources, networks on a GPU where the work uses them. Needs a Ray session."""
    if not gpus_wanted(run.config.resources.use_gpu):
        return sources
    return {
        number: replace(source, device="cuda") if isinstance(source, SampledSource) else source
        for number, source in sources.items()
    }


def refuse_unnamed(run: Run) -> None:
    """Find out before anything is claimed that a generator's code was not named.

    Raises:
        UntrustedCodeError: a pool entry's code stands in the run folder only.
    """
    for name, entry in zip(run.config.pool_names(), run.config.pool, strict=True):
        if isinstance(entry, MadeHere) and entry.code_setting and entry.code() is None:
            raise UntrustedCodeError(
                f"the run's pool entry {name} is code to run; if you know and trust it, say so "
                "with --trust and the entry's target or path (trust= in Python)"
            )


def train_generators(run: Run) -> dict[str, float]:
    """Train the GANs of the pool that are not trained yet; needs a Ray session.

    Returns:
        Of each GAN, by name, the best accuracy that a classifier trained on its samples had.
    """
    accuracy_by_name = {}
    for name, entry in zip(run.config.pool_names(), run.config.pool, strict=True):
        if not isinstance(entry, Gan) or not kind_of(entry).trained:
            continue
        folder = run.folder.sub(f"{FOLDER}/{name}")
        identity = made_of(run, entry)
        facts = gan_facts(folder)
        if facts is None or facts["made_of"] != identity:
            facts = _train(run, entry, folder, identity)
        best = facts["record"]["best"]
        logger.info(
            "%s: best at step %d, %.1f%% of %s references told by a classifier of its samples",
            name,
            best["step"],
            100 * best["accuracy"],
            "held-out" if facts["record"]["held_out"] else "its own",
        )
        accuracy_by_name[name] = best["accuracy"]
    return accuracy_by_name


def made_of(run: Run, entry: Gan) -> str:
    """Digest of all that decides a GAN."""
    apart = {"name", "statistic", "per_class", "share"}
    settings = entry.model_dump(mode="json", exclude=apart)
    # Batch statistics are each worker's own.
    workers = run.config.resources.train_workers
    image = list(run.encoder.image.pixels)
    decisive = [settings, run.config.seed, image, run.references_digest, workers]
    return digest(canonical_json(decisive))


def _train(run: Run, entry: Gan, folder: Folder, identity: str) -> GANFacts:
    if not folder.exists(BEGUN) or folder.read(BEGUN).decode() != identity:
        folder.delete([BEGUN])
        folder.delete(folder.names())  # another training's checkpoints are not to be gone on from
        folder.write(BEGUN, identity.encode())
    folder.delete([FACTS])
    train_gan_generator(
        run.references,
        len(run.classes),
        run.encoder.image,
        folder,
        entry,
        identity,
        run.config,
        run.progress,
    )
    return cast("GANFacts", gan_facts(folder))


def _place(run: Run, name: str) -> EntryPlace:
    return EntryPlace(
        name=name,
        folder=run.folder.sub(f"{FOLDER}/{name}"),
        model=run.model,
        table=REFERENCES,
        references=run.references.num_rows,
        references_digest=run.references_digest,
        classes=run.classes,
        seed=run.config.seed,
        limits=run.limits,
    )
