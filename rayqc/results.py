"""What each command returns and what `result.json` holds: plain values, ready for JSON."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from rayqc.set_results import DuplicateFacts, KeptSetFacts, SelectedClass

EncoderRecord = dict[str, Any]
"""What is recorded of an encoder: `latent_dim`, and what its kind measured while training; of a VAE
`active_units`, `kl` (nats an image), reconstruction in and out of sample (nats), `steps`, ..."""


class Interval(TypedDict):
    """A mean over seeds."""

    mean: float | None
    half_width: float | None
    """Of the mean's 95% Student interval; None where a single value gives none."""


class GuaranteeFacts(TypedDict):
    """See `regions.conformal.Guarantee`."""

    promise: str
    coverage: float
    scores: int
    bound: float | None
    says: str
    tail: bool


class MeasuredShare(TypedDict):
    """Share of real test images that one statistic accepts."""

    pooled: float
    lowest_class: str
    lowest: float
    by_class: dict[str, float]


class MeasuredCoverage(TypedDict):
    """What regions accept of real test images."""

    images: int
    near_copies: float
    """Share of them that lie nearer to a reference than `copy_distance`."""
    joint: NotRequired[MeasuredShare]
    label: NotRequired[MeasuredShare]
    quality: NotRequired[MeasuredShare]
    detail: NotRequired[MeasuredShare]
    seams: NotRequired[MeasuredShare]
    nearness: NotRequired[MeasuredShare]
    texture: NotRequired[MeasuredShare]
    alteration: NotRequired[MeasuredShare]
    distance: NotRequired[MeasuredShare]
    """Of spheres."""


class FitResult(TypedDict):
    """What `fit` found."""

    kind: str
    coverage: float
    references: dict[str, int]
    """Class to number of references."""
    radius: dict[str, float]
    """Class to radius of its sphere, in latent units."""
    separation: dict[str, float]
    """Class to AUROC of the label's score, own images against others'; empty for spheres."""
    measured: MeasuredCoverage | None
    """None without test images."""
    pool_images: NotRequired[int]
    """Images of the pool that the label learned from."""
    guarantee: NotRequired[GuaranteeFacts]
    thresholds: NotRequired[dict[str, float]]
    """Statistic to evidence on the boundary, in nats."""
    expected_coverage: NotRequired[float]
    """Of spheres: the share of fresh real images that can be expected inside, at most."""


class GenerateResult(TypedDict):
    """What `generate` made."""

    made: int
    gan_accuracy: NotRequired[dict[str, float]]
    """GAN to the best accuracy of a classifier trained on its samples."""


class ClassAcceptance(TypedDict):
    """How many images of a class were accepted."""

    judged: int
    accepted: int
    share: float
    near_copies: int
    turned_away: dict[str, int]
    """Reason to number."""
    curve: list[float]
    """Share accepted at each of `Acceptance.coverages`."""


class EntryAcceptance(TypedDict):
    """How many images of a pool entry were accepted."""

    judged: int
    accepted: int
    share: float | None
    near_copies: int
    references_met: float
    """Share of the references that are the nearest reference of some accepted image."""


class Acceptance(TypedDict):
    """How many images were accepted: of all, of each class and of each pool entry."""

    coverages: list[float]
    curve: list[float]
    near_copies: int
    near_copy_share: float
    same_as_reference: NotRequired[int]
    """Judged images that have the bytes of a reference."""
    same_as_test: NotRequired[int]
    """Judged images that have the bytes of a test image: a leak into the accuracy."""
    made_otherwise: NotRequired[dict[str, list[str]]]
    """Pool to what tells its images' size and format from the references', in words."""
    duplicates: NotRequired[DuplicateFacts]
    """Not there where fingerprints were not kept, or where the pool is too large."""
    kept_set: NotRequired[KeptSetFacts]
    by_class: dict[str, ClassAcceptance]
    by_entry: dict[str, EntryAcceptance]


class LedgerResult(TypedDict):
    """Totals of a balanced ledger."""

    units: int
    read: int
    outcomes: dict[str, int]
    """Verdict to number."""
    reasons: dict[str, int]
    by_class: dict[str, dict[str, int]]


class FilterResult(LedgerResult):
    """What a filter or a refilter returns."""

    acceptance: Acceptance


class TrainingRecord(TypedDict):
    """One training of a classifier."""

    arm: str
    seed: int
    accuracy: float
    added: int
    """Images that the arm added to the references."""


class ArmResult(TypedDict):
    """Accuracy of one arm over its seeds."""

    accuracy: Interval
    seeds: int
    added: int


class ClassifyResult(TypedDict, total=False):
    """What the classifier stage returns; empty where it is left out."""

    arms: dict[str, ArmResult]
    differences: dict[str, Interval]
    """Differences between arms, such as `accepted - random`, paired by seed."""
    kind: str
    """`cnn`, or what probes are of; missing in results of before."""
    trainings: list[TrainingRecord]
    test_images: int


class ImagesAClass(TypedDict):
    """Fewest and most references of a class."""

    min: int
    max: int


class Table3(TypedDict):
    """The paper's Table 3 with a control column."""

    images_a_class: ImagesAClass
    pool: int
    accepted: int
    before: Interval | None
    after: Interval | None
    random: Interval | None
    all: Interval | None
    rejected: Interval | None
    differences: dict[str, Interval]
    seeds: int


class RunResult(TypedDict):
    """What `result.json` holds; stages with a result of their own add their keys."""

    format_version: int
    rayqc_version: str
    table3: Table3
    acceptance: Acceptance
    ledger: LedgerResult
    encoder: EncoderRecord
    regions: FitResult
    classify: ClassifyResult


class SelectResult(LedgerResult):
    """What choosing a set returns, and `select.json` holds."""

    by: str
    per_class: int | None
    drop_duplicates: NotRequired[str]
    sets: dict[str, SelectedClass]
    classify: NotRequired[ClassifyResult]
    """Where it was measured: arms `accepted` (the set), `random` of the same size from the same
    accepted images, `all` of them, and `real`."""


class SizeFacts(TypedDict):
    """What sets of a size were worth."""

    per_class: int
    added: int
    """Images of all classes; a class with fewer gives all it has."""
    accuracy: Interval
    gain: Interval
    """Against the references alone, paired by seed."""


class RecommendedSet(TypedDict):
    """The smallest set that is no worse than the best."""

    by: str
    per_class: int


class WorthResult(TypedDict):
    """How many accepted images are worth having, and what `worth.json` holds."""

    real: Interval
    """Accuracy with the references alone."""
    sizes: dict[str, list[SizeFacts]]
    """By the way that sets were chosen; `random` is always there."""
    seeds: int
    recommended: RecommendedSet | None
    """None where no size was shown to help."""
    says: str


class DrawCost(TypedDict):
    """What the accepted images cost."""

    drawn: int
    accepted: int
    draws_an_accepted: float | None
    seconds_an_accepted: float | None
    interval: NotRequired[list[float | None]]
    """Of `draws_an_accepted`, of one generator and class; valid whenever drawing stops."""


class FilledClass(DrawCost):
    """Cost of a class, and how drawing it ended."""

    end: str
    """full, given up, or out of budget."""


class GeneratorCost(DrawCost):
    """Cost of one generator's images."""

    given_up: list[str]
    by_class: dict[str, DrawCost]


class UntilResult(TypedDict):
    """What drawing until full returns."""

    until: int
    drawn: int
    accepted: int
    seconds: float | None
    """None where a round was interrupted."""
    filled: dict[str, FilledClass]
    by_generator: dict[str, GeneratorCost]
    rounds: int


ScoreRow = dict[str, Any]
"""An image's row in `scores/`; see `schema.score_schema`."""
InspectResult = ScoreRow
"""The image's row, and `picture`, where the picture is."""


EvaluateResult = dict[str, Any]
"""What `evaluation.json` holds: see `experiments.tables.summarise`."""
