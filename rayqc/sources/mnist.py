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

PREFIXES = {"train": ("train",), "test": ("t10k", "test")}
"""How names of a split's files begin; in EMNIST's, `emnist-letters-` and the like stand before."""
UBYTE = 0x08
MOST_BYTES = 1_000_000_000
"""Most bytes of an unpacked file. EMNIST, the largest data set in this format, takes half of it."""


def load_mnist(location: str, split: str) -> LabelledArrays:
    """Images (N, 28, 28, 1) uint8 and their labels.

    Args:
        location: a folder that holds, at any depth, torchvision's `MNIST/raw` files.

    Raises:
        InputError: a file is missing or there several times, is not IDX of bytes, or images and
            labels differ in number.
    """
    folder = Folder(location)
    images_raw = _find(folder, [f"{prefix}-images-idx3-ubyte" for prefix in PREFIXES[split]])
    labels_raw = _find(folder, [f"{prefix}-labels-idx1-ubyte" for prefix in PREFIXES[split]])
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


def _find(folder: Folder, endings: list[str]) -> bytes:
    """The content of the only file whose name has one of the endings; a plain one goes before .gz.

    Raises:
        InputError: there is none, or there are several.
    """
    names = list_files(folder).files
    for packed in ("", ".gz"):
        found = [name for name in names if name.endswith(tuple(f"{e}{packed}" for e in endings))]
        if len(found) > 1:
            raise InputError(
                f"{folder}: found {len(found)} files of one kind, {found[0]} and {found[1]} first, "
                "as of several data sets; give the folder of one"
            )
        if found:
            data = read_whole(folder, found[0])
            return _decompress(data, folder.path(found[0])) if packed else data
    raise InputError(
        f"{folder}: found no file {endings[0]} or {endings[0]}.gz; expected torchvision's MNIST/raw"
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
