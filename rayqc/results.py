"""What each command returns and what `result.json` holds: plain values, ready for JSON."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

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
    nearness: NotRequired[MeasuredShare]
    texture: NotRequired[MeasuredShare]
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


class ListResult(TypedDict):
    """Judged images, and why each was judged as it was."""

    rows: list[dict[str, Any]]
    """Of the columns `ledger.judged.LISTED`."""
    count: int
    """All that were asked for, of which `rows` may be the first few."""
    csv: str | None


class CheckedSection(TypedDict):
    """What the images of one split, or of one section of the settings, are."""

    images: int
    decoded: int
    classes: dict[str, int]
    """Class to images; those without a label have the empty name."""
    sizes: dict[str, int]
    """`WIDTH x HEIGHT` to images, the most frequent first."""
    modes: dict[str, int]
    """Format and mode to images, such as `JPEG RGB` or `TIFF I;16`, the most frequent first."""
    ranges: dict[str, list[float]]
    """`whole numbers` or `floats` to least and largest value, of images of more than 8 bits."""


class Duplicates(TypedDict):
    """Images that have the bytes of another one that was looked at before."""

    images: int
    across: dict[str, int]
    """Two sections, such as `references and test`, to how many of the latter's images."""
    of_other_classes: int
    """Those whose class is another than that of the image before."""
    examples: list[str]


class CheckCountsResult(TypedDict):
    """Counts of all images at a path, or of a configuration."""

    images: int
    decoded: int
    reasons: dict[str, int]
    examples: dict[str, list[str]]
    """Reason to the first names, each with the decoder's message."""
    sections: dict[str, CheckedSection]
    """By split, or by section of the settings; of a path without splits one, called `images`."""
    duplicates: Duplicates


class CheckResult(CheckCountsResult):
    """What decoding all images at a path, or of a configuration, gave."""

    images_a_second: float
    peak_memory_mb: float


class CleanResult(TypedDict):
    """Files that dead attempts left."""

    files: list[str]
    deleted: NotRequired[int]
    would_delete: NotRequired[int]


class NodeFacts(TypedDict, total=False):
    """What a process finds out about its machine."""

    versions: dict[str, str]
    """Of Python, rayqc and the packages that matter."""
    asks_for_token: bool
    clock: float
    """Seconds since 1970."""
    gpu_names: list[str]
    shm_bytes: int | None
    """Size of /dev/shm; None where there is none."""
    temporary_bytes_free: int


class NodeRow(NodeFacts):
    """What Ray says of a node; also the facts of its machine, where a task runs there."""

    host: str
    cpus: float
    gpus: float
    memory_bytes: float
    object_store_bytes: float


class DoctorResult(TypedDict):
    """What a Ray session offers, and warnings of what is wrong with it."""

    versions: dict[str, str]
    nodes: list[NodeRow]
    warnings: list[str]


EvaluateResult = dict[str, Any]
"""What `evaluation.json` holds: see `experiments.tables.summarise`."""
