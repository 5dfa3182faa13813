"""Classifier kind `cnn`: a small convolutional network, trained from scratch on pixels."""

from __future__ import annotations

from typing import Any

from rayqc.config.settings import Classify
from rayqc.config.settings_from import settings_from
from rayqc.distributed.classifiers.base import ArmInputs, ClassifierKind, Training
from rayqc.distributed.classifiers.pixels import arm_images, put_images
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier


def put(inputs: ArmInputs) -> tuple[Any, Any, Any]:
    """Pixels in the run's size."""
    return put_images(inputs.references, inputs.test, inputs.filtered, inputs.image, inputs.config)


def train(training: Training) -> float:
    """See `ClassifierKind.accuracy`."""
    images = arm_images(training)
    images_NHWC, label_N = images.images_NHWC, images.label_N
    settings = training_of(training.settings, images_NHWC.shape[3])
    model = train_classifier(
        images_NHWC, label_N, training.classes, settings, training.seed, training.device
    )
    return accuracy(model, training.test.images_NHWC, training.test.label_N, training.device)


def training_of(classify: Classify, channels: int) -> ClassifierSettings:
    """How a network is trained on images of so many channels."""
    return settings_from(
        ClassifierSettings,
        classify,
        shrink=1,
        augment=classify.augment == "affine",
        flip=channels == 3 if classify.flip is None else classify.flip,
    )


KIND = ClassifierKind(seeds=5, put=put, accuracy=train, uses_gpu=True)
