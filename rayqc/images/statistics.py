"""Plain statistics of images: brightness, contrast, sharpness, spectrum, and their extremes.

What a person would read off a histogram, a spectrum and a magnifying glass. Nothing is
learned here; `regions.scores.quality` learns what is usual for a class.

Shape suffixes: N images, H W C pixels, S statistics.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

GRAY_LEVELS = 16
SMALL_STEP = 3 / 255
"""Neighbouring pixels closer than this count as flat."""
BANDS = ((0.5, 1.5), (1.5, 2.6), (2.6, 3.7), (3.7, 5.0), (5.0, 6.5), (6.5, 10.0))
"""Radii in the 8x8 cosine transform, in steps of half a cycle a block."""
BLOCK = 8
WINDOWS = (5, 9)
STROKE = 9
BATCH = 1024
TINY = 1e-6


def image_statistics(images_NHWC: np.ndarray) -> np.ndarray:
    """(N, S) float32 statistics of (N, H, W, C) uint8 images, H and W at least 8.

    Energies, spreads and shares are in logarithms, so that a difference is a ratio.
    S depends on C only: colour adds its own.
    """
    parts = [
        _statistics(torch.tensor(images_NHWC[start : start + BATCH]))
        for start in range(0, len(images_NHWC), BATCH)
    ]
    if not parts:
        blank = np.zeros((1, *images_NHWC.shape[1:]), np.uint8)
        return _statistics(torch.from_numpy(blank)).numpy()[:0]
    return torch.cat(parts).numpy()


@torch.inference_mode()
def _statistics(images_NHWC: Tensor) -> Tensor:
    x_NCHW = images_NHWC.permute(0, 3, 1, 2).float() / 255
    gray = x_NCHW.mean(1, keepdim=True)
    columns = [*_moments(gray), *_steps(x_NCHW, gray), *_spectrum(gray), *_extremes(gray)]
    if x_NCHW.shape[1] == 3:
        columns += _colour(x_NCHW)
    return torch.stack(columns, dim=1)


def _moments(gray: Tensor) -> list[Tensor]:
    """Mean, contrast, and what the histogram says: entropy, dark, middle and bright shares."""
    level = (gray * GRAY_LEVELS).long().clamp(max=GRAY_LEVELS - 1).flatten(1)
    ones = torch.full(level.shape, 1 / level.shape[1])
    share_NG = torch.zeros(level.shape[0], GRAY_LEVELS).scatter_add_(1, level, ones)
    entropy = -(share_NG * (share_NG + 1e-9).log()).sum(1)
    middle = share_NG[:, 2:-2].sum(1)
    shares = [_log(part, 0.01) for part in (share_NG[:, 0], middle, share_NG[:, -1])]
    return [gray.mean((1, 2, 3)), 0.5 * _log(gray.var((1, 2, 3))), entropy, *shares]


def _steps(x_NCHW: Tensor, gray: Tensor) -> list[Tensor]:
    """Steps between neighbours: how large, how peaked, how often none; and second differences."""
    across, down = gray.diff(dim=3), gray.diff(dim=2)
    size = across.abs().mean((1, 2, 3)) + down.abs().mean((1, 2, 3))
    peaked = across.pow(4).mean((1, 2, 3)) + down.pow(4).mean((1, 2, 3))
    small = [(part.abs() < SMALL_STEP).float().mean((1, 2, 3)) for part in (across, down)]
    equal = (x_NCHW.diff(dim=3) == 0).all(1).float().mean((1, 2))
    bend = F.pad(gray, (1, 1, 1, 1), mode="replicate")
    bend = (
        bend[:, :, 1:-1, :-2] + bend[:, :, 1:-1, 2:] + bend[:, :, :-2, 1:-1] + bend[:, :, 2:, 1:-1]
    )
    laplacian = (bend - 4 * gray).pow(2).mean((1, 2, 3))
    # Immerkaer 1996: this difference of Laplacians is blind to edges, so it measures noise.
    grain = across.diff(dim=3)[:, :, 1:-1].diff(dim=2)
    grain = gray.diff(n=2, dim=3).diff(n=2, dim=2).abs().flatten(1).median(1).values
    return [
        _log(size, 1e-3),
        _log(peaked),
        (small[0] + small[1]) / 2,
        _log(equal, 0.01),
        _log(laplacian),
        _log(grain, 1e-3),
    ]


def _spectrum(gray: Tensor) -> list[Tensor]:
    """Mean energy of 8x8 cosine transforms in bands of frequency."""
    energy = F.conv2d(gray, _cosines(), stride=BLOCK // 2).pow(2).mean((2, 3))
    order = torch.arange(BLOCK).float()
    radius = torch.hypot(order[:, None], order[None, :]).flatten()
    return [_log(energy[:, (radius >= low) & (radius < high)].mean(1)) for low, high in BANDS]


def _cosines() -> Tensor:
    order = torch.arange(BLOCK).float()
    wave = (2 / BLOCK) ** 0.5 * torch.cos(torch.pi * (order[None] + 0.5) * order[:, None] / BLOCK)
    wave[0] /= 2**0.5
    return torch.einsum("ux,vy->uvxy", wave, wave).reshape(BLOCK * BLOCK, 1, BLOCK, BLOCK)


def _extremes(gray: Tensor) -> list[Tensor]:
    """Flattest and busiest, darkest and brightest place, and the longest straight edge."""
    side = min(gray.shape[2:])
    found = []
    for window in WINDOWS:
        width = min(window, side)
        mean = F.avg_pool2d(gray, width, 2)
        spread = (F.avg_pool2d(gray * gray, width, 2) - mean**2).clamp(min=0).sqrt().flatten(1)
        ordered = spread.sort(1).values
        last = ordered.shape[1] - 1
        for place, floor in ((0.0, 3e-3), (0.25, 3e-3), (0.75, 3e-3), (1.0, 0.01)):
            found.append(_log(ordered[:, round(place * last)], floor))
        found += [mean.amin((1, 2, 3)), mean.amax((1, 2, 3))]
    stroke = min(STROKE, side)
    upright = F.avg_pool2d(gray.diff(dim=3), (stroke, 1), 1).abs().amax((1, 2, 3))
    level = F.avg_pool2d(gray.diff(dim=2), (1, stroke), 1).abs().amax((1, 2, 3))
    return [*found, _log(torch.maximum(upright, level), 0.01)]


def _colour(x_NCHW: Tensor) -> list[Tensor]:
    """Mean and spread of the two opponent colours, and how fast they change."""
    red_green = x_NCHW[:, 0] - x_NCHW[:, 1]
    yellow_blue = (x_NCHW[:, 0] + x_NCHW[:, 1]) / 2 - x_NCHW[:, 2]
    found = []
    for opponent in (red_green, yellow_blue):
        found += [opponent.mean((1, 2)), _log(opponent.var((1, 2)), 1e-5)]
    change = red_green.diff(dim=2).pow(2).mean((1, 2)) + yellow_blue.diff(dim=2).pow(2).mean((1, 2))
    return [*found, _log(change / 2)]


def _log(values: Tensor, floor: float = TINY) -> Tensor:
    return (values + floor).log()
