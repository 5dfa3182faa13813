"""The register of kinds: one table for each noun, one line for each kind.

A kind is a name in the settings and one file of the package. A table here names each kind's record
as `package.module:NAME`, which is imported when it is first asked for: reading settings, or
`rayqc --help`, loads none of them. CONTRIBUTING.md shows what a new kind of each table takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rayqc.errors import ArtefactError
from rayqc.targets import load_target


@dataclass(frozen=True)
class Entry:
    """One line of a table: where the record is, and what must be known before it is imported."""

    target: str
    """Where the record is."""
    needs: tuple[str, ...] = ()
    """Settings of its section that must be given for this kind."""
    says: str = ""
    """Of a score: what is wrong with an image that it turned away, in words; `{own}` is the name of
    its class and `{other}` of that which it is most like."""
    settings: str = ""
    """Where its class of settings is, if the kind has one of its own. That module is imported when
    settings are read, so it should import nothing large at its head."""


class Kinds:
    """One table: names of kinds, and where each kind's record is."""

    def __init__(self, noun: str, **lines: str | Entry) -> None:
        """`noun` says in errors what the table holds."""
        self.noun = noun
        self.entries = {
            name: Entry(line) if isinstance(line, str) else line for name, line in lines.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds' names, in the table's order."""
        return tuple(self.entries)

    def __getitem__(self, name: str) -> Any:
        """The record of a kind.

        Raises:
            ArtefactError: no kind of this name. Names in settings are checked when settings are
                read, so the unknown name comes from another file.
        """
        if name not in self.entries:
            raise ArtefactError(
                f"this rayqc knows no {self.noun} of kind {name!r}; it knows "
                + ", ".join(self.names)
            )
        return load_target(self.entries[name].target)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and records, in the table's order."""
        return ((name, self[name]) for name in self.names)


SOURCES = Kinds(
    "source",
    parquet="rayqc.sources.parquet:KIND",
    folder="rayqc.sources.folder:KIND",
    tar="rayqc.sources.tar:KIND",
    listed="rayqc.sources.listed:KIND",
    mnist="rayqc.sources.mnist:KIND",
    cifar10="rayqc.sources.cifar10:KIND",
    cifar100="rayqc.sources.cifar100:KIND",
    bundled="rayqc.sources.bundled:KIND",
)
"""Where labelled images come from: `sources.base.SourceKind`. Where a folder could be of several
kinds, the first of them in this table is taken."""

ENCODERS = Kinds(
    "encoder",
    vae="rayqc.encoders.vae:KIND",
    supervised="rayqc.encoders.supervised:KIND",
    contrastive="rayqc.encoders.contrastive:KIND",
    pretrained="rayqc.encoders.timm:KIND_INSTALLED",
    timm=Entry("rayqc.encoders.timm:KIND", needs=("name",)),
    open_clip=Entry("rayqc.encoders.open_clip:KIND", needs=("name",)),
    transformers=Entry("rayqc.encoders.transformers:KIND", needs=("name",)),
    torchvision=Entry("rayqc.encoders.torchvision:KIND", needs=("name", "weights")),
    python=Entry("rayqc.encoders.python:KIND", needs=("target",)),
    column=Entry("rayqc.encoders.column:KIND", needs=("column",)),
)
"""What turns images into latents: `encoders.base.EncoderKind`."""

GENERATORS = Kinds(
    "generator",
    augment=Entry("rayqc.generators.augment:KIND", settings="rayqc.config.pool:Augment"),
    gan=Entry("rayqc.generators.gan:KIND", settings="rayqc.config.pool:Gan"),
    vae=Entry("rayqc.generators.latent:KIND", settings="rayqc.config.pool:Latent"),
    python=Entry("rayqc.generators.python:KIND", settings="rayqc.config.pool:Code"),
    exported=Entry("rayqc.generators.exported:KIND", settings="rayqc.config.pool:Exported"),
)
"""What makes candidates, by a pool entry's kind: `generators.base.GeneratorKind`."""

CLASSIFIERS = Kinds(
    "classifier",
    cnn="rayqc.distributed.classifiers.cnn:KIND",
    probe="rayqc.distributed.classifiers.probe:KIND",
    finetune="rayqc.distributed.classifiers.finetune:KIND",
)
"""What the arms are compared by: `distributed.classifiers.base.ClassifierKind`."""

VIEWS = Kinds(
    "label view",
    edges="rayqc.regions.views.edges:KIND",
    patches="rayqc.regions.views.patches:KIND",
    network="rayqc.regions.views.network:KIND",
    latent="rayqc.regions.views.latent:KIND",
    places="rayqc.regions.views.places:KIND",
    pool="rayqc.regions.views.pool:KIND",
)
"""What the label's classifiers look at: `regions.views.base.ViewKind`."""

SCORES = Kinds(
    "score",
    label=Entry("rayqc.regions.scores.label:KIND", says="looks like {other} rather than {own}"),
    quality=Entry(
        "rayqc.regions.scores.quality:KIND",
        says="is not made like images of {own}: contrast, sharpness or spectrum",
    ),
    detail=Entry(
        "rayqc.regions.scores.detail:KIND",
        says="is not made like images of {own}, seen at its own size: noise, blur or compression",
    ),
    seams=Entry(
        "rayqc.regions.scores.seams:KIND",
        says="has other edges than images of {own}: put together of parts, blurred or compressed",
    ),
    nearness=Entry(
        "rayqc.regions.scores.nearness:KIND",
        says="shows what no reference of {own} shows",
    ),
    texture=Entry(
        "rayqc.regions.scores.texture:KIND",
        says="has surfaces or colours that no reference of {own} has",
    ),
    alteration=Entry(
        "rayqc.regions.scores.alteration:KIND",
        says="looks like an altered image of {own}: put out of order or together, turned, "
        "bent or recoloured",
    ),
)
"""Parts of the evidence against a candidate: `regions.scores.base.ScoreKind`. Each fills the column
NAME_evidence in the shards. `statistic: NAME` judges by it alone, `joint` by all together."""

PROMISES = Kinds(
    "promise",
    **{
        "split": "rayqc.regions.promises.split:KIND",
        "cv+": "rayqc.regions.promises.cv_plus:KIND",
        "empirical": "rayqc.regions.promises.empirical:KIND",
    },
)
"""Which references fit scores and which calibrate them: `regions.promises.base.PromiseKind`."""

REGIONS = Kinds(
    "region",
    sphere="rayqc.regions.sphere:KIND",
    sphere_loo="rayqc.regions.sphere:KIND_LEAVE_ONE_OUT",
    calibrated="rayqc.regions.calibrated:KIND",
)
"""What is fitted to each class: `regions.base.RegionKind`."""

OUTPUTS = Kinds(
    "output",
    **{
        "README.md": "rayqc.report.data_card:OUTPUT",
        "acceptance.png": "rayqc.report.acceptance_curve:OUTPUT",
        "contact_sheet.png": "rayqc.report.contact_sheet:OUTPUT",
        "report.html": "rayqc.report.page.render:OUTPUT",
    },
)
"""Files for people to look at, by name, written when a filter ends: `report.base.Output`."""

TRACKERS = Kinds(
    "tracker",
    tensorboard="rayqc.trackers.tensorboard:KIND",
    mlflow="rayqc.trackers.mlflow:KIND",
)
"""What else records a run while it goes: `trackers.base.StartTracker`."""

EXPORTS = Kinds(
    "layout",
    imagefolder="rayqc.exports.imagefolder:KIND",
    webdataset="rayqc.exports.webdataset:KIND",
    csv="rayqc.exports.listed:KIND",
    hf="rayqc.exports.hub:KIND",
)
"""Layouts that `rayqc export` writes: `exports.base.ExportKind`."""

SELECTIONS = Kinds(
    "way of choosing",
    herding="rayqc.selection.herding:KIND",
    coverage="rayqc.selection.coverage:KIND",
    covariance="rayqc.selection.covariance:KIND",
    central="rayqc.selection.central:KIND",
    random="rayqc.selection.random:KIND",
)
"""How a set is chosen from what was accepted: `selection.base.SelectionKind`."""
DEFAULT_WAY = "herding"
"""Of choosing a set; docs/selection.md has what each is worth."""

STAGES = Kinds(
    "stage",
    train="rayqc.pipeline.stages.train:STAGE",
    fit="rayqc.pipeline.stages.fit:STAGE",
    generate="rayqc.pipeline.stages.generate:STAGE",
    filter="rayqc.pipeline.stages.filter:STAGE",
    classify="rayqc.pipeline.stages.classify:STAGE",
)
"""The stages of a run in their order: `pipeline.stage.Stage`."""
