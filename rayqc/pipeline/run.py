"""A run at work: its folder, settings and progress, and what its stages read back, once each."""

from __future__ import annotations

import pyarrow as pa

from rayqc.config import Config
from rayqc.encoders.store import MODEL, TrainedEncoder, load_encoder
from rayqc.errors import InputError
from rayqc.images.decode import Limits, limits_of
from rayqc.progress import Progress
from rayqc.regions import FittedRegions, load_regions
from rayqc.regions.store import FACTS as REGIONS
from rayqc.schema import class_names
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, read_all
from rayqc.storage import Folder, digest, read_table

REFERENCES = "references.parquet"
"""In the model's folder: the references' images. The run folder itself has their latents by this
name."""


class Run:
    """A run folder and the settings in force for it.

    Encoder, regions and references are read when first asked for and kept: reading an encoder takes
    the digest of all its weights.
    """

    def __init__(self, folder: Folder, config: Config, progress: Progress | None = None) -> None:
        self.folder, self.config = folder, config
        self.progress = progress or Progress()
        self._encoder: TrainedEncoder | None = None
        self._regions: FittedRegions | None = None
        self._references: pa.Table | None = None
        self._references_digest = ""

    @property
    def model(self) -> Folder:
        """Where encoder and references are."""
        return self.folder.sub("model")

    @property
    def filtered(self) -> Folder:
        """What the stage `filter` writes."""
        return self.folder.sub("filtered")

    @property
    def limits(self) -> Limits:
        """What an image may weigh before it is decoded."""
        return limits_of(self.config.image)

    @property
    def encoder(self) -> TrainedEncoder:
        """The run's encoder; of Python code only what the settings in force name.

        Raises:
            InputError: there is none yet.
        """
        if self._encoder is None:
            if not self.model.exists(MODEL):
                raise InputError(f"{self.folder} has no encoder yet; run `rayqc train` on it first")
            self._encoder = load_encoder(self.model, self.config.encoder.code())
        return self._encoder

    @property
    def regions(self) -> FittedRegions:
        """The run's regions.

        Raises:
            InputError: there are none yet.
        """
        if self._regions is None:
            folder, encoder = self.folder.sub("regions"), self.encoder
            if not folder.exists(REGIONS):
                raise InputError(
                    f"{self.folder} has no regions yet; run `rayqc fit {self.folder}` first"
                )
            self._regions = load_regions(folder, encoder.digest, encoder.network.latent_dim)
        return self._regions

    @property
    def references(self) -> pa.Table:
        """The references' images: columns id, image, label, source, parent."""
        if self._references is None:
            self._references = read_table(self.model, REFERENCES)
        return self._references

    @property
    def references_digest(self) -> str:
        """SHA-256 of the file of references."""
        if not self._references_digest:
            self._references_digest = digest(self.model.read(REFERENCES))
        return self._references_digest

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the references' classes."""
        return class_names(self.references.schema, "label") or ()

    def keep(
        self, encoder: TrainedEncoder | None = None, regions: FittedRegions | None = None
    ) -> None:
        """Keep what a stage has just written, so that it is not read back."""
        self._encoder = encoder or self._encoder
        self._regions = regions or self._regions

    def forget(self) -> None:
        """Read everything anew: a stage is about to write it."""
        self._encoder = self._regions = self._references = None
        self._references_digest = ""

    def with_filter(self, **changes: object) -> Run:
        """The run under settings of which some of the filter's are others."""
        chosen = self.config.filter.model_copy(update=changes)
        other = Run(self.folder, self.config.model_copy(update={"filter": chosen}), self.progress)
        other.__dict__.update({k: v for k, v in self.__dict__.items() if k.startswith("_")})
        return other

    def test_images(self, most: int | None) -> pa.Table | None:
        """Real test images, labelled among the references' classes, at most so many; None where
        the settings name none.
        """
        data = self.config.test_data()
        if data is None:
            return None
        source = open_source(data, split="test")
        table = read_all(source, most, self.config.image.max_bytes)
        return match_labels(table, source.classes, self.encoder.classes)
