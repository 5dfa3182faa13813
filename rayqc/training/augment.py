"""Random affine maps, flips and cutouts of a whole batch at once, for use while training.

The strengths are one standard recipe for small images (rotation 15 degrees, shift 10%,
scale 0.85 to 1.15, shear 10 degrees, each uniform), not tuned to a data set.

Shape suffixes: N images, C H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

ROTATION = math.radians(15)
SHIFT = 0.1
SCALE = 0.15
SHEAR = math.radians(10)
CUTOUT = 0.4
"""Side of the blanked square, as a share of the image's side."""


def random_affine(x_NCHW: Tensor, rng: torch.Generator) -> Tensor:
    """Each image rotated, scaled, sheared and shifted by its own draw.

    Args:
        x_NCHW: (N, C, H, W) float; pixels beyond an edge repeat the edge.
        rng: on the CPU.
    """
    draw_N5 = torch.rand(x_NCHW.shape[0], 5, generator=rng) * 2 - 1
    angle_N, shear_N = draw_N5[:, 0] * ROTATION, draw_N5[:, 1] * SHEAR
    scale_N = 1 + draw_N5[:, 2] * SCALE
    cos_N, sin_N, tan_N = angle_N.cos() / scale_N, angle_N.sin() / scale_N, shear_N.tan()
    # grid_sample's unit is half a side, so a shift of 10% is 0.2.
    shift_N2 = draw_N5[:, 3:] * 2 * SHIFT
    row0_N3 = torch.stack([cos_N, cos_N * tan_N - sin_N, shift_N2[:, 0]], dim=1)
    row1_N3 = torch.stack([sin_N, sin_N * tan_N + cos_N, shift_N2[:, 1]], dim=1)
    theta_N23 = torch.stack([row0_N3, row1_N3], dim=1).to(x_NCHW.device)
    grid = F.affine_grid(theta_N23, list(x_NCHW.shape), align_corners=False)
    return F.grid_sample(x_NCHW, grid, padding_mode="border", align_corners=False)


def random_flip(x_NCHW: Tensor, rng: torch.Generator) -> Tensor:
    """Each image of (N, C, H, W) mirrored left to right with probability one half."""
    return sometimes((lambda x_NCHW, rng: x_NCHW.flip(3),), 0.5, x_NCHW, rng)


def random_cutout(x_NCHW: Tensor, rng: torch.Generator) -> Tensor:
    """Each image with one square set to zero.

    The square's side is two fifths of the image's and its center is uniform over the image, so
    part of it may lie outside.

    Args:
        x_NCHW: (N, C, H, W) float.
        rng: on the CPU.
    """
    height, width = x_NCHW.shape[2:]
    center_N2 = torch.rand(x_NCHW.shape[0], 2, generator=rng)
    row_NH = (torch.arange(height) / height - center_N2[:, :1]).abs() < CUTOUT / 2
    column_NW = (torch.arange(width) / width - center_N2[:, 1:]).abs() < CUTOUT / 2
    blank_NHW = row_NH[:, :, None] & column_NW[:, None, :]
    return x_NCHW * ~blank_NHW[:, None].to(x_NCHW.device)


def sometimes(
    changes: Sequence[Callable[[Tensor, torch.Generator], Tensor]],
    chance: float,
    x_NCHW: Tensor,
    rng: torch.Generator,
) -> Tensor:
    """Apply the changes in order, each of them to each image with probability `chance`.

    Args:
        changes: functions of a batch and a generator of random numbers that keep the batch's shape.
        chance: probability in [0, 1]; nothing is drawn where it is 0.
        x_NCHW: (N, C, H, W) float.
        rng: on the CPU.
    """
    for change in changes if chance else ():
        changed_N = (torch.rand(x_NCHW.shape[0], generator=rng) < chance).to(x_NCHW.device)
        x_NCHW = torch.where(changed_N[:, None, None, None], change(x_NCHW, rng), x_NCHW)
    return x_NCHW
