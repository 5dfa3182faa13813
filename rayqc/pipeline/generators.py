"""A run's own generators: the sources of the pool entries that it makes, and their training."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import cast

from rayqc.config import Gan, MadeHere
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.train_gan import train_gan_generator
from rayqc.errors import UntrustedCodeError
from rayqc.generators.base import EntryContext, GeneratedSource, generator_kind
from rayqc.generators.gan import FACTS, GANFacts, gan_facts
from rayqc.generators.sampled import SampledSource
from rayqc.images.facts import most_pixels
from rayqc.pipeline.run import REFERENCES, Run
from rayqc.schema import each_image
from rayqc.storage import Folder, canonical_json, digest

logger = logging.getLogger(__name__)

FOLDER = "generators"
BEGUN = "training.txt"

OwnSources = dict[int, GeneratedSource]
"""Sources of the pool entries that the run makes, by the entry's number in the configuration."""


def own_sources(run: Run) -> OwnSources:
    """Sources of the pool entries that the run makes.

    GANs must be trained before their source is read; see `train_generators`.
    """
    named_entries = enumerate(zip(run.config.pool_names(), run.config.pool, strict=True))
    made = [(n, name, entry) for n, (name, entry) in named_entries if isinstance(entry, MadeHere)]
    largest = most_pixels(each_image(run.references)) if made else 0
    return {
        entry_number: generator_kind(entry).source(entry, _entry_context(run, name, largest))
        for entry_number, name, entry in made
    }


def on_devices(sources: OwnSources, run: Run) -> OwnSources:
    """The sources, with their networks on a GPU if the work uses GPUs; needs a Ray session."""
    if not gpus_wanted(run.config.resources.use_gpu):
        return sources
    return {
        number: replace(source, device="cuda") if isinstance(source, SampledSource) else source
        for number, source in sources.items()
    }


def refuse_unnamed(run: Run) -> None:
    """Refuse, before any folder is claimed, a pool entry whose code the user did not name.

    Raises:
        UntrustedCodeError: only the run folder names a pool entry's code.
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
        Name of each GAN to the best accuracy of a classifier trained on its samples.
    """
    accuracy_by_name = {}
    for name, entry in zip(run.config.pool_names(), run.config.pool, strict=True):
        if not isinstance(entry, Gan) or not generator_kind(entry).trained:
            continue
        folder = run.folder.sub(f"{FOLDER}/{name}")
        identity = made_of(run, entry)
        facts = gan_facts(folder)
        if facts is None or facts["made_of"] != identity:
            facts = _train(run, entry, folder, identity)
        best_checkpoint = facts["record"]["best"]
        if len(run.encoder.classes) == 1:
            logger.info("%s: of one class nothing tells checkpoints apart, the last is kept", name)
        else:
            logger.info(
                "%s: best at step %d, %.1f%% of %s references told by a classifier of its samples",
                name,
                best_checkpoint["step"],
                100 * best_checkpoint["accuracy"],
                "held-out" if facts["record"]["held_out"] else "its own",
            )
        accuracy_by_name[name] = best_checkpoint["accuracy"]
    return accuracy_by_name


def made_of(run: Run, entry: Gan) -> str:
    """Digest of all that decides a GAN's weights."""
    not_decisive = {"name", "statistic", "per_class", "share"}
    settings = entry.model_dump(mode="json", exclude=not_decisive)
    # Batch statistics are each worker's own, so the number of workers decides, too.
    workers = run.config.resources.fewest_workers
    image_shape = list(run.encoder.image.pixels)
    decisive = [settings, run.config.seed, image_shape, run.references_digest, workers]
    return digest(canonical_json(decisive))


def _train(run: Run, entry: Gan, folder: Folder, identity: str) -> GANFacts:
    if not folder.exists(BEGUN) or folder.read(BEGUN).decode() != identity:
        folder.delete([BEGUN])
        folder.delete(folder.names())  # so that it does not go on from another GAN's checkpoints
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


def _entry_context(run: Run, name: str, largest: int) -> EntryContext:
    return EntryContext(
        name=name,
        folder=run.folder.sub(f"{FOLDER}/{name}"),
        model=run.model,
        table=REFERENCES,
        references=run.references.num_rows,
        most_pixels=largest,
        references_digest=run.references_digest,
        classes=run.classes,
        seed=run.config.seed,
        limits=run.limits,
    )
