"""Settings of `rayqc evaluate`: frozen, checked when made, every one with a default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rayqc.config.base import Data, PositiveInt, Settings
from rayqc.config.regions import Regions
from rayqc.config.table3 import Table3

Pool = Literal["clean", "faults", "augment", "gan", "gan_flipped"]
RealArm = Literal["real", "all", "random", "accepted", "inverted", "oracle"]


class DataSet(Settings):
    """Real images to measure on."""

    name: str
    """In the tables."""
    references: Data
    """References are drawn from these."""
    test: Data
    """Fresh images, faults and classifiers' tests come from these."""
    others: dict[str, Data] = {}
    """Other data sets, by name; faults of kind `other_data` come from them."""
    gan: Data | None = None
    """A foreign generator's labelled images, for the pools `gan` and `gan_flipped`."""


class Detection(Settings):
    """Faults and coverage."""

    draws: dict[int, int] = {5: 20, 10: 20, 20: 20, 100: 5}
    """References a class: draws to report."""
    development: int = 2
    """Further draws, numbered below `first_draw`, that choices are made on and no figure comes
    from."""
    fresh: PositiveInt = 8000
    """Fresh test images a draw, for coverage and as what faults are told from; with few of a class,
    the lowest class's coverage is low by chance."""
    faulty: PositiveInt = 500
    """Test images a draw that each kind of fault is made in."""
    encoder_width: Annotated[float, Field(gt=0)] = 0.0625
    """Of the VAE behind sphere, reconstruction error, realism score and decodings."""
    encoder_steps: PositiveInt = 400
    """Its training."""
    gan_steps: PositiveInt = 200
    """Of the GAN whose samples are faults of kind `undertrained_gan`: far from enough."""


class Accuracy(Settings):
    """The classifier arms."""

    pools: list[Pool] = ["clean", "faults", "augment", "gan", "gan_flipped"]
    """`clean` fresh real images, `faults` the same with a share made faulty, `augment` strong
    augmentation of the references, `gan` a foreign generator's images, `gan_flipped` the same
    with a share of labels flipped."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Faulty or flipped."""
    per_class: PositiveInt = 10
    """References a class."""
    draws: PositiveInt = 10
    """Draws of references."""
    candidates: PositiveInt = 2000
    """Images in a pool."""
    arms: list[RealArm] = ["real", "all", "random", "accepted", "inverted", "oracle"]
    """`inverted` as many per class as were accepted, those of the highest scores; `oracle` as
    many, of those known to be sound."""
    steps: PositiveInt = 200
    """Of each training."""
    test_images: PositiveInt = 5000
    """Of the test set, the first so many, for every arm."""
    width: PositiveInt = 16
    """Of each classifier."""


class Evaluation(Settings):
    """All settings of an evaluation."""

    data: list[DataSet] = [
        DataSet(
            name="bundled",
            references=Data(kind="bundled", split="train"),
            test=Data(kind="bundled", split="test"),
        )
    ]
    """What to measure on."""
    first_draw: Annotated[int, Field(ge=0)] = 100
    """Number of the first draw that is reported; a draw's number seeds all of it."""
    regions: Regions = Regions()
    """What is measured; `kind` calibrated."""
    detection: Detection | None = Detection()
    """Null leaves it out."""
    accuracy: Accuracy | None = Accuracy()
    """Null leaves it out."""
    table3: Table3 | None = None
    """The paper's Table 3; null leaves it out."""

    @model_validator(mode="after")
    def _can_be_done(self) -> Evaluation:
        names = [data.name for data in self.data]
        if len(set(names)) != len(names):
            raise ValueError(f"data sets need different names, found {names}")
        for cell in self.table3.cells if self.table3 else ():
            if cell.data not in names:
                raise ValueError(
                    f"table3.cells: no data set is called {cell.data}; there are {names}"
                )
            if cell.per_class < 2:
                raise ValueError("table3.cells: per_class must be 2 or more, to cross-validate")
            if cell.compared is not None and self.table3 and self.table3.probe is None:
                raise ValueError("table3.cells: compared takes the probe, and table3.probe is null")
        if self.regions.kind != "calibrated":
            raise ValueError("regions.kind must be calibrated; spheres are measured beside it")
        if self.detection and self.detection.development > self.first_draw:
            raise ValueError("first_draw must leave room below it for detection.development draws")
        return self
