"""The small backbone, common to the encoder kinds that one process trains on the references."""

from __future__ import annotations

from rayqc.encoders.base import EncoderTask, MadeEncoder, Shape
from rayqc.encoders.vae import LONG
from rayqc.models.backbone import Backbone
from rayqc.training.classifier import ClassifierSettings

FULL_WIDTH = 256
"""Channels of a backbone's first stage at `encoder.width` 1."""


def build_backbone(shape: Shape) -> Backbone:
    """See `EncoderKind.build`."""
    return Backbone(shape["channels"], shape["width"])


def training_of(task: EncoderTask) -> ClassifierSettings:
    """How a backbone is trained, from the settings of an encoder."""
    settings = task.settings
    return ClassifierSettings(
        steps=settings.steps or LONG,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        width=max(4, round(settings.width * FULL_WIDTH)),
        augment=True,
        flip=task.image.channels == 3,
        balanced=True,
    )


def made(backbone: Backbone, training: ClassifierSettings, task: EncoderTask) -> MadeEncoder:
    """A trained backbone as an encoder that can be written to disk, its network on the CPU."""
    return MadeEncoder(
        network=backbone.cpu(),
        shape={"channels": task.image.channels, "width": training.width},
        record={"steps": training.steps, "latent_dim": backbone.latent_dim},
    )
