"""What a kind of classifier declares, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from rayqc.config import Config
from rayqc.config.settings import Classify
from rayqc.images.look import ImageShape
from rayqc.progress import Progress
from rayqc.storage import Folder


@dataclass(frozen=True, kw_only=True)
class ArmInputs:
    """What the arms are made of, before a kind turns it into what its classifiers take."""

    references: pa.Table
    """Columns id, label, image and, where it is known, latent; so has `test`."""
    test: pa.Table
    filtered: Folder
    """A finished filter's output."""
    image: ImageShape
    """The run's size and channels."""
    looked_at: ImageShape
    """What the encoder sees of an image."""
    model: Folder
    """Of the encoder."""
    seen: bool
    """Was the encoder trained on the references?"""
    classes: int
    config: Config
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Training:
    """One classifier to train: of one arm and seed."""

    references: Any
    """What the kind's `put` gave for the references; so are `test` and `pool`."""
    test: Any
    pool: Any
    rows: np.ndarray
    """(n,) int64, the candidates that the arm adds."""
    classes: int
    settings: Classify
    model: Folder
    """Of the encoder."""
    trusted: str | None
    """Python target of the encoder that the user named; see `load_encoder`."""
    seed: int
    device: str


@dataclass(frozen=True, kw_only=True)
class ClassifierKind:
    """How classifiers of one kind are trained and tested."""

    seeds: int
    """Trainings an arm, where the settings name no number."""
    put: Callable[[ArmInputs], tuple[Any, Any, Any]]
    """Puts what references, test images and pool are to it into Ray's object store."""
    accuracy: Callable[[Training], float]
    """Trains one, and returns the share of test images that it tells right."""
    uses_gpu: bool
    """Does a training take a GPU where the work uses GPUs?"""
    says: Callable[[bool], str] = lambda seen: ""
    """What follows its name in results; takes whether the encoder was trained on the references."""
