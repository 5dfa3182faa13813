"""Plain statistics of images: brightness, contrast, sharpness, spectrum, and their extremes.

Nothing is learned here; `regions.scores.quality` learns which values are usual for a class.

Shape suffixes: N images, H W C pixels, S statistics.
"""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

GRAY_LEVELS = 16
SMALL_STEP = 3 / 255
"""A step between neighbouring pixels below this share of the range counts as small."""
BANDS = ((0.5, 1.5), (1.5, 2.6), (2.6, 3.7), (3.7, 5.0), (5.0, 6.5), (6.5, 10.0))
"""Inner and outer radii of frequency bands in the 8x8 cosine transform, in half cycles a block."""
FINE_BANDS = 3
"""Index of the first band that is also taken as an amplitude."""
AMPLITUDE = 10
"""Factor that brings amplitudes, which are shares of the range, to the other statistics' size."""
BLOCK = 8
WINDOWS = (5, 9)
STROKE = 9
BATCH = 256
"""Images computed at once, few enough that their arrays stay in a core's cache."""
BATCH_ON_GPU = 4096
TINY = 1e-6
LEAST_SPREADS = (3e-4, 3e-4, 3e-4, 0.01)
"""Added to the spread of a window's pixels, in shares of the range, before its logarithm: for the
flattest window, the two quartiles and the busiest window. The first is less than the spread that
one odd pixel leaves, so that an exactly flat window, which a camera's image hardly has, stands
out."""
BACKGROUND = 12
"""Width in levels of the band at each end of the range in which the eye sees no difference."""


def image_statistics(images_NHWC: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Statistics of each image.

    Energies, spreads and shares are logarithms, so that a difference is a ratio. Grain and the
    finest bands are also taken as amplitudes, since smooth images give a logarithm a long tail
    that hides noise.

    Args:
        images_NHWC: (N, H, W, C) uint8, H and W at least 8.
        device: Torch device that computes them, such as `cpu` or `cuda`.

    Returns:
        (N, S) float32, the same on every device but for rounding. S depends on C only: colour
        images have further statistics.
    """
    size = BATCH if device == "cpu" else BATCH_ON_GPU
    batches = [
        _statistics(torch.tensor(images_NHWC[start : start + size], device=device))
        for start in range(0, len(images_NHWC), size)
    ]
    if not batches:
        blank = np.zeros((1, *images_NHWC.shape[1:]), np.uint8)
        return _statistics(torch.from_numpy(blank)).numpy()[:0]
    return torch.cat(batches).cpu().numpy()


def told_apart(images_NHWC: np.ndarray) -> np.ndarray:
    """Lowest and highest level between which differences count in images like these.

    Where more than half of all values lie within `BACKGROUND` of an end of the range, as in
    drawings, digits and scans, that end is background. How exactly black or white it is says
    nothing, since a generator's background never quite equals that of the images it imitates.

    Args:
        images_NHWC: (N, H, W, C) uint8.

    Returns:
        (2,) uint8, low and high.
    """
    low = BACKGROUND if (images_NHWC <= BACKGROUND).mean() > 0.5 else 0
    high = 255 - BACKGROUND if (images_NHWC >= 255 - BACKGROUND).mean() > 0.5 else 255
    return np.array([low, high], np.uint8)


@torch.inference_mode()
def _statistics(images_NHWC: Tensor) -> Tensor:
    level_NCHW = images_NHWC.permute(0, 3, 1, 2).float().contiguous()
    total = level_NCHW.sum(1, keepdim=True)
    gray = total / (255 * level_NCHW.shape[1])
    equal = (level_NCHW.diff(dim=3) == 0).all(1).sum((1, 2)) / gray[0, 0, :, 1:].numel()
    columns = [
        *_moments(gray),
        _log(equal, 0.01),
        *_steps(gray),
        *_fine(gray),
        *_extremes(total, 255 * level_NCHW.shape[1]),
        _stroke(gray),
    ]
    if level_NCHW.shape[1] == 3:
        columns += _colour(level_NCHW / 255)
    return torch.stack(columns, dim=1)


def _moments(gray: Tensor) -> list[Tensor]:
    """Mean and contrast, and the histogram's entropy and its dark, middle and bright shares."""
    level = (gray * GRAY_LEVELS).long().clamp(max=GRAY_LEVELS - 1).flatten(1)
    weight = gray.new_full(level.shape, 1 / level.shape[1])
    share_NG = gray.new_zeros(level.shape[0], GRAY_LEVELS).scatter_add_(1, level, weight)
    entropy = -(share_NG * (share_NG + 1e-9).log()).sum(1)
    middle = share_NG[:, 2:-2].sum(1)
    shares = [_log(share_N, 0.01) for share_N in (share_NG[:, 0], middle, share_NG[:, -1])]
    return [gray.mean((1, 2, 3)), 0.5 * _log(gray.var((1, 2, 3))), entropy, *shares]


def _steps(gray: Tensor) -> list[Tensor]:
    """Steps between neighbours: mean size, mean fourth power, share of small ones, curvature."""
    across, down = gray.diff(dim=3), gray.diff(dim=2)
    size, peaked, small = gray.new_zeros(3, gray.shape[0])
    for difference in (across.flatten(1), down.flatten(1)):
        steps = difference.abs()
        size = size + steps.mean(1)
        small = small + (steps < SMALL_STEP).sum(1) / (2 * steps.shape[1])
        peaked = peaked + steps.square_().square_().mean(1)
    # The image's edges are repeated, so that steps across them are 0.
    bend = F.pad(across, (1, 1)).diff(dim=3) + F.pad(down, (0, 0, 1, 1)).diff(dim=2)
    return [_log(size, 1e-3), _log(peaked), small, _log(bend.square_().mean((1, 2, 3)))]


def _fine(gray: Tensor) -> list[Tensor]:
    """Grain, and the mean energy of 8x8 cosine transforms in each band of frequency."""
    # Immerkaer 1996: this difference of Laplacians is blind to edges, so it measures noise.
    grain = gray.diff(n=2, dim=3).diff(n=2, dim=2).abs().flatten(1).median(1).values
    # cuDNN would round to ten bits, and the finest bands' energies are far below the mean's. Its
    # flags are the process's: on CPUs several threads may be here.
    exact = torch.backends.cudnn.flags(enabled=False) if gray.is_cuda else nullcontext()
    with exact:
        energy = F.conv2d(gray, _cosines().to(gray.device), stride=BLOCK // 2)
    energy = energy.pow(2).mean((2, 3))
    order = torch.arange(BLOCK).float()
    radius = torch.hypot(order[:, None], order[None, :]).flatten().to(gray.device)
    bands = [energy[:, (radius >= low) & (radius < high)].mean(1) for low, high in BANDS]
    return [
        _log(grain, 1e-3),
        *(_log(band) for band in bands),
        AMPLITUDE * grain,
        *(AMPLITUDE * band.sqrt() for band in bands[FINE_BANDS:]),
    ]


def _cosines() -> Tensor:
    order = torch.arange(BLOCK).float()
    wave = (2 / BLOCK) ** 0.5 * torch.cos(torch.pi * (order[None] + 0.5) * order[:, None] / BLOCK)
    wave[0] /= 2**0.5
    return torch.einsum("ux,vy->uvxy", wave, wave).reshape(BLOCK * BLOCK, 1, BLOCK, BLOCK)


def _extremes(total: Tensor, white: int) -> list[Tensor]:
    """Spread of the flattest to the busiest window, and mean of the darkest and the brightest.

    Args:
        total: (N, 1, H, W), whole numbers from 0 to `white`. Their sums are exact, so that the
            spread of a flat window is 0 whatever the order of its pixels.
    """
    centred = total.double() - white // 2
    planes = torch.cat([centred, centred.square()], dim=1)
    side = min(total.shape[2:])
    columns = []
    for window in WINDOWS:
        width = min(window, side)
        area = width * width
        rows = _window_sums(planes, 2, width)[:, :, ::2]
        sums = _window_sums(rows, 3, width)[..., ::2].flatten(2)
        variance = (area * sums[:, 1] - sums[:, 0].square()) / (area * white) ** 2
        spread = variance.clamp_(min=0).sqrt_().float()
        for quantile, floor in zip((0, 0.25, 0.75, 1), LEAST_SPREADS, strict=True):
            rank = 1 + round(quantile * (spread.shape[1] - 1))
            columns.append(_log(spread.kthvalue(rank, dim=1).values, floor))
        mean = (sums[:, 0] / area + white // 2).float() / white
        columns += [mean.amin(1), mean.amax(1)]
    return columns


def _stroke(gray: Tensor) -> Tensor:
    """Contrast of the strongest straight edge of `STROKE` pixels, upright or level."""
    length = min(STROKE, *gray.shape[2:])
    upright = _window_sums(gray.diff(dim=3), 2, length).abs_().amax((1, 2, 3))
    level = _window_sums(gray.diff(dim=2), 3, length).abs_().amax((1, 2, 3))
    return _log(torch.maximum(upright, level) / length, 0.01)


def _window_sums(values: Tensor, dim: int, width: int) -> Tensor:
    """Sums over each `width` neighbours along one dimension, as differences of running sums."""
    running_sums = values.cumsum(dim)
    sums = running_sums.narrow(dim, width - 1, values.shape[dim] - width + 1).clone()
    sums.narrow(dim, 1, values.shape[dim] - width).sub_(
        running_sums.narrow(dim, 0, values.shape[dim] - width)
    )
    return sums


def _colour(rgb_NCHW: Tensor) -> list[Tensor]:
    """Mean and spread of the two opponent colours, and how fast they change."""
    red_green = rgb_NCHW[:, 0] - rgb_NCHW[:, 1]
    yellow_blue = (rgb_NCHW[:, 0] + rgb_NCHW[:, 1]) / 2 - rgb_NCHW[:, 2]
    columns = []
    for opponent in (red_green, yellow_blue):
        columns += [opponent.mean((1, 2)), _log(opponent.var((1, 2)), 1e-5)]
    change = red_green.diff(dim=2).pow(2).mean((1, 2)) + yellow_blue.diff(dim=2).pow(2).mean((1, 2))
    return [*columns, _log(change / 2)]


def _log(values: Tensor, floor: float = TINY) -> Tensor:
    return (values + floor).log()
