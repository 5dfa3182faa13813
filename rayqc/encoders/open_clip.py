"""Encoder kind `open_clip`: the image tower of any model of that library.

`name` is a model's, with `weights` from a file; or `MODEL:TAG`, `hf-hub:OWNER/MODEL` or
`local-dir:FOLDER`, whose weights are there or come from the library's cache or hub. Weights and
settings of the tower are kept in the run.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

from rayqc.encoders.base import EncoderKind, EncoderTask, MadeEncoder, Shape
from rayqc.encoders.tower import Tower, input_of, made_tower
from rayqc.encoders.weights import digest_of_weights, gives_no, refuse_missing
from rayqc.errors import ConfigError
from rayqc.storage import digest
from rayqc.storage.formats import canonical_json

EXTRA = "pip install 'rayqc[open_clip]'"
SCHEMES = ("hf-hub:", "local-dir:")
"""Beginnings of names that bring weights and settings along."""
NO_TEXT = {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
"""A text tower that costs nothing: the library builds one beside the image tower."""


def _open_clip() -> Any:
    if importlib.util.find_spec("open_clip") is None:
        raise ConfigError(f"encoder.kind: open_clip needs the package open_clip_torch: {EXTRA}")
    import open_clip  # noqa: PLC0415  (an extra, and slow)

    return open_clip


def make(task: EncoderTask) -> MadeEncoder:
    """The image tower of the model that the settings name.

    Raises:
        ConfigError: there is no such model, or no weights for it.
    """
    name, path = str(task.settings.name), task.settings.weights
    tag = ""
    if not name.startswith(SCHEMES):
        name, _, tag = name.partition(":")
        if not tag and path is None:
            raise ConfigError(
                f"encoder: open_clip's {name} needs weights: a file (encoder.weights), or a tag in "
                f"its name ({name}:laion2b_s34b_b79k, or {SCHEMES[0]}OWNER/MODEL)"
            )
    refuse_missing(path)
    library = _open_clip()
    try:
        config = library.get_model_config(name)
        visual = library.create_model(name, pretrained=path or tag or None).visual
    except Exception as error:  # an unknown name, a damaged file, no network
        raise gives_no("open_clip", name, error) from error
    return made_tower(visual, _shape_of(config, visual.preprocess_cfg))


def _shape_of(config: dict[str, Any], asked: dict[str, Any]) -> Shape:
    """What is needed to build the tower again, and how images are brought to it."""
    size = asked["size"]
    kept = {key: config[key] for key in ("embed_dim", "vision_cfg", "quick_gelu") if key in config}
    return {
        "config": json.loads(json.dumps({**kept, "text_cfg": NO_TEXT})),
        "size": int(size if isinstance(size, int) else size[0]),
        "kept_share": 1.0,
        "interpolation": "bilinear" if asked["interpolation"] == "bilinear" else "bicubic",
        "mean": list(asked["mean"]),
        "spread": list(asked["std"]),
    }


def _build(shape: Shape) -> Tower:
    library = _open_clip()
    config = canonical_json(shape["config"])
    name = f"rayqc-{digest(config)[:16]}"
    if library.get_model_config(name) is None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, f"{name}.json").write_bytes(config)
            library.add_model_config(Path(folder))
    return Tower(library.create_model(name).visual, shape)


KIND = EncoderKind(
    where="driver",
    build=_build,
    make=make,
    saw_references=False,
    input_digest=digest_of_weights,
    input=input_of,
)
