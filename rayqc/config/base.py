"""What all settings share: their base, common types, and where images are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Policy = Literal["mild", "moderate", "strong"]
Arm = Literal["real", "all", "random", "accepted", "rejected", "each"]
View = Literal["edges", "patches", "network", "latent"]
Statistic = Literal["label", "quality", "joint"]
PromiseAsked = Literal["auto", "split", "cv+", "empirical"]


class Settings(BaseModel):
    """Base: frozen, and a setting nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Data(Settings):
    """Where labelled images are."""

    kind: Literal[
        "files", "parquet", "folder", "tar", "mnist", "cifar10", "cifar100", "bundled"
    ] = "files"
    """`files` looks what is at `path`; the others say so. `bundled` is the package's own digits."""
    path: str | None = None
    """A Parquet or tar file or pattern, a folder of such files, of class folders, or of the
    files torchvision downloads. Relative paths start at the working directory. A URL for object
    stores."""
    split: Literal["train", "test"] | None = None
    """Which part of a data set that has two, or of a folder of Parquet files all named by splits
    (`train-*.parquet`, `test/*.parquet`); `test` defaults to test, all else to train."""

    @model_validator(mode="after")
    def _has_a_place(self) -> Data:
        if self.kind == "bundled" and self.path is not None:
            raise ValueError("kind: bundled takes no path")
        if self.kind != "bundled" and not self.path:
            raise ValueError("path is missing")
        return self
