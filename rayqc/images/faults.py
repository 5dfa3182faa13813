"""Faults of known kind and stated severity, made in real images to measure a filter.

The figures of `rayqc evaluate` name the table's version, `FAULTS_VERSION`. Severities were
written down before anything was measured with them.

Shape suffixes: N images, H W C pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

FAULTS_VERSION = 1

NOISE_SD = 0.2
BLUR_SD = 1.5
OCCLUDED_SIDE = 0.4
BLEND_SHARE = 0.5

SEVERITY = {
    "wrong_label": "another class's label, each other class as likely",
    "noise": f"Gaussian, standard deviation {NOISE_SD} of the full range, cut off at its ends",
    "blur": f"Gaussian, standard deviation {BLUR_SD} pixels",
    "occlusion": f"a square of {OCCLUDED_SIDE} of the side, at random, of one random colour",
    "blend": f"{1 - BLEND_SHARE:.0%} of the image and {BLEND_SHARE:.0%} of one of another class",
    "other_data": "images of other data sets, in equal shares, with random labels",
    "blank": "one random colour, with a random label",
    "decoding": "the VAE's decoding of a draw from its prior, with a random label",
}
"""What is done to an image, by kind of fault. `other_data` and `decoding` are made by
`experiments.draws`, since they need more than the image."""


def wrong_labels(label_N: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """Each label replaced by one of the other classes.

    Args:
        label_N: (N,) int64.
        classes: number of classes, at least 2.

    Returns:
        (N,) int64.
    """
    return (label_N + rng.integers(1, classes, label_N.size)) % classes


def noise(images_NHWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise on every pixel and channel; (N, H, W, C) uint8 to the same."""
    noisy = images_NHWC + 255 * NOISE_SD * rng.standard_normal(images_NHWC.shape)
    return _to_pixels(noisy)


def blur(images_NHWC: np.ndarray) -> np.ndarray:
    """Gaussian blur with edges repeated; (N, H, W, C) uint8 to the same."""
    half_width = int(np.ceil(3 * BLUR_SD))
    weights = np.exp(-0.5 * (np.arange(-half_width, half_width + 1) / BLUR_SD) ** 2)
    kernel = torch.from_numpy((weights / weights.sum()).astype(np.float32))
    planes = torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).float()
    count, channels, height, width = planes.shape
    planes = planes.reshape(-1, 1, height, width)
    planes = F.pad(planes, (half_width, half_width, half_width, half_width), mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    blurred = planes.reshape(count, channels, height, width).permute(0, 2, 3, 1)
    return _to_pixels(blurred.numpy())


def occlude(images_NHWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One square of one colour inside each image; (N, H, W, C) uint8 to the same."""
    count, height, width, channels = images_NHWC.shape
    side = round(OCCLUDED_SIDE * min(height, width))
    covered = images_NHWC.copy()
    top_N = rng.integers(0, height - side + 1, count)
    left_N = rng.integers(0, width - side + 1, count)
    colour_NC = rng.integers(0, 256, (count, channels))
    for image, top, left, colour in zip(covered, top_N, left_N, colour_NC, strict=True):
        image[top : top + side, left : left + side] = colour
    return covered


def blend(images_NHWC: np.ndarray, label_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image mixed with another of these, of another class where there is one.

    Args:
        images_NHWC: (N, H, W, C) uint8.
        label_N: (N,) int64.

    Returns:
        (N, H, W, C) uint8.
    """
    other_N = rng.permutation(label_N.size)
    for row in np.flatnonzero(label_N[other_N] == label_N):
        different = np.flatnonzero(label_N != label_N[row])
        if different.size:
            other_N[row] = rng.choice(different)
    mixed = (1 - BLEND_SHARE) * images_NHWC + BLEND_SHARE * images_NHWC[other_N].astype(float)
    return _to_pixels(mixed)


def blank(images_NHWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image of one random colour for each image; (N, H, W, C) uint8 to the same."""
    count, _, _, channels = images_NHWC.shape
    colour = rng.integers(0, 256, (count, 1, 1, channels))
    return _to_pixels(np.tile(colour, (1, *images_NHWC.shape[1:3], 1)))


def _to_pixels(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
