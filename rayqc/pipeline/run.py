"""A run: its folder, settings and progress, and what its stages read back from the folder."""

from __future__ import annotations

from typing import TypeVar

import pyarrow as pa

from rayqc.config import Config
from rayqc.config.base import Settings
from rayqc.encoders.store import MODEL, TrainedEncoder, load_encoder
from rayqc.errors import InputError
from rayqc.images.decode import Limits, limits_of
from rayqc.live import usual_progress
from rayqc.pipeline.leaks import without_references
from rayqc.pipeline.levels import levels_in
from rayqc.progress import Progress
from rayqc.regions import FittedRegions, load_regions
from rayqc.regions.store import FACTS as REGIONS
from rayqc.schema import class_names
from rayqc.sources import open_source
from rayqc.sources.select import match_labels, read_all
from rayqc.storage import Folder, digest, read_table

Section = TypeVar("Section", bound=Settings)

REFERENCES = "references.parquet"
"""File of the references: of their images in the model's folder, of their latents in the run
folder."""


class Run:
    """A run folder and the settings in force for it.

    Encoder, regions and references are read when they are first asked for and then kept, because
    reading an encoder computes the digest of all its weights.
    """

    def __init__(self, folder: Folder, config: Config, progress: Progress | None = None) -> None:
        self.folder, self.asked = folder, config
        self.progress = progress or usual_progress()
        self._encoder: TrainedEncoder | None = None
        self._regions: FittedRegions | None = None
        self._references: pa.Table | None = None
        self._references_digest = ""
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """The settings in force: those asked for, with `image.range` as it was chosen."""
        if self._config is None:
            levels = levels_in(self.model)
            image = self.asked.image.model_copy(update={"range": levels or "full"})
            self._config = self.asked.model_copy(update={"image": image})
        return self._config

    @property
    def model(self) -> Folder:
        """The folder of encoder and references."""
        return self.folder.sub("model")

    @property
    def filtered(self) -> Folder:
        """The folder that the stage `filter` writes."""
        return self.folder.sub("filtered")

    @property
    def limits(self) -> Limits:
        """Limits on images: most bytes, most pixels, and the formats that are decoded."""
        return limits_of(self.config.image)

    @property
    def encoder(self) -> TrainedEncoder:
        """The run's encoder; Python code is loaded only if the settings in force name it.

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
        """Keep what a stage has just written, so that it need not be read back."""
        self._encoder = encoder or self._encoder
        self._regions = regions or self._regions

    def forget(self) -> None:
        """Drop everything that was read, because a stage is about to write it anew."""
        self._encoder = self._regions = self._references = None
        self._references_digest = ""
        self._config = None

    def with_filter(self, **changes: object) -> Run:
        """The run with some of the filter's settings changed."""
        filter_settings = self.asked.filter.model_copy(update=changes)
        changed_run = Run(
            self.folder, self.asked.model_copy(update={"filter": filter_settings}), self.progress
        )
        changed_run.__dict__.update(
            {name: value for name, value in self.__dict__.items() if name.startswith("_")}
        )
        changed_run._config = None
        return changed_run

    def section(self, kind: type[Section]) -> Section:
        """The section of settings that a stage adds, by the section's class."""
        return next(section for _, section in self.config if isinstance(section, kind))

    def test_images(self, most: int | None) -> pa.Table | None:
        """At most `most` real test images, labelled by the references' classes; None where the
        settings name none.
        """
        data = self.config.test_data()
        if data is None:
            return None
        source = open_source(data, split="test")
        table = read_all(source, most, self.config.image.max_bytes)
        if self.config.references.in_test == "drop":
            table = without_references(table, self.references)
        return match_labels(table, source.classes, self.encoder.classes)
