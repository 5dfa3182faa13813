"""Settings of regions: what is fitted to each class, and how it is calibrated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rayqc.config.base import Enters, PositiveInt, PromiseAsked, Settings, View, one_of
from rayqc.kinds import REGIONS, SCORES


class Regions(Settings):
    """What is fitted to each class."""

    kind: Annotated[str, one_of(*sorted(REGIONS.names))] = "calibrated"
    """`calibrated`: up to seven scores joined into one evidence and calibrated once. `sphere`: the
    paper's, in latent space. `sphere_loo`: the same with leave-one-out distances."""
    coverage: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of fresh real images that a class's region should hold; the paper's sphere encloses
    this share of its own references and holds less of fresh ones."""
    center: Literal["mean"] = "mean"
    """A sphere's: the mean of the references' latents, each the encoder's mean vector, never a
    sample. The paper names none."""
    quantile: Literal["inverted_cdf"] = "inverted_cdf"
    """A sphere's rule: the smallest observed distance that encloses at least `coverage`."""
    promise: PromiseAsked = "auto"
    """A calibrated region's: `split` gives up some references to promise the coverage, `cv+`
    promises less and asks one scorer a fold about every image, `empirical` promises nothing and
    uses all references. `auto`: split from 50 references in every class, else empirical."""
    calibration_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """References that `split` gives up; more where 19 scores (at 95%) need it."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Cross-fitting folds."""
    views: list[View] | None = None
    """What the label's classifiers look at: `edges` (histograms), `patches` (learned), `network` (a
    small one's own features), `latent` (the encoder's) and `places` (what an inner layer of it sees
    at nine places), `pool` (what images of the pool itself taught, see `pool_images`). Null takes
    the first three, `latent` where the encoder was trained elsewhere, `places` where it is of timm,
    and `pool` where `pool_images` are learned from."""
    pool_images: Annotated[int, Field(ge=0)] | None = None
    """Images of the pool's files, evenly spaced, that the label's view `pool` learns from under the
    pool's own labels; 0 leaves the view out. Where most labels of a pool are right, more of the
    wrong ones are found; the references decide how much the view has to say. Null: 1,000 where the
    encoder was trained elsewhere, else 0."""
    scores: list[Annotated[str, one_of(*SCORES.names)]] | None = None
    """Which parts the evidence has, `label` among them. Null takes all that can be fitted: `label`
    and `quality`; `detail` and `seams` where the references are larger than `image.size`;
    `nearness` where the encoder was trained elsewhere, `alteration` where it is at hand, too (not
    of kind `column`), and `texture` where it is of timm."""
    detail_side: Annotated[int, Field(ge=64)] | None = None
    """Pixels that an image's shorter side is brought to before `detail` and `seams` look at it.
    Null looks at each image's own size; where references and pool differ in size by their making,
    give one that both have."""
    augment: Literal["none", "affine"] = "affine"
    """Copies of references that the label's classifiers are trained on, too."""
    flip: bool | None = None
    """Mirrored ones as well; null flips colour images only."""
    most_references: PositiveInt = 10_000
    """References that scores are fitted and calibrated on at most, drawn at random in each class;
    small classes keep theirs."""
    measure_images: Annotated[int, Field(ge=0), Enters("fit")] = 1000
    """How many test images, evenly spaced, `fit` measures the coverage of fresh images on."""

    @model_validator(mode="after")
    def _has_views(self) -> Regions:
        if self.views is not None and not 0 < len(set(self.views)) == len(self.views):
            raise ValueError(f"views must name one or more, each once, found {self.views}")
        if (
            self.views is not None
            and self.pool_images is not None
            and ("pool" in self.views) != (self.pool_images > 0)
        ):
            raise ValueError(
                "the view pool learns from pool_images of the pool: give both or neither, found "
                f"views {self.views} and pool_images {self.pool_images}"
            )
        return self

    @model_validator(mode="after")
    def _has_the_label(self) -> Regions:
        if self.scores is not None and (
            "label" not in self.scores or len(set(self.scores)) != len(self.scores)
        ):
            raise ValueError(f"scores must name label, and each once, found {self.scores}")
        return self
