"""What a run's stages read back: its encoder, its regions, its real test images."""

from __future__ import annotations

import pyarrow as pa

from rayqc.config import Config
from rayqc.regions import FittedRegions, load_regions
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, read_all
from rayqc.storage import Folder
from rayqc.training.checkpoint import TrainedEncoder, load_encoder

REFERENCES = "references.parquet"


def run_encoder(folder: Folder, config: Config) -> TrainedEncoder:
    """The encoder of a run; of Python code only what the settings in force name."""
    return load_encoder(folder.sub("model"), config.encoder.target)


def run_regions(folder: Folder, config: Config) -> FittedRegions:
    """The regions of a run."""
    trained = run_encoder(folder, config)
    return load_regions(folder.sub("regions"), trained.digest, trained.network.latent_dim)


def test_images(config: Config, classes: tuple[str, ...], most: int | None) -> pa.Table | None:
    """Real test images, labelled among `classes`, at most so many; None where none are named."""
    data = config.test_data()
    if data is None:
        return None
    source = open_source(data, split="test")
    return match_labels(read_all(source, most, config.image.max_bytes), source.classes, classes)
