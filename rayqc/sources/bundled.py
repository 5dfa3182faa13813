"""The package's own digits from MNIST: 400 a class to train on and 100 a class to test on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rayqc.sources.base import SourceAsked, SourceKind
from rayqc.sources.parquet import BUNDLED, ParquetSource, folder_of, open_parquet
from rayqc.sources.splits import has_train_and_test


def open_bundled(path: str, asked: SourceAsked) -> ParquetSource:
    """The digits of a split; `path` is ignored."""
    split = has_train_and_test(asked, "bundled")
    file = Path(folder_of(BUNDLED).location) / f"mnist5k-{split}.parquet"
    # Not the file's own location: nodes of a cluster may keep the package in different folders.
    return replace(open_parquet(str(file)), location=BUNDLED)


KIND = SourceKind(open=open_bundled, tells_splits=True)
