"""The IDX files of MNIST, plain or gzipped. Format: yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib

import numpy as np

from rayqc.errors import InputError
from rayqc.sources.arrays import LabelledArrays, arrays_kind
from rayqc.sources.listing import list_files
from rayqc.sources.reading import read_whole
from rayqc.storage import Folder, digest

PREFIX = {"train": "train", "test": "t10k"}
UBYTE = 0x08
MOST_BYTES = 1_000_000_000
"""Most bytes of an unpacked file. EMNIST, the largest data set in this format, takes half of it."""


def load_mnist(location: str, split: str) -> LabelledArrays:
    """Images (N, 28, 28, 1) uint8 and their labels.

    Args:
        location: a folder that holds, at any depth, torchvision's `MNIST/raw` files.

    Raises:
        InputError: a file is missing or is not IDX of bytes, or images and labels differ in number.
    """
    folder = Folder(location)
    images_raw = _find(folder, f"{PREFIX[split]}-images-idx3-ubyte")
    labels_raw = _find(folder, f"{PREFIX[split]}-labels-idx1-ubyte")
    images_NHW, label_N = parse_idx(images_raw, location), parse_idx(labels_raw, location)
    if images_NHW.ndim != 3 or label_N.ndim != 1 or len(images_NHW) != len(label_N):
        raise InputError(
            f"{location}: images {images_NHW.shape} and labels {label_N.shape} differ in number"
        )
    classes = tuple(str(digit) for digit in range(max(10, int(label_N.max(initial=0)) + 1)))
    fingerprint = digest(images_raw + labels_raw)
    return LabelledArrays(
        images_NHWC=images_NHW[..., None],
        label_N=label_N.astype(np.int64),
        classes=classes,
        fingerprint=fingerprint,
    )


def parse_idx(data: bytes, where: str) -> np.ndarray:
    """The array in an IDX file of unsigned bytes.

    Raises:
        InputError: not an IDX file of bytes, or of another size than its header says.
    """
    if len(data) < 4 or data[:3] != bytes([0, 0, UBYTE]):
        raise InputError(f"{where}: not an IDX file of bytes (starts with {data[:4].hex()})")
    header_size = 4 + 4 * data[3]
    if len(data) < header_size:
        raise InputError(
            f"{where}: IDX of {len(data):,} bytes, its header alone takes {header_size:,}"
        )
    shape = struct.unpack(f">{data[3]}I", data[4:header_size])
    if len(data) - header_size != math.prod(shape):
        byte_count = len(data) - header_size
        raise InputError(
            f"{where}: IDX holds {byte_count:,} bytes, its header {shape} says otherwise"
        )
    return np.frombuffer(data, np.uint8, offset=header_size).reshape(shape)


def _find(folder: Folder, name: str) -> bytes:
    names = list_files(folder).files
    for file_name in names:
        if file_name.endswith(name):
            return read_whole(folder, file_name)
    for file_name in names:
        if file_name.endswith(name + ".gz"):
            return _decompress(read_whole(folder, file_name), folder.path(file_name))
    raise InputError(
        f"{folder}: found no file {name} or {name}.gz; expected torchvision's MNIST/raw"
    )


def _decompress(data: bytes, where: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where} is damaged: {error}; download it again") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{where} holds more than {MOST_BYTES:,} bytes, which no MNIST does")
    return content


KIND = arrays_kind("mnist", load_mnist, lambda name: "idx3-ubyte" in name)
