"""A run's own generators: which pool entries they are, and their training."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from rayqc.config import Augment, Code, Config, Exported, Gan, Generator, Latent
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.train_gan import train_gan_generator
from rayqc.errors import UntrustedCodeError
from rayqc.generators.augment import AugmentSource
from rayqc.generators.foreign import ExportedMaker, PythonMaker
from rayqc.generators.gan import FACTS, GANMaker, gan_facts
from rayqc.generators.latent import LatentMaker
from rayqc.generators.sampled import Maker, SampledSource
from rayqc.images.decode import limits_of
from rayqc.pipeline.artefacts import REFERENCES, run_encoder
from rayqc.progress import Progress
from rayqc.schema import class_names
from rayqc.storage import Folder, canonical_json, digest, read_json, read_table

logger = logging.getLogger(__name__)

BATCH = 128
"""Images that the run's own networks make at once; part of what decides their last digits."""
BATCHES_A_UNIT = 4
"""Of Python code, which may take seconds an image: what a crash costs, and a unit's time limit."""
GENERATORS = "generators"

Own = AugmentSource | SampledSource


def own_sources(folder: Folder, config: Config) -> dict[int, Own]:
    """Pool entries that are made here, by their place in the configuration.

    A GAN's must be trained by now; see `train_generators`.
    """
    references = read_table(folder.sub("model"), REFERENCES, columns=["label"])
    classes = class_names(references.schema, "label") or ()
    found: dict[int, Own] = {}
    for place, name in enumerate(config.pool_names()):
        entry = config.pool[place]
        if isinstance(entry, Augment):
            found[place] = _augment(folder, config, entry, name, classes, references.num_rows)
        elif isinstance(entry, Generator):
            found[place] = SampledSource(
                maker=_maker(folder, config, entry, name),
                classes=classes,
                per_class=entry.per_class,
                name=name,
                seed=config.seed,
                batch=entry.batch_size if isinstance(entry, Code | Exported) else BATCH,
                unit_batches=BATCHES_A_UNIT if isinstance(entry, Code) else None,
            )
    return found


def refuse_unnamed(config: Config) -> None:
    """Find out before anything is claimed that a generator's code was not named.

    Raises:
        UntrustedCodeError: a pool entry's code stands in the run folder only.
    """
    for name, entry in zip(config.pool_names(), config.pool, strict=True):
        if (isinstance(entry, Code) and entry.target is None) or (
            isinstance(entry, Exported) and entry.path is None
        ):
            raise UntrustedCodeError(
                f"the run's pool entry {name} is code to run; if you know and trust it, say so "
                "with --trust and the entry's target or path (trust= in Python)"
            )


def on_devices(sources: dict[int, Own], config: Config) -> dict[int, Own]:
    """The same, with networks on a GPU where the work uses them. Needs a Ray session."""
    if not gpus_wanted(config.resources.use_gpu):
        return sources
    return {
        place: replace(source, device="cuda") if isinstance(source, SampledSource) else source
        for place, source in sources.items()
    }


def train_generators(folder: Folder, config: Config, progress: Progress) -> dict[str, float]:
    """Train the GANs of the pool that are not trained yet; needs a Ray session.

    Returns:
        Of each GAN, by name, the best accuracy that a classifier trained on its samples had.
    """
    found = {}
    for name, entry in zip(config.pool_names(), config.pool, strict=True):
        if not isinstance(entry, Gan):
            continue
        place = folder.sub(f"{GENERATORS}/{name}")
        identity = made_of(folder, config, entry)
        facts = gan_facts(place)
        if facts is None or facts["made_of"] != identity:
            facts = _train(folder, config, entry, place, identity, progress)
        best = facts["record"]["best"]
        logger.info(
            "%s: best at step %d, %.1f%% of %s references told by a classifier of its samples",
            name,
            best["step"],
            100 * best["accuracy"],
            "held-out" if facts["record"]["held_out"] else "its own",
        )
        found[name] = best["accuracy"]
    return found


def _train(
    folder: Folder, config: Config, entry: Gan, place: Folder, identity: str, progress: Progress
) -> dict[str, Any]:
    begun = "training.txt"
    if not place.exists(begun) or place.read(begun).decode() != identity:
        place.delete([begun])
        place.delete(place.names())  # another training's checkpoints are not to be gone on from
        place.write(begun, identity.encode())
    references = read_table(folder.sub("model"), REFERENCES)
    trained = run_encoder(folder, config)
    classes = len(class_names(references.schema, "label") or ())
    place.delete([FACTS])
    train_gan_generator(
        references, classes, trained.image, place, entry, identity, config, progress
    )
    return dict(read_json(place, FACTS))


def made_of(folder: Folder, config: Config, entry: Gan) -> str:
    """Digest of all that decides a GAN."""
    apart = {"name", "statistic", "per_class", "share"}
    settings = entry.model_dump(mode="json", exclude=apart)
    image = run_encoder(folder, config).image.pixels
    references = digest(folder.sub("model").read(REFERENCES))
    # Batch statistics are each worker's own.
    workers = config.resources.train_workers
    return digest(canonical_json([settings, config.seed, list(image), references, workers]))


def _augment(
    folder: Folder,
    config: Config,
    entry: Augment,
    name: str,
    classes: tuple[str, ...],
    count: int,
) -> AugmentSource:
    model = folder.sub("model")
    return AugmentSource(
        references=model,
        table=REFERENCES,
        classes=classes,
        count=count,
        references_digest=digest(model.read(REFERENCES)),
        name=name,
        seed=config.seed,
        policy=entry.policy,
        per_reference=entry.per_reference,
        limits=limits_of(config.image),
    )


def _maker(folder: Folder, config: Config, entry: Generator, name: str) -> Maker:
    if isinstance(entry, Gan):
        return GANMaker(folder=folder.sub(f"{GENERATORS}/{name}"))
    if isinstance(entry, Latent):
        return LatentMaker(
            model=folder.sub("model"),
            table=REFERENCES,
            spread=entry.spread,
            limits=limits_of(config.image),
        )
    if isinstance(entry, Code | Exported):
        return code_maker(entry)
    raise TypeError(f"no generator of kind {type(entry).__name__}")


def code_maker(entry: Code | Exported) -> Maker:
    """The maker of an entry that others made."""
    if isinstance(entry, Code):
        return PythonMaker(target=entry.target, options=entry.options)
    return ExportedMaker.of(entry.path, entry.noise_dim, entry.low)
