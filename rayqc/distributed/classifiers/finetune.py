"""Classifier kind `finetune`: the encoder's network with a head on its latents, trained on.

The head starts as the linear probe of the arm's own images, and the later half of the network is
then trained with it. Source: Kumar et al. 2022 (linear probing, then fine-tuning).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rayqc.config.settings import Classify
from rayqc.distributed.classifiers.base import ArmInputs, ClassifierKind, Training
from rayqc.distributed.classifiers.cnn import training_of
from rayqc.distributed.classifiers.pixels import arm_images, put_images
from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.store import load_encoder
from rayqc.errors import ConfigError
from rayqc.training.classifier import ClassifierSettings, accuracy, fit_network
from rayqc.training.finetune import Finetuned
from rayqc.training.softmax import train_softmax

logger = logging.getLogger(__name__)

MOST_IN_BATCH = 32
MOST_BYTES = 4_000_000_000
"""Of the pool's pixels in the encoder's size, which all trainings share."""


def put(inputs: ArmInputs) -> tuple[Any, Any, Any]:
    """Pixels as the encoder looks at them.

    Raises:
        ConfigError: the encoder's network was trained on the references, or there is none.
    """
    if inputs.seen or not load_encoder(inputs.model, inputs.config.encoder.target).network.computes:
        raise ConfigError(
            "classify.kind: finetune needs an encoder that was trained elsewhere, such as "
            f"encoder.kind: pretrained; found {inputs.config.encoder.kind}"
        )
    config, fitting = inputs.config, MOST_BYTES // int(np.prod(inputs.looked_at.pixels))
    if config.classify.max_images > fitting:
        logger.info(
            "classify: at most %s images of the pool, whose pixels fit in %d GB",
            f"{fitting:,}",
            MOST_BYTES // 10**9,
        )
        classify = config.classify.model_copy(update={"max_images": fitting})
        config = config.model_copy(update={"classify": classify})
    return put_images(inputs.references, inputs.test, inputs.filtered, inputs.looked_at, config)


def train(training: Training) -> float:
    """See `ClassifierKind.accuracy`."""
    images = arm_images(training)
    images_NHWC, label_N = images.images_NHWC, images.label_N
    network = load_encoder(training.model, training.trusted).network
    latent_ND = LatentEncoder(network, device=training.device).encode(images_NHWC)
    head = train_softmax(torch.from_numpy(latent_ND), torch.from_numpy(label_N), training.classes)
    model = Finetuned(network, head)
    settings = finetuning_of(training.settings, images_NHWC.shape[3])
    fit_network(model, images_NHWC, label_N, settings, training.seed, training.device)
    return accuracy(model, training.test.images_NHWC, training.test.label_N, training.device)


def finetuning_of(classify: Classify, channels: int) -> ClassifierSettings:
    """A tenth of the steps and of the rate of a network that is trained from scratch."""
    settings = training_of(classify, channels)
    return replace(
        settings,
        steps=max(10, settings.steps // 10),
        learning_rate=settings.learning_rate / 10,
        batch_size=min(settings.batch_size, MOST_IN_BATCH),
    )


KIND = ClassifierKind(seeds=3, put=put, accuracy=train, uses_gpu=True)
