"""Candidates made of real images: transformed, made faulty, and which of them are sound.

Shape suffixes: N images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torchvision.transforms import v2

from rayqc.config.base import Policy
from rayqc.experiments.draws import RealData, make_faults, pick
from rayqc.generators.policies import make_transform
from rayqc.training.arms import Images


@dataclass(frozen=True, kw_only=True)
class KnownPool(Images):
    """Candidates, and which of them are sound, that is, were not made faulty."""

    sound_N: np.ndarray | None
    """(N,) bool; None where it is not known."""


def augmented(references: Images, size: int, policy: Policy, rng: np.random.Generator) -> KnownPool:
    """`size` augmented images, of each reference image in turn."""
    channels = references.images_NHWC.shape[3]
    transform = v2.Compose([make_transform(policy, channels)])
    rows = np.arange(size) % references.label_N.size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        image_tensors = [
            transform(torch.from_numpy(references.images_NHWC[row]).permute(2, 0, 1))
            for row in rows
        ]
    images_NHWC = torch.stack(image_tensors).permute(0, 2, 3, 1).contiguous().numpy()
    return KnownPool(images_NHWC=images_NHWC, label_N=references.label_N[rows], sound_N=None)


def with_faults(
    images: Images,
    data: RealData,
    share: float,
    kinds: list[str] | None,
    rng: np.random.Generator,
) -> KnownPool:
    """The images, of which a share is made faulty, by each kind in turn.

    Args:
        kinds: of fault; None takes all that need no network.
    """
    size = images.label_N.size
    faulty_N = np.zeros(size, bool)
    faulty_N[rng.choice(size, round(share * size), replace=False)] = True
    faulty_rows = np.flatnonzero(faulty_N)
    images_NHWC, label_N = images.images_NHWC.copy(), images.label_N.copy()
    fault_by_kind = make_faults(pick(images, faulty_rows), data, None, rng)
    kinds = kinds or list(fault_by_kind)
    for number, row in enumerate(faulty_rows):
        fault = fault_by_kind[kinds[number % len(kinds)]]
        images_NHWC[row] = fault.images_NHWC[number % fault.label_N.size]
        label_N[row] = fault.label_N[number % fault.label_N.size]
    return KnownPool(images_NHWC=images_NHWC, label_N=label_N, sound_N=~faulty_N)
