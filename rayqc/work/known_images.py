"""Images that a run knows byte for byte: its references and its test images.

A candidate with the bytes of a reference adds nothing, and one with the bytes of a test image makes
the accuracy measured on it too high. Both are judged as any other, and told in column `message`.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from rayqc.schema import LATENT, each_image
from rayqc.storage import Folder, digest, read_table
from rayqc.work.latent_columns import latent_matrix

FILE = "known_images.parquet"
"""In the run folder: `digest`, SHA-256 of the encoded bytes in hex, and `image`, what it is."""
REFERENCE, TEST = "reference ", "test image "
SAME = "has the bytes of "
SCHEMA = pa.schema([("digest", pa.string()), ("image", pa.string())])


def digests_of(images: pa.Table) -> list[str]:
    """SHA-256 of each image's bytes; of one without bytes, what no image has."""
    return [digest(data) if data else "" for data in each_image(images)]


def contents_of(images: pa.Table) -> list[str]:
    """SHA-256 of each image's bytes and of the latent that came with it, if any did."""
    digests = digests_of(images)
    if LATENT not in images.column_names:
        return digests
    latent_bytes = (row.tobytes() for row in latent_matrix(images))
    return [
        digest(of_image.encode() + latent)
        for of_image, latent in zip(digests, latent_bytes, strict=True)
    ]


def content_of(ids: list[str], labels: Iterable[object], digests: list[str]) -> str:
    """One digest of images, their ids and their labels; `digests` as `contents_of` gives them."""
    rows = zip(ids, labels, digests, strict=True)
    return digest("\n".join(f"{name} {label} {key}" for name, label, key in rows).encode())


def known_table(references: pa.Table, test_digests: Iterable[tuple[str, str]]) -> pa.Table:
    """The table that `FILE` holds.

    Args:
        references: columns id, image.
        test_digests: digest and id of each test image; one that is a reference, too, stays a test
            image.
    """
    of_references = zip(digests_of(references), references["id"].to_pylist(), strict=True)
    image_by_digest = {key: REFERENCE + name for key, name in of_references}
    image_by_digest |= {key: TEST + name for key, name in test_digests}
    image_by_digest.pop("", None)
    columns = [pa.array(image_by_digest.keys()), pa.array(image_by_digest.values())]
    return pa.Table.from_arrays([column.cast(pa.string()) for column in columns], schema=SCHEMA)


class KnownImages:
    """The images of a run folder's `FILE`; none where a run of an earlier version lacks it."""

    def __init__(self, run: Folder) -> None:
        self._image_by_digest: dict[str, str] = {}
        if run.exists(FILE):
            columns = read_table(run, FILE).to_pydict()
            self._image_by_digest = dict(zip(columns["digest"], columns["image"], strict=True))

    def notes(self, digests: list[str]) -> pa.Array:
        """What each image has the bytes of, in words; null where the run knows none of these."""
        same_N = (self._image_by_digest.get(key) for key in digests)
        return pa.array([None if same is None else SAME + same for same in same_N], pa.string())
