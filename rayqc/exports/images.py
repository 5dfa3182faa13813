"""Accepted images as a map-style data set of Torch."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from torch.utils.data import Dataset


class AcceptedImages(Dataset[tuple[Any, int]]):
    """Pairs of an image and its label; as torchvision's own data sets have `classes`, `targets`."""

    def __init__(
        self,
        tables: Sequence[pa.Table],
        classes: Sequence[str],
        transform: Callable[[Any], Any] | None,
    ) -> None:
        """Hold encoded images.

        Args:
            tables: columns image and label.
            classes: names of the labels.
            transform: takes a Pillow image; None gives it as it is.
        """
        images = [chunk.field("bytes") for table in tables for chunk in table["image"].chunks]
        self.data = pa.chunked_array(images, pa.binary())
        self.targets = [int(label) for table in tables for label in np.asarray(table["label"])]
        self.classes = list(classes)
        self.class_to_idx = {name: label for label, name in enumerate(classes)}
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        image = Image.open(io.BytesIO(self.data[number].as_py()))
        image.load()
        found: Any = image if self.transform is None else self.transform(image)
        return found, self.targets[number]
