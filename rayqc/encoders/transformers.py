"""Encoder kind `transformers`: the image tower of a model of Hugging Face's library.

`name` is a folder that `save_pretrained` wrote, or a model on the Hub, which the library fetches or
has in its cache. Only safetensors are read, and no code of a model's own. Weights and settings of
the network are kept in the run.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rayqc.config.encoder import Encoder as EncoderSettings
from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, Shape
from rayqc.encoders.tower import Tower, input_of, made_tower
from rayqc.encoders.weights import gives_no
from rayqc.errors import ConfigError
from rayqc.storage import digest

EXTRA = "pip install 'rayqc[transformers]'"
VISION = ("vision_model.", "visual_projection.")
"""Beginnings of names of weights of images, in a model of images and text."""
POOLER, MASK = "pooler.", "mask_token"
"""Beginning of the names of weights that pool, and end of those that stand for hidden patches."""
BICUBIC = 3
"""Pillow's number of that interpolation, as settings of image processors name it."""


class Pooled(nn.Module):
    """What a model of transformers makes of a whole image."""

    def __init__(self, model: Any, pools: bool = True) -> None:
        """Take the model; of one of images and text, the image tower and its projection.

        Args:
            pools: keep what pools its output; else it is taken off.
        """
        super().__init__()
        if not pools:
            model.pooler = None
        self.tower = getattr(model, "vision_model", model)
        self.projection = getattr(model, "visual_projection", None) or nn.Identity()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, D): the pooled output, or that of the first token where nothing is pooled."""
        output = self.tower(pixel_values=x_NCHW)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state[:, 0]
        projected: Tensor = self.projection(pooled.flatten(1))
        return projected


def _transformers() -> Any:
    if importlib.util.find_spec("transformers") is None:
        raise ConfigError(f"encoder.kind: transformers needs the package of that name: {EXTRA}")
    import transformers  # noqa: PLC0415  (an extra, and slow)

    return transformers


def make(task: EncoderTask) -> MadeEncoder:
    """The image tower of the model that the settings name.

    Raises:
        ConfigError: there is no such model, or it is no model of images.
    """
    name, library = str(task.settings.name), _transformers()
    try:
        model, loaded = library.AutoModel.from_pretrained(
            name, use_safetensors=True, output_loading_info=True
        )
        processor = library.AutoImageProcessor.from_pretrained(name)
    except Exception as error:  # an unknown name, a damaged file, no network
        raise gives_no("transformers", name, error) from error
    if getattr(model, "main_input_name", "pixel_values") != "pixel_values" and not hasattr(
        model, "vision_model"
    ):
        raise ConfigError(f"encoder.name: {name} takes no images, but {model.main_input_name}")
    pools = _pools(model, sorted(loaded["missing_keys"]), name)
    shape = {**_shape_of(model.config, processor.to_dict()), "pools": pools}
    return made_tower(Pooled(model.float(), pools), shape)


def _pools(model: Any, lacks: list[str], name: str) -> bool:
    """Is what pools the model's output that of its checkpoint?

    The library draws at random what a checkpoint lacks, such as the pooler of a classifier.

    Args:
        model: as the library made it; what only training asks for is set to 0.
        lacks: names of the weights that the checkpoint lacks.
        name: of the model, for errors.

    Raises:
        ConfigError: it lacks weights that latents are made with.
    """
    towers = VISION if hasattr(model, "vision_model") else ("",)
    wanted = [key for key in lacks if key.startswith(towers)]
    for key in wanted:
        if key.endswith(MASK):
            model.get_parameter(key).data.zero_()
    used = [key for key in wanted if not key.endswith(MASK)]
    others = [key for key in used if not key.startswith(POOLER)]
    if others:
        raise ConfigError(f"encoder.name: {name} lacks weights of its own layers: {others[:3]}")
    return not used


def _shape_of(config: Any, asked: dict[str, Any]) -> Shape:
    """What is needed to build the network again, and how images are brought to it."""
    resized, cropped = (
        max(sizes.values()) if (sizes := asked.get(key)) else None for key in ("size", "crop_size")
    )
    size = cropped if cropped and asked.get("do_center_crop") else resized
    return {
        "config": json.loads(config.to_json_string(use_diff=False)),
        "size": int(size or 224),
        "kept_share": min(1.0, (size or 1) / (resized or size or 1)),
        "interpolation": "bicubic" if asked.get("resample") == BICUBIC else "bilinear",
        "mean": list(asked.get("image_mean") or (0.5, 0.5, 0.5)),
        "spread": list(asked.get("image_std") or (0.5, 0.5, 0.5)),
    }


def _build(shape: Shape) -> Tower:
    library = _transformers()
    values = dict(shape["config"])
    config = library.AutoConfig.for_model(values.pop("model_type"), **values)
    model = library.AutoModel.from_config(config).float()
    return Tower(Pooled(model, shape.get("pools", True)), shape)


def _digest(settings: EncoderSettings) -> str | None:
    """Digest of a folder's weights; None of a model on the Hub."""
    files = sorted(Path(str(settings.name)).glob("*.safetensors"))
    return digest(b"".join(path.read_bytes() for path in files)) if files else None


KIND = EncoderKind(
    where="driver",
    build=_build,
    make=make,
    saw_references=False,
    input_digest=_digest,
    input=input_of,
)
