"""Features of images that need little or no training: edge histograms and learned patches.

With a handful of references in each class, a classifier on these tells classes apart better than a
small network trained on the same references (docs/evidence.md).

Shape suffixes: N images, C H W pixels, F features, M patches, P pixels of a patch, K filters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 4
"""Pixels from one cell of edge histograms to the next; a cell has twice this side."""
COLOUR_CELL = 8
"""Side in pixels of the squares that colours are averaged over."""
COLOUR_WEIGHT = 2.0
ENERGY_FLOOR = 0.02

PATCH = 6
"""Side of a patch in pixels."""
STRIDE = 2
"""Pixels from one patch to the next."""
FILTERS = 96
GRID = 3
"""Responses are averaged over a grid of this many cells a side."""
CONTRAST_FLOOR = 0.01
WHITENING_FLOOR = 0.1
ACTIVATION_FLOOR = 0.1
MOST_PATCHES = 40_000
"""Patches that filters are learned from, at most."""
ROUNDS = 15
"""Rounds of k-means."""


def edge_histograms(x_NCHW: Tensor) -> Tensor:
    """Histograms of edge directions in overlapping cells, and mean colours where C > 1.

    Args:
        x_NCHW: (N, C, H, W) float pixels in [0, 1].

    Returns:
        (N, F) float, no unit.

    Source: Dalal & Triggs 2005 (histograms of oriented gradients). Bins are soft, by the squared
    cosine of twice the angle, and each cell is normalised by its neighbourhood.
    """
    across = F.pad(x_NCHW[..., 2:] - x_NCHW[..., :-2], (1, 1, 0, 0))
    down = F.pad(x_NCHW[..., 2:, :] - x_NCHW[..., :-2, :], (0, 0, 1, 1))
    # Channels are joined by the sum of their structure tensors (Di Zenzo 1986).
    square_across, square_down = across.square(), down.square()
    magnitude = (square_across + square_down).sum(1, keepdim=True).add_(1e-12).sqrt_()
    # Cosine and sine of the doubled angle, times the magnitude.
    cosine = (square_across - square_down).sum(1, keepdim=True).div_(magnitude)
    sine = (across * down).sum(1, keepdim=True).mul_(2).div_(magnitude)
    # Projections of the doubled angle on eight directions, an eighth of a turn apart.
    half_turn = [cosine, (cosine + sine) * 0.5**0.5, sine, (sine - cosine) * 0.5**0.5]
    projection = torch.cat([*half_turn, *(-map_N1HW for map_N1HW in half_turn)], dim=1)
    response = projection.clamp_(min=0).square_().div_(magnitude)
    cells = F.avg_pool2d(response, 2 * CELL, CELL, CELL // 2, count_include_pad=False)
    energy = F.avg_pool2d((cells**2).sum(1, keepdim=True), 3, 1, 1, count_include_pad=False).sqrt()
    features = (cells / (energy + ENERGY_FLOOR)).flatten(1)
    if x_NCHW.shape[1] > 1:
        colours = COLOUR_WEIGHT * F.avg_pool2d(x_NCHW, COLOUR_CELL).flatten(1)
        features = torch.cat([features, colours], dim=1)
    return features


class PatchFeatures(nn.Module):
    """How strongly an image responds to each learned patch, in each cell of a 3 x 3 grid.

    Source: Coates, Lee & Ng 2011 (k-means on whitened patches). Ours: the soft threshold in
    place of their triangle, and mean pooling over a 3 x 3 grid.
    """

    filters: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        """Make room for filters of C = `channels`; `learn_patches` fills them."""
        super().__init__()
        self.register_buffer("filters", torch.zeros(FILTERS, channels, PATCH, PATCH))
        self.register_buffer("offset", torch.zeros(FILTERS))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, F) float features of (N, C, H, W) float pixels in [0, 1]."""
        area = x_NCHW.shape[1] * PATCH**2
        moments = [x_NCHW.mean(1, keepdim=True), x_NCHW.square().mean(1, keepdim=True)]
        pooled = F.avg_pool2d(torch.cat(moments, dim=1), PATCH, STRIDE)
        mean, square = pooled[:, :1], pooled[:, 1:]
        variance = (square - mean.square()).clamp_(min=0) * (area / (area - 1))
        # The filters sum to zero, so the patch's mean need not be subtracted first.
        response = F.conv2d(x_NCHW, self.filters, stride=STRIDE)
        response.mul_((variance + CONTRAST_FLOOR).rsqrt_())
        activation = response.sub_(self.offset[:, None, None] + ACTIVATION_FLOOR).clamp_(min=0)
        return F.adaptive_avg_pool2d(activation, GRID).flatten(1)


def learn_patches(x_NCHW: Tensor, seed: int) -> PatchFeatures:
    """Patch features whose filters are k-means centers of the images' whitened patches.

    Args:
        x_NCHW: (N, C, H, W) float pixels in [0, 1], H and W at least `PATCH`.
        seed: of the patches drawn, and of the first centers.
    """
    rng = torch.Generator().manual_seed(seed)
    # A view: all patches together would be PATCH * PATCH times the images.
    places_NCIJPP = x_NCHW.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    images, _, height, width, *_ = places_NCIJPP.shape
    drawn_M = torch.randperm(images * height * width, generator=rng)[:MOST_PATCHES]
    image_M, place_M = drawn_M // (height * width), drawn_M % (height * width)
    patch_MP = places_NCIJPP[image_M, :, place_M // width, place_M % width].flatten(1)
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
    """(K, P) unit centers of the patches' directions, by spherical k-means."""
    unit_MP = F.normalize(white_MP, dim=1)
    center_KP = unit_MP[torch.randint(len(unit_MP), (FILTERS,), generator=rng)].clone()
    for _ in range(ROUNDS):
        nearest_M = (unit_MP @ center_KP.T).argmax(1)
        sum_KP = torch.zeros_like(center_KP).index_add_(0, nearest_M, unit_MP)
        nonzero_K1 = sum_KP.norm(dim=1, keepdim=True) > 1e-6
        center_KP = torch.where(nonzero_K1, F.normalize(sum_KP, dim=1), center_KP)
    return center_KP
