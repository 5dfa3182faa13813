"""A run's own generators: which pool entries they are, and their training."""

from __future__ import annotations

import logging
from dataclasses import replace

from rayqc.config import Augment, Code, Config, Exported, Gan, Generator, Latent
from rayqc.distributed.resources import gpus_wanted
from rayqc.distributed.train_gan import train_gan_generator
from rayqc.generators.augment import AugmentSource
from rayqc.generators.foreign import ExportedMaker, PythonMaker
from rayqc.generators.gan import FACTS, GANMaker, gan_facts
from rayqc.generators.latent import LatentMaker
from rayqc.generators.sampled import Maker, SampledSource
from rayqc.images.decode import limits_of
from rayqc.ledger.plan import clear
from rayqc.pipeline.artefacts import REFERENCES, run_encoder
from rayqc.progress import Progress
from rayqc.schema import class_names
from rayqc.storage import Folder, canonical_json, digest, read_table

logger = logging.getLogger(__name__)

BATCH = 128
"""Images that the run's own networks make at once; part of what decides their last digits."""
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
            )
    return found


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
        made_of = _made_of(folder, config, entry)
        facts = gan_facts(place)
        if facts is None or facts["made_of"] != made_of:
            _train(folder, config, entry, place, made_of, progress)
            facts = gan_facts(place)
        best = facts["record"]["best"] if facts else {}
        logger.info(
            "%s: best at step %d, %.1f%% of %s references told by a classifier of its samples",
            name,
            best["step"],
            100 * best["accuracy"],
            "held-out" if facts and facts["record"]["held_out"] else "its own",
        )
        found[name] = best["accuracy"]
    return found


def _train(
    folder: Folder, config: Config, entry: Gan, place: Folder, made_of: str, progress: Progress
) -> None:
    begun = "training.json"
    if not place.exists(begun) or place.read(begun).decode() != made_of:
        clear(place)
        place.delete(place.names())  # another training's checkpoints are not to be gone on from
        place.write(begun, made_of.encode())
    references = read_table(folder.sub("model"), REFERENCES)
    trained = run_encoder(folder, config)
    classes = len(class_names(references.schema, "label") or ())
    place.delete([FACTS])
    train_gan_generator(references, classes, trained.image, place, entry, made_of, config, progress)


def _made_of(folder: Folder, config: Config, entry: Gan) -> str:
    """Digest of all that decides a GAN."""
    apart = {"name", "statistic", "per_class", "share", "checkpoint_every"}
    settings = entry.model_dump(mode="json", exclude=apart)
    image = run_encoder(folder, config).image.pixels
    references = digest(folder.sub("model").read(REFERENCES))
    return digest(canonical_json([settings, config.seed, list(image), references]))


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
    if isinstance(entry, Code):
        return PythonMaker(target=entry.target, options=entry.options)
    if isinstance(entry, Exported):
        return ExportedMaker(path=entry.path, noise_dim=entry.noise_dim, low=entry.low)
    raise TypeError(f"no generator of kind {type(entry).__name__}")
