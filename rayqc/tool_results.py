"""What the commands beside the stages return: lists, exports, checks; plain values."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class ListResult(TypedDict):
    """Judged images, and why each was judged as it was."""

    rows: list[dict[str, Any]]
    """Of the columns `ledger.judged.LISTED`."""
    count: int
    """All that were asked for, of which `rows` may be the first few."""
    csv: str | None


class ExportResult(TypedDict):
    """An export of judged images."""

    images: int
    out: str
    read_with: str
    """A line of Python that reads it."""


class InitResult(TypedDict):
    """Settings that were written."""

    settings: str
    found: list[str]
    """What they are for, in lines."""
    sample: int
    """Images of the pool that a first run should take."""


class ClassCounts(TypedDict):
    """Images of a class; None where there are none to count, or too many."""

    references: int
    """Those that are drawn."""
    test: int | None
    pool: int | None


class PlannedPool(TypedDict):
    """A pool entry, as a run would judge it."""

    candidates: int
    units: int
    mb: float
    """Of all its images, encoded, from a few of them."""
    made_here: bool


class PlannedStage(TypedDict):
    """What a stage is expected to do and to take."""

    work: str
    seconds: float
    memory_mb: float
    """Of all its workers together."""
    output_mb: float
    at_once: int
    """Workers that find something to do."""
    bound: str
    """What there would have to be more of for less time."""
    seconds_beside_gpus: float | None
    """At least, where GPUs encode: what CPUs have to do still. None where there are none, or where
    it is not known."""
    lost_with_a_node: float
    """Seconds of work at most that each CPU of a node takes with it when the node goes; 0 for
    stages without units."""


class PlannedNodes(TypedDict):
    """Nodes of a kind that a run would have."""

    name: str
    count: int
    """Of them; where a cluster grows, the most."""
    cpus: int
    """Of each."""
    gpus: int
    dollars_an_hour: float | None
    """Of each; None where nobody said."""


class PlanResult(TypedDict):
    """A run that has not begun: its sizes, and what it is expected to take."""

    cpus: int
    gpus: int
    """Known for clusters only: a machine's own are not looked at."""
    actors_a_gpu: int
    """Encoding actors that share one; 0 where there are none."""
    nodes: list[PlannedNodes]
    classes: dict[str, ClassCounts]
    image: list[int]
    """Height, width and channels."""
    references: int
    test_images: int
    pool: dict[str, PlannedPool]
    stages: dict[str, PlannedStage]
    seconds: float
    """On CPUs alone."""
    dollars: float | None
    """Of all nodes for that long; None unless each has a price."""
    memory_mb: float
    """Of the stage that needs the most."""
    output_mb: float


class SubmitResult(TypedDict):
    """A run that was submitted to a cluster."""

    job: str
    """Its id there."""
    out: str
    status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
    exit_code: int | None
    """The job's own; None before it has ended."""


class SettingFacts(TypedDict):
    """What a setting is."""

    name: str
    """With its section, such as `encoder.steps`."""
    default: str
    """As YAML, or `required`."""
    changes: str
    """Stages that do their work anew when it changes."""
    means: str


class StageState(TypedDict):
    """Where a stage of a run stands."""

    name: str
    status: str
    """`done`, `begun`, or `not begun`."""
    at: str | None
    """When it ended, or began; UTC."""
    seconds: float | None


class LedgerState(TypedDict):
    """How much of a pool is made or judged."""

    units: int
    units_done: int
    images: int
    images_done: int
    outcomes: dict[str, int]
    """Verdict to images."""
    whole: bool
    """Is it finished, with its files named in a manifest?"""


class StateResult(TypedDict):
    """Where a run, or a filter's output, stands."""

    owner: str | None
    """The command at work in it, or one that died there, in words; None where there is none."""
    stages: list[StageState]
    """Of a run, in order; empty for a filter's output."""
    ledgers: dict[str, LedgerState]
    """By folder in the run; of a filter's output, by its path."""


class ReportResult(TypedDict):
    """What `report` wrote."""

    report: str
    """Path or URL of the page."""


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
