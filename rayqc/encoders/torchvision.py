"""Encoder kind `torchvision`: a model of the library torchvision, with weights from a local file.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, Shape
from rayqc.encoders.folded import folded
from rayqc.encoders.weights import digest_of_weights, load_without_head
from rayqc.errors import ConfigError
from rayqc.images.look import ImageShape
from rayqc.models.latent import LatentNetwork

IMAGENET_MEAN, IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of each RGB channel that torchvision's models expect."""
HEADS = ("fc", "classifier", "heads", "head")
"""Attributes that hold a torchvision model's head; the first one present is removed."""


class Pretrained(LatentNetwork):
    """A torchvision network without its head, on images resized to its input size."""

    def __init__(self, name: str, size: int) -> None:
        """Build the network without weights, and encode one blank image to learn D.

        Args:
            name: of the model in torchvision, such as resnet18.
            size: pixels (H and W) that images are resized to.

        Raises:
            ConfigError: torchvision has no such model, or its head is not found.
        """
        import torchvision  # noqa: PLC0415  (over a second)

        super().__init__()
        try:
            network = torchvision.models.get_model(name, weights=None)
        except ValueError as error:
            raise ConfigError(f"encoder.name: torchvision has no model {name!r}") from error
        head = next(
            (
                attribute
                for attribute in HEADS
                if isinstance(getattr(network, attribute, None), nn.Module)
            ),
            None,
        )
        if head is None:
            raise ConfigError(f"encoder.name: {name!r} has no head of a known name ({HEADS})")
        setattr(network, head, nn.Identity())
        self.network = network.eval()
        self.size = size
        with torch.inference_mode():
            self.latent_dim = int(self.latent(torch.zeros(1, 3, size, size)).shape[1])

    def latent(self, x_NCHW: Tensor) -> Tensor:
        """See `LatentNetwork.latent`; a gray image is repeated in all three channels."""
        x_NCHW = x_NCHW.expand(-1, 3, -1, -1)
        x_NCHW = F.interpolate(x_NCHW, (self.size, self.size), mode="bilinear", antialias=True)
        mean, spread = (
            x_NCHW.new_tensor(values).view(1, 3, 1, 1)
            for values in (IMAGENET_MEAN, IMAGENET_SPREAD)
        )
        output: Tensor = self.network((x_NCHW - mean) / spread)
        return output.flatten(1)

    def for_inference(self) -> LatentNetwork:
        """See `LatentNetwork.for_inference`."""
        return folded(self, self.size)


def pretrained_weights(path: str) -> dict[str, Tensor]:
    """A state dict from a local file.

    Args:
        path: of a file that `torch.save` wrote.

    Returns:
        Name of a parameter or buffer to its tensor.

    Raises:
        ConfigError: the file cannot be read as a state dict.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling an arbitrary file can raise anything
        raise ConfigError(
            f"encoder.weights: cannot read {path} as a state dict: {error}"
        ) from error
    return dict(state)


def make(task: EncoderTask) -> MadeEncoder:
    """Make an encoder from the model and the weights that the settings name.

    Raises:
        ConfigError: there is no such model, or the weights are not for it.
    """
    settings = task.settings
    network = Pretrained(str(settings.name), settings.input_size)
    weights = pretrained_weights(str(settings.weights))
    load_without_head(network.network, weights, str(settings.weights), str(settings.name))
    return MadeEncoder(
        network=network,
        shape={"name": settings.name, "input_size": settings.input_size, "own_size": True},
        record={"latent_dim": network.latent_dim},
    )


def input_of(shape: Shape) -> ImageShape | None:
    """Images in the network's size, from their own; runs of 0.1.0 enlarged the run's small ones."""
    return ImageShape(size=shape["input_size"], channels=3) if shape.get("own_size") else None


KIND = EncoderKind(
    where="driver",
    build=lambda shape: Pretrained(shape["name"], shape["input_size"]),
    make=make,
    saw_references=False,
    input_digest=digest_of_weights,
    input=input_of,
)
