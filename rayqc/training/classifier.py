"""Train a classifier from scratch for a fixed number of steps, and measure its accuracy.

Shape suffixes: N images, B images of a batch, H W C pixels, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from rayqc.models.batches import batch_on
from rayqc.models.classifier import Classifier
from rayqc.models.vae import pixels_to_input
from rayqc.seeds import CLASSIFIER_BATCHES
from rayqc.training.augment import random_affine, random_flip
from rayqc.training.batch_draw import BatchDraw

WEIGHT_DECAY = 0.05
LABEL_SMOOTHING = 0.1
WARM_UP_SHARE = 0.2
SHORT_WARM_UP_SHARE = 0.3
"""Of fewer than ten steps: a fifth of five is one step, within which the rate cannot rise."""
EVALUATION_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """How one classifier is trained; see `config.Classify` for each setting."""

    steps: int
    batch_size: int
    learning_rate: float
    width: int
    shrink: int = 1
    augment: bool
    flip: bool
    balanced: bool


def train_classifier(
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    classes: int,
    settings: ClassifierSettings,
    seed: int,
    device: str = "cpu",
) -> Classifier:
    """A classifier trained on these images; equal seeds start from equal weights.

    Args:
        images_NHWC: (N, H, W, C) uint8.
        label_N: (N,) int64 in [0, classes).

    Returns:
        A classifier in evaluation mode, on `device`.
    """
    torch.manual_seed(seed)
    model = Classifier(images_NHWC.shape[3], classes, settings.width, settings.shrink)
    fit_network(model, images_NHWC, label_N, settings, seed, device)
    return model


def fit_network(
    model: nn.Module,
    images_NHWC: np.ndarray,
    label_N: np.ndarray,
    settings: ClassifierSettings,
    seed: int,
    device: str,
) -> None:
    """Train a network that gives logits, in place; it ends in evaluation mode on `device`.

    Args:
        images_NHWC: (N, H, W, C) uint8.
        label_N: (N,) int64.
    """
    model.to(device).to(memory_format=torch.channels_last)
    model.train()
    trained = [tensor for tensor in model.parameters() if tensor.requires_grad]
    optimiser = torch.optim.AdamW(trained, weight_decay=WEIGHT_DECAY)
    warm_up = WARM_UP_SHARE if settings.steps >= 10 else SHORT_WARM_UP_SHARE
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.steps, pct_start=warm_up
    )
    batch_rng = np.random.default_rng([seed, CLASSIFIER_BATCHES])
    augment_rng = torch.Generator().manual_seed(seed)
    draw = BatchDraw(label_N, settings.batch_size, settings.balanced)
    for _ in range(settings.steps):
        rows = draw.rows(batch_rng)
        x_NCHW = pixels_to_input(torch.from_numpy(images_NHWC[rows]).to(device))
        if settings.augment:
            x_NCHW = random_affine(x_NCHW, augment_rng)
        if settings.flip:
            x_NCHW = random_flip(x_NCHW, augment_rng)
        target_N = torch.from_numpy(label_N[rows]).to(device)
        loss = F.cross_entropy(model(x_NCHW), target_N, label_smoothing=LABEL_SMOOTHING)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    model.eval()


@torch.inference_mode()
def accuracy(
    model: nn.Module, images_NHWC: np.ndarray, label_N: np.ndarray, device: str = "cpu"
) -> float:
    """Share of images whose largest logit is their label's.

    Args:
        model: in evaluation mode, on `device`.
        images_NHWC: (N, H, W, C) uint8, N >= 1.
        label_N: (N,) int64.
    """
    correct = 0
    batch = batch_on(device, EVALUATION_BATCH, images_NHWC[0, :, :, 0].size)
    for start in range(0, label_N.size, batch):
        rows = slice(start, start + batch)
        logits = model(pixels_to_input(torch.from_numpy(images_NHWC[rows]).to(device)))
        correct += int((logits.argmax(1).cpu().numpy() == label_N[rows]).sum())
    return correct / label_N.size
