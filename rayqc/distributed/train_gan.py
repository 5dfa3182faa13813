"""The GAN on Ray Train: data-parallel workers, checkpoints, restarts; the best weights are kept."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import torch
from ray.train.torch import prepare_model

from rayqc.config import Config, Gan
from rayqc.distributed.trainer import Training, Worker, resume, run_trainer
from rayqc.generators.gan import save_gan
from rayqc.images.look import ImageShape
from rayqc.models.gan import Discriminator, Generator
from rayqc.progress import Progress
from rayqc.storage import Folder
from rayqc.training.checkpoint import load_state, save_state
from rayqc.training.gan import (
    GANRecord,
    GANState,
    fresh_gan,
    keep_if_best,
    settings_of,
    shape_of,
    train_gan,
)
from rayqc.training.gan_quality import gan_quality
from rayqc.training.holdout import choose_holdout
from rayqc.training.vae import bare


def train_gan_generator(
    references: pa.Table,
    classes: int,
    image: ImageShape,
    folder: Folder,
    entry: Gan,
    made_of: str,
    config: Config,
    progress: Progress,
) -> None:
    """Train a pool entry's GAN and write it to `folder`.

    An interrupted training goes on from the last checkpoint in `folder/checkpoints`.

    Args:
        references: columns id, label, image.
        made_of: digest of everything that decides the training; written beside the weights.
    """
    training = Training(name="gan", steps=entry.steps, folder=folder, elastic=False)
    plan = GANPlan(image=image, classes=classes, entry=entry, made_of=made_of, run_seed=config.seed)
    run_trainer(gan_loop, plan, image, references, training, config, progress)


@dataclass(frozen=True, kw_only=True)
class GANPlan:
    """What the loop is to train."""

    image: ImageShape
    classes: int
    entry: Gan
    made_of: str
    """See `train_gan_generator`."""
    run_seed: int


def gan_loop(plan: GANPlan, worker: Worker) -> None:
    """Train the GAN on one worker; the first worker writes the best generator."""
    entry, image = plan.entry, plan.image
    workers, device = worker.workers, worker.device
    images_NHWC, label_N = worker.images_NHWC, worker.label_N
    seed = plan.run_seed if entry.seed is None else entry.seed
    held_N = choose_holdout(label_N, entry.holdout, seed)
    # With nothing held out, the best weights are chosen on the images they were trained on.
    quality_N = held_N if held_N.any() else ~held_N
    shape = shape_of(entry, image.size, image.channels, plan.classes)
    state = fresh_gan(shape, entry.learning_rate, seed, device)
    resume(lambda folder: _load(folder, state))
    state.generator = prepare_model(state.generator)
    state.discriminator = prepare_model(state.discriminator)

    def report(state: GANState) -> None:
        if workers.rank:
            worker.report_checkpoint({"step": state.step}, None)
            return
        keep_if_best(state, gan_quality(state.average, images_NHWC[quality_N], label_N[quality_N]))
        worker.report_checkpoint(state.qualities[-1], lambda folder: _save(folder, state))

    def record(state: GANState) -> None:
        worker.tell(state.history[-1])

    settings = settings_of(entry, seed)
    train_gan(
        state,
        images_NHWC[~held_N],
        label_N[~held_N],
        settings,
        workers,
        report,
        record,
        str(device),
    )
    if workers.rank == 0:
        facts: GANRecord = {
            "steps": state.step,
            "workers": workers.world,
            "best": min(reversed(state.qualities), key=lambda quality: quality["loss"]),
            "judged_on": int(quality_N.sum()),
            "held_out": bool(held_N.any()),
            "qualities": state.qualities,
            "history": state.history[:: max(1, len(state.history) // 200)],
        }
        save_gan(worker.folder, state.best, plan.made_of, facts)


def _save(folder: Folder, state: GANState) -> None:
    facts = {"step": state.step, "history": state.history, "qualities": state.qualities}
    save_state(folder, _networks(state), state.optimisers, facts)


def _load(folder: Folder, state: GANState) -> None:
    facts = load_state(folder, _networks(state), state.optimisers)
    state.step = int(facts["step"])
    state.history, state.qualities = list(facts["history"]), list(facts["qualities"])


def _networks(state: GANState) -> dict[str, torch.nn.Module]:
    return {
        "generator": bare(state.generator, Generator),
        "discriminator": bare(state.discriminator, Discriminator),
        "average": state.average,
        "best": state.best,
    }
