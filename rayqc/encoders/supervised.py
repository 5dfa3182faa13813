"""Encoder kind `supervised`: a small network trained on the references' labels."""

from __future__ import annotations

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder
from rayqc.encoders.trained_backbone import build_backbone, made, training_of
from rayqc.training.backbones import train_supervised


def make(task: EncoderTask) -> MadeEncoder:
    """Train the network on the references and their labels."""
    training = training_of(task)
    backbone = train_supervised(
        task.images_NHWC, task.label_N, len(task.classes), training, task.seed, task.device
    )
    return made(backbone, training, task)


KIND = EncoderKind(where="task", build=build_backbone, make=make, saw_references=True)
