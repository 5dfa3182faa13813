"""CIFAR-10 and CIFAR-100 in the Python batches that torchvision downloads.

The batches are pickles. The unpickler here admits only numpy arrays and plain values, so that a
manipulated download cannot run code.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from rayqc.errors import InputError
from rayqc.sources.arrays import LabelledArrays
from rayqc.sources.classes import checked_classes
from rayqc.sources.listing import list_files
from rayqc.sources.reading import read_whole
from rayqc.storage import Folder, digest

ADMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"),
}


def load_batches(
    location: str, batches: list[str], meta: str, labels: bytes, names: bytes
) -> LabelledArrays:
    """Images (N, 32, 32, 3) uint8 and their labels, from the named batches of a download.

    Args:
        location: a folder that holds the batches and `meta` at any depth.
        meta: the file that names the classes.
        labels: key of the labels in a batch.
        names: key of the class names in `meta`.

    Raises:
        InputError: a file is missing or is not a CIFAR batch.
    """
    folder = Folder(location)
    batch_bytes = [_find(folder, name) for name in batches]
    contents = [
        _unpickle(data, f"{folder}/{name}") for data, name in zip(batch_bytes, batches, strict=True)
    ]
    classes = _unpickle(_find(folder, meta), f"{folder}/{meta}").get(names)
    for name, content in zip(batches, contents, strict=True):
        pixels = content.get(b"data")
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != 3072:
            raise InputError(f"{folder}/{name}: expected (N, 3072) pixels under b'data'")
        if len(content.get(labels, ())) != len(pixels):
            raise InputError(f"{folder}/{name}: labels and images differ in number")
    if not classes or not isinstance(classes, list):
        raise InputError(f"{folder}/{meta}: found no list of class names")
    flat_pixels = np.concatenate([content[b"data"] for content in contents]).astype(np.uint8)
    images_NHWC = flat_pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    label_N = np.concatenate([np.asarray(content[labels], dtype=np.int64) for content in contents])
    return LabelledArrays(
        images_NHWC=images_NHWC,
        label_N=label_N,
        classes=_names(classes, f"{folder}/{meta}"),
        fingerprint=digest(b"".join(batch_bytes)),
    )


def _names(classes: list[Any], where: str) -> tuple[str, ...]:
    try:
        names = [name.decode() if isinstance(name, bytes) else name for name in classes]
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: found a class name that is not UTF-8: {error}") from error
    return checked_classes(names, where)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core", "numpy._core")  # what numpy 1 called it
        if (module, name) not in ADMITTED:
            raise InputError(f"refused to load {module}.{name}: a CIFAR batch holds arrays only")
        return super().find_class(module, name)


def _unpickle(data: bytes, where: str) -> dict[bytes, Any]:
    try:
        batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except Exception as error:  # pickle raises whatever the bytes lead it to
        raise InputError(f"{where} is not a CIFAR batch: {error}") from error
    if not isinstance(batch, dict):
        raise InputError(f"{where} is not a CIFAR batch: found {type(batch).__name__}")
    return batch


def _find(folder: Folder, name: str) -> bytes:
    for file_name in list_files(folder).files:
        if file_name.rpartition("/")[2] == name:
            return read_whole(folder, file_name)
    raise InputError(f"{folder}: found no file {name}; expected what torchvision downloads")
