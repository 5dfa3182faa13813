"""What each command returns, and what `result.json` holds: plain values, ready for JSON."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

EncoderRecord = dict[str, Any]
"""What is told of an encoder: `latent_dim`, and whatever its kind measured while training; of a VAE
`active_units`, `kl` (nats an image), reconstruction in and out of sample (nats), `steps`, ..."""


class Interval(TypedDict):
    """A mean over seeds."""

    mean: float | None
    half_width: float | None
    """Of its 95% Student interval; None where one value gives none."""


class GuaranteeFacts(TypedDict):
    """See `regions.conformal.Guarantee`."""

    promise: str
    coverage: float
    scores: int
    bound: float | None
    says: str


class MeasuredShare(TypedDict):
    """Share of real test images that one statistic accepts."""

    pooled: float
    lowest_class: str
    lowest: float
    by_class: dict[str, float]


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
    measured: dict[str, Any] | None
    """`images`, `near_copies`, and of each statistic a `MeasuredShare`; None without any test."""
    guarantee: NotRequired[GuaranteeFacts]
    thresholds: NotRequired[dict[str, float]]
    """Statistic to evidence on the boundary, in nats."""
    expected_coverage: NotRequired[float]
    """Of spheres: the share of fresh images that their radii are to hold at most."""


class GenerateResult(TypedDict):
    """What `generate` made."""

    made: int
    gan_accuracy: NotRequired[dict[str, float]]
    """Of each GAN, by name, the best accuracy that a classifier trained on its samples had."""


class ClassAcceptance(TypedDict):
    """What of a class was accepted."""

    judged: int
    accepted: int
    share: float
    near_copies: int
    turned_away: dict[str, int]
    """Reason to number."""
    curve: list[float]
    """Share accepted at each of `Acceptance.coverages`."""


class EntryAcceptance(TypedDict):
    """What of a pool entry was accepted."""

    judged: int
    accepted: int
    share: float | None
    near_copies: int
    references_met: float
    """Share of the references that are an accepted image's nearest."""


class Acceptance(TypedDict):
    """What was accepted, of all and of each class and pool entry."""

    coverages: list[float]
    curve: list[float]
    near_copies: int
    near_copy_share: float
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
    """What a filter or a refilter gave."""

    acceptance: Acceptance


class TrainingRecord(TypedDict):
    """One training of a classifier."""

    arm: str
    seed: int
    accuracy: float
    added: int
    """Images that the arm added to the references."""


class ArmResult(TypedDict):
    """What one arm came to."""

    accuracy: Interval
    seeds: int
    added: int


class ClassifyResult(TypedDict, total=False):
    """What the classifier stage found; empty where it is left out."""

    arms: dict[str, ArmResult]
    differences: dict[str, Interval]
    """Such as `accepted - random`, paired by seed."""
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
    """What accepted images took."""

    drawn: int
    accepted: int
    draws_an_accepted: float | None
    seconds_an_accepted: float | None
    interval: NotRequired[list[float | None]]
    """Of `draws_an_accepted`, of one generator and class; holds whenever one stops."""


class FilledClass(DrawCost):
    """How a class ended."""

    end: str
    """full, given up, or out of budget."""


class GeneratorCost(DrawCost):
    """What one generator gave."""

    given_up: list[str]
    by_class: dict[str, DrawCost]


class UntilResult(TypedDict):
    """What drawing until full came to."""

    until: int
    drawn: int
    accepted: int
    seconds: float | None
    """None where a round was interrupted."""
    filled: dict[str, FilledClass]
    by_generator: dict[str, GeneratorCost]
    rounds: int


InspectResult = dict[str, Any]
"""The image's row in `scores/` (see `schema.score_schema`), and `picture`, where the picture is."""


class CheckResult(TypedDict):
    """What decoding all images of a place came to."""

    images: int
    decoded: int
    reasons: dict[str, int]
    examples: dict[str, list[str]]
    """Reason to the first few names with the decoder's words."""
    images_a_second: float
    peak_memory_mb: float


class CleanResult(TypedDict):
    """What dead attempts left."""

    files: list[str]
    deleted: NotRequired[int]
    would_delete: NotRequired[int]


class DoctorResult(TypedDict):
    """What a Ray session has to offer, and what is wrong with it."""

    versions: dict[str, str]
    nodes: list[dict[str, Any]]
    """Each node's host, CPUs, GPUs, memory and, where a task runs there, facts of its machine."""
    warnings: list[str]


EvaluateResult = dict[str, Any]
"""What `evaluation.json` holds: see `experiments.tables.summarise`."""
