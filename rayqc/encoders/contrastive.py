"""Encoder kind `contrastive`: a small network trained to tell views of references apart."""

from __future__ import annotations

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder
from rayqc.encoders.trained_backbone import build_backbone, made, training_of
from rayqc.training.backbones import train_contrastive


def make(task: EncoderTask) -> MadeEncoder:
    """Train the network on the references; their labels are not used."""
    training = training_of(task)
    backbone = train_contrastive(task.images_NHWC, training, task.seed, task.device)
    return made(backbone, training, task)


KIND = EncoderKind(where="task", build=build_backbone, make=make, saw_references=True)
