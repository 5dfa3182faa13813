"""Batch normalisations folded into the convolutions before them, where nothing is trained."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from rayqc.models.latent import LatentNetwork

ROUNDING = 1e-3
"""Share of the largest output that a folded network may differ by."""


@torch.no_grad()
def folded(original: LatentNetwork, size: int) -> LatentNetwork:
    """A copy of a network that gives the same but for rounding, a sixth sooner on a CPU.

    In evaluation a batch normalisation is one factor and one offset a channel, which the weights
    of the convolution before it take over. Which convolution that is shows when the network runs.
    A network that gives something else afterwards, as where two layers read what a convolution
    gave, is returned as it was.

    Args:
        original: in evaluation mode.
        size: of the square images it takes, which it is run on a few times.
    """
    x_NCHW = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    x_NCHW = x_NCHW.to(next(original.parameters()).device)
    expected_NF = original.latent_and_inner(x_NCHW)
    network = copy.deepcopy(original)
    for convolution, norm in _pairs(network, x_NCHW):
        _fold(network, convolution, norm)
    difference_NF = (network.latent_and_inner(x_NCHW) - expected_NF).abs()
    close = bool(difference_NF.max() <= ROUNDING * expected_NF.abs().max())
    return network if close else original


def _pairs(network: LatentNetwork, x_NCHW: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each normalisation with statistics that reads a convolution's output, and that one."""
    outputs: list[tuple[Tensor, nn.Conv2d]] = []  # held, so that no other tensor is taken for them
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    runs: Counter[nn.Module] = Counter()

    def note(module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
        runs[module] += 1
        if isinstance(module, nn.Conv2d):
            outputs.append((output, module))
        elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            pairs.extend((maker, module) for made, maker in outputs if made is given[0])

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    try:
        network.latent_and_inner(x_NCHW)
    finally:
        for hook in hooks:
            hook.remove()
    uses = Counter(module for pair in pairs for module in pair)
    return [pair for pair in pairs if all(runs[m] == uses[m] == 1 for m in pair)]


def _fold(network: nn.Module, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None  # of `_pairs`
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    parent, _, name = next(n for n, m in network.named_modules() if m is norm).rpartition(".")
    # What timm's normalisations do besides, such as an activation, are children of theirs.
    setattr(network.get_submodule(parent), name, nn.Sequential(*norm.children()))
