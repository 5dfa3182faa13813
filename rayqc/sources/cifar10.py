"""CIFAR-10 as torchvision downloads it: `data_batch_1..5`, `test_batch` and `batches.meta`."""

from __future__ import annotations

from rayqc.sources.arrays import LabelledArrays, arrays_kind
from rayqc.sources.cifar import load_batches


def load_cifar10(location: str, split: str) -> LabelledArrays:
    """See `cifar.load_batches`."""
    batches = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    return load_batches(location, batches, "batches.meta", b"labels", b"label_names")


KIND = arrays_kind("cifar10", load_cifar10, lambda name: name.endswith("data_batch_1"))
