"""Features of images that need little or no training: edge histograms and learned patches.

With a handful of references a class these tell classes apart better than a small network
trained on them (docs/evidence.md).

Shape suffixes: N images, C H W pixels, F features, M patches, P pixels of a patch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4
COLOUR_CELL = 8
COLOUR_WEIGHT = 2.0
ENERGY_FLOOR = 0.02

PATCH = 6
STRIDE = 2
FILTERS = 96
GRID = 3
CONTRAST_FLOOR = 0.01
WHITENING_FLOOR = 0.1
ACTIVATION_FLOOR = 0.1
MOST_PATCHES = 40_000
ROUNDS = 15


def edge_histograms(x_NCHW: Tensor) -> Tensor:
    """(N, F) histograms of edge directions in overlapping cells, and mean colours of RGB.

    As in Dalal & Triggs 2005 (histograms of oriented gradients), with soft bins by the
    squared cosine of twice the angle, and each cell normalised by its neighbourhood.
    """
    across = F.pad(x_NCHW[..., 2:] - x_NCHW[..., :-2], (1, 1, 0, 0))
    down = F.pad(x_NCHW[..., 2:, :] - x_NCHW[..., :-2, :], (0, 0, 1, 1))
    # Channels speak together, by the sum of their structure tensors (Di Zenzo 1986).
    square_across, square_down = across.square(), down.square()
    size = (square_across + square_down).sum(1, keepdim=True).add_(1e-12).sqrt_()
    even = (square_across - square_down).sum(1, keepdim=True).div_(size)
    odd = (across * down).sum(1, keepdim=True).mul_(2).div_(size)
    # The doubled angle's cosine with each of eight directions, an eighth of a turn apart.
    half = [even, (even + odd) * 0.5**0.5, odd, (odd - even) * 0.5**0.5]
    cosine = torch.cat([*half, *(-part for part in half)], dim=1)
    response = cosine.clamp_(min=0).square_().div_(size)
    cells = F.avg_pool2d(response, 2 * CELL, CELL, CELL // 2, count_include_pad=False)
    energy = F.avg_pool2d((cells**2).sum(1, keepdim=True), 3, 1, 1, count_include_pad=False).sqrt()
    features = (cells / (energy + ENERGY_FLOOR)).flatten(1)
    if x_NCHW.shape[1] > 1:
        colours = COLOUR_WEIGHT * F.avg_pool2d(x_NCHW, COLOUR_CELL).flatten(1)
        features = torch.cat([features, colours], dim=1)
    return features


class PatchFeatures(nn.Module):
    """How much of each learned patch an image holds in each of 3 x 3 places.

    Source: Coates, Lee & Ng 2011 (k-means on whitened patches). Ours: the soft threshold in
    place of their triangle, and mean pooling over a 3 x 3 grid.
    """

    filters: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filters", torch.zeros(FILTERS, channels, PATCH, PATCH))
        self.register_buffer("offset", torch.zeros(FILTERS))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, F) of pixels in [0, 1]."""
        area = x_NCHW.shape[1] * PATCH**2
        moments = [x_NCHW.mean(1, keepdim=True), x_NCHW.square().mean(1, keepdim=True)]
        pooled = F.avg_pool2d(torch.cat(moments, dim=1), PATCH, STRIDE)
        mean, square = pooled[:, :1], pooled[:, 1:]
        variance = (square - mean.square()).clamp_(min=0) * (area / (area - 1))
        # The filters sum to zero, so a patch's mean need not be taken off first.
        response = F.conv2d(x_NCHW, self.filters, stride=STRIDE)
        response.mul_((variance + CONTRAST_FLOOR).rsqrt_())
        held = response.sub_(self.offset[:, None, None] + ACTIVATION_FLOOR).clamp_(min=0)
        return F.adaptive_avg_pool2d(held, GRID).flatten(1)


def learn_patches(x_NCHW: Tensor, seed: int) -> PatchFeatures:
    """Patch features whose filters are k-means centers of the images' whitened patches."""
    rng = torch.Generator().manual_seed(seed)
    patch_MP = F.unfold(x_NCHW, PATCH).permute(0, 2, 1).flatten(0, 1)
    patch_MP = patch_MP[torch.randperm(len(patch_MP), generator=rng)[:MOST_PATCHES]]
    variance = patch_MP.var(1, keepdim=True)
    patch_MP = (patch_MP - patch_MP.mean(1, keepdim=True)) / (variance + CONTRAST_FLOOR).sqrt()
    mean_P = patch_MP.mean(0)
    power_P, axes_PP = torch.linalg.eigh(
        (patch_MP - mean_P).T @ (patch_MP - mean_P) / len(patch_MP)
    )
    whiten_PP = axes_PP @ torch.diag((power_P.clamp(min=0) + WHITENING_FLOOR).rsqrt()) @ axes_PP.T
    white_MP = (patch_MP - mean_P) @ whiten_PP
    center_KP = _k_means(white_MP, rng)
    scale = white_MP.norm(dim=1).mean()
    filters_KP = center_KP @ whiten_PP / scale
    features = PatchFeatures(x_NCHW.shape[1])
    features.offset.copy_(filters_KP @ mean_P)
    centred_KP = filters_KP - filters_KP.mean(1, keepdim=True)
    features.filters.copy_(centred_KP.reshape(features.filters.shape))
    return features


def _k_means(white_MP: Tensor, rng: torch.Generator) -> Tensor:
    """Spherical k-means: unit centers of the patches' directions."""
    unit_MP = F.normalize(white_MP, dim=1)
    center_KP = unit_MP[torch.randint(len(unit_MP), (FILTERS,), generator=rng)].clone()
    for _ in range(ROUNDS):
        nearest_M = (unit_MP @ center_KP.T).argmax(1)
        sum_KP = torch.zeros_like(center_KP).index_add_(0, nearest_M, unit_MP)
        held_K = sum_KP.norm(dim=1, keepdim=True) > 1e-6
        center_KP = torch.where(held_K, F.normalize(sum_KP, dim=1), center_KP)
    return center_KP
