"""What all settings have in common: their base class, common types, and where images are."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from rayqc.kinds import PROMISES, SCORES, SOURCES, TRACKERS, VIEWS


def one_of(*names: str) -> AfterValidator:
    """A validator that accepts these names only, with the error of a pydantic `Literal`."""

    def check(name: str) -> str:
        if name not in names:
            *others, last = map(repr, names)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError(
                "literal_error", "Input should be {expected}", {"expected": expected}
            )
        return name

    return AfterValidator(check)


class Enters:
    """Stages whose result a setting enters, as an annotation of its field.

    A section's annotation holds for all settings in it that have none of their own. What only
    changes how the work is done, not what comes of it, enters none.
    """

    def __init__(self, *stages: str) -> None:
        self.stages = stages


WorkOnly = Enters()
"""For settings that change how the work is done, and not its result."""
FILES = "files"
"""The kind of a source whose format is detected at its path."""
JOINT = "joint"
"""The statistic that joins the evidence of all scores."""


def _no_truth(value: Any) -> Any:
    """Refuse `yes` and `true`, which Python takes for 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a whole number")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=10**12)]
Seed = Annotated[int, BeforeValidator(_no_truth), Field(ge=0, lt=2**63)]
Policy = Literal["mild", "moderate", "strong"]
Arm = Literal["real", "all", "random", "accepted", "rejected", "each"]
View = Annotated[str, one_of(*VIEWS.names)]
Statistic = Annotated[str, one_of(*SCORES.names, JOINT)]
Tracker = Annotated[str, one_of(*TRACKERS.names)]
PromiseAsked = Annotated[str, one_of("auto", *PROMISES.names)]


class Settings(BaseModel):
    """Base: frozen, and a setting nobody knows is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class NamesCode(Settings):
    """A section that may name code to run, or a file that is as good as code."""

    code_setting: ClassVar[str] = ""
    """The setting that names it; empty where the section names none."""

    def code(self) -> str | None:
        """The code that the section names; None where it names none, or where it is not trusted."""
        return getattr(self, self.code_setting) if self.code_setting else None


class Data(Settings):
    """Where labelled images are."""

    kind: Annotated[str, one_of(FILES, *SOURCES.names)] = FILES
    """`files` looks what is at `path`; the others say so. `bundled` is the package's own digits."""
    path: str | None = None
    """A Parquet or tar file or pattern, a folder of such files, of class folders, or of the
    files torchvision downloads; or a CSV, TSV or JSON file that lists paths and labels.
    Relative paths start at the working directory. A URL for object
    stores."""
    split: Literal["train", "validation", "test"] | None = None
    """Which part of a data set that has several: of a download, of class folders below `train`,
    `val`, `test` and the like, or of Parquet files named by splits (`train-*.parquet`,
    `test/*.parquet`). null: `test` takes test, or validation where there is no test; all else
    takes train. A split that is not there is refused."""

    image_column: str | None = None
    """Which column holds the images: of Parquet, or the paths of images in a listing (CSV, TSV,
    JSON lines, JSON). Of WebDataset's tars: the ending of the members that are images, such as
    `input.png`, or several as `jpg;png`. null takes a usual name (docs/data.md)."""
    label_column: str | None = None
    """Which column holds the classes, as numbers or names. Of WebDataset's tars: the ending of the
    members that hold them, such as `cls`, or a key of `.json` members, such as `label` or
    `meta.label`."""
    latent_column: str | None = None
    """Of Parquet, which column holds each image's latent; null takes `encoder.column`. For
    `encoder.kind: column`."""

    @model_validator(mode="after")
    def _path_suits_kind(self) -> Data:
        if self.kind == "bundled" and self.path is not None:
            raise ValueError("kind: bundled takes no path")
        if self.kind != "bundled" and not self.path:
            raise ValueError("path is missing")
        return self
