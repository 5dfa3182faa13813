"""Augmentation policies: lists of torchvision v2 transforms, ours or the user's."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from rayqc.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn
    from torchvision.transforms import v2

Steps = list[dict[str, Any]]

POLICIES: dict[str, Steps] = {
    "mild": [
        {
            "name": "RandomAffine",
            "degrees": 5,
            "translate": [0.05, 0.05],
            "scale": [0.95, 1.05],
            "interpolation": "bilinear",
        },
        {"name": "ColorJitter", "brightness": 0.1, "contrast": 0.1},
    ],
    "moderate": [
        {
            "name": "RandomAffine",
            "degrees": 15,
            "translate": [0.1, 0.1],
            "scale": [0.85, 1.15],
            "shear": 10,
            "interpolation": "bilinear",
        },
        {"name": "ColorJitter", "brightness": 0.25, "contrast": 0.25, "saturation": 0.25},
    ],
    "strong": [
        {
            "name": "RandomAffine",
            "degrees": 40,
            "translate": [0.25, 0.25],
            "scale": [0.6, 1.4],
            "shear": 25,
            "interpolation": "bilinear",
        },
        {"name": "RandomPerspective", "distortion_scale": 0.4, "p": 0.5},
        {
            "name": "ColorJitter",
            "brightness": 0.5,
            "contrast": 0.5,
            "saturation": 0.5,
            "hue": 0.1,
        },
        {"name": "GaussianBlur", "kernel_size": 5, "sigma": [0.1, 2.0]},
        {"name": "RandomErasing", "p": 0.3, "scale": [0.05, 0.25]},
    ],
}
"""No policy flips, since a mirrored digit is no digit; a list with RandomHorizontalFlip does."""


def make_transform(policy: str | Steps, channels: int) -> nn.Module:
    """The policy as one transform of (C, H, W) uint8 tensors.

    Gray images have no saturation or hue, so ColorJitter gets neither for them.

    Args:
        policy: name in `POLICIES`, or a list of steps: a transform's `name` and its arguments.
        channels: C, 1 or 3.

    Raises:
        ConfigError: a step names an unknown transform, or arguments that it does not take.
    """
    from torchvision.transforms import v2  # noqa: PLC0415  (over a second)

    steps = POLICIES[policy] if isinstance(policy, str) else policy
    transform: nn.Module = v2.Compose(
        [_make_step(step, channels) for step in steps] or [v2.Identity()]
    )
    return transform


def _make_step(step: dict[str, Any], channels: int) -> nn.Module:
    from torchvision.transforms import v2  # noqa: PLC0415  (over a second)

    arguments = {key: value for key, value in step.items() if key != "name"}
    name = step.get("name")
    transform_class: Any = getattr(v2, name, None) if isinstance(name, str) else None
    is_transform = inspect.isclass(transform_class) and issubclass(transform_class, v2.Transform)
    if not is_transform:
        raise ConfigError(
            f"pool policy: {name!r} is no transform of torchvision.transforms.v2; expected a step "
            "such as {name: RandomAffine, degrees: 10}"
        )
    if isinstance(arguments.get("interpolation"), str):
        arguments["interpolation"] = _interpolation(arguments["interpolation"])
    if channels == 1 and name == "ColorJitter":
        arguments = {k: v for k, v in arguments.items() if k not in ("saturation", "hue")}
    try:
        transform: nn.Module = transform_class(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"pool policy: {name} does not take {arguments}: {error}") from error
    return transform


def _interpolation(name: str) -> v2.InterpolationMode:
    from torchvision.transforms import v2  # noqa: PLC0415  (over a second)

    try:
        return v2.InterpolationMode(name)
    except ValueError as error:
        mode_names = ", ".join(mode.value for mode in v2.InterpolationMode)
        raise ConfigError(f"pool policy: interpolation {name!r} is none of {mode_names}") from error
