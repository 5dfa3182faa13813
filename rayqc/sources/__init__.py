"""Where labelled images come from: each source lists units and reads one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.sources.arrays import open_cifar10, open_cifar100, open_mnist
from rayqc.sources.base import Source
from rayqc.sources.folder import open_folder
from rayqc.sources.parquet import open_bundled, open_parquet
from rayqc.storage import Folder

Split = Literal["train", "test"]

KINDS: dict[str, Callable[[str, Split], Source]] = {
    "parquet": lambda path, split: open_parquet(path),
    "folder": lambda path, split: open_folder(path),
    "mnist": open_mnist,
    "cifar10": open_cifar10,
    "cifar100": open_cifar100,
    "bundled": lambda path, split: open_bundled(split),
}


def open_source(data: Data, split: Split = "train") -> Source:
    """The source that `data` describes.

    Args:
        data: kind, path and split; kind `files` looks what is at the path.
        split: taken when `data` names none.

    Raises:
        InputError: nothing there, or nothing this kind can read.
    """
    path = data.path or ""
    kind = detect(path) if data.kind == "files" else data.kind
    return KINDS[kind](path, data.split or split)


def detect(path: str) -> str:
    """The kind of what is at `path`: by its ending or pattern, or by the files in a folder."""
    if path.endswith(".parquet") or any(sign in path for sign in "*?["):
        return "parquet"
    names = Folder(path).names()
    if not names:
        raise InputError(
            f"no images at {path}: {Folder(path)} is missing or empty; expected a Parquet file, "
            "a folder of Parquet files or of class folders, or an MNIST or CIFAR download"
        )
    if any("idx3-ubyte" in name for name in names):
        return "mnist"
    if any(name.endswith("data_batch_1") for name in names):
        return "cifar10"
    if any(name.rpartition("/")[2] == "fine_label_names" or "cifar-100" in name for name in names):
        return "cifar100"
    if any(name.endswith(".parquet") for name in names):
        return "parquet"
    return "folder"


__all__ = ["KINDS", "Source", "detect", "open_source"]
