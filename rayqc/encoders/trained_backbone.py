"""What encoders have in common that one process trains on the references: a small backbone."""

from __future__ import annotations

from rayqc.encoders.base import EncoderTask, MadeEncoder, Shape
from rayqc.models.backbone import Backbone
from rayqc.training.classifier import ClassifierSettings

FULL_WIDTH = 256
"""Channels of a backbone's first stage at `encoder.width` 1."""


def build_backbone(shape: Shape) -> Backbone:
    """See `EncoderKind.build`."""
    return Backbone(shape["channels"], shape["width"])


def training_of(task: EncoderTask) -> ClassifierSettings:
    """How the settings ask for a backbone to be trained."""
    chosen = task.settings
    return ClassifierSettings(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        width=max(4, round(chosen.width * FULL_WIDTH)),
        augment=True,
        flip=task.image.channels == 3,
        balanced=True,
    )


def made(backbone: Backbone, training: ClassifierSettings, task: EncoderTask) -> MadeEncoder:
    """A trained backbone, ready to be written."""
    return MadeEncoder(
        network=backbone.cpu(),
        shape={"channels": task.image.channels, "width": training.width},
        record={"steps": training.steps, "latent_dim": backbone.latent_dim},
    )
