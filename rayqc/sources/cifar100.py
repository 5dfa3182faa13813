"""CIFAR-100 as torchvision downloads it: `train`, `test` and `meta`, with the 100 fine labels."""

from __future__ import annotations

from rayqc.sources.arrays import LabelledArrays, arrays_kind
from rayqc.sources.cifar import load_batches


def load_cifar100(location: str, split: str) -> LabelledArrays:
    """See `cifar.load_batches`."""
    return load_batches(location, [split], "meta", b"fine_labels", b"fine_label_names")


def _shows(name: str) -> bool:
    *folders, file_name = name.split("/")
    return file_name == "fine_label_names" or "cifar-100-python" in folders


KIND = arrays_kind("cifar100", load_cifar100, _shows)
