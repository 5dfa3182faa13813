"""A filter's output, used again: new verdicts from stored scores, and a look at single images.

Neither needs Ray.
"""

from __future__ import annotations

from pathlib import Path

from rayqc.config.base import Statistic
from rayqc.errors import ConfigError, InputError
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.pipeline.inspect import inspect_image
from rayqc.pipeline.outputs import conclude, remake_outputs
from rayqc.pipeline.refilter import decide_again
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import CONFIG, Trust, open_run
from rayqc.results import FilterResult, InspectResult
from rayqc.shown.base import filter_lines
from rayqc.shown.commands import inspected, page_written
from rayqc.shown.displayed import shown_by
from rayqc.storage import Folder
from rayqc.tool_results import ReportResult


@shown_by(filter_lines)
def refilter(
    source: str,
    out: str,
    *,
    coverage: float | None = None,
    statistic: Statistic | None = None,
    scores_only: bool = False,
    run: str | None = None,
    trust: Trust = None,
    redo: bool = False,
) -> FilterResult:
    """Take new verdicts from stored scores, in seconds: without Ray, and no image is decoded.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` wrote.
        out: the folder to write, in the layout of a run's `filtered/`.
        coverage: share of fresh real images that regions should hold; None takes the run's.
        statistic: what all images are judged by; None leaves each pool entry its own.
        scores_only: write no images.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The new totals, and what was accepted of each class.
    """
    folder, filtered = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust))
    target = Folder(out)
    refuse_mixing(folder, filtered, target)
    level = judging_run.config.regions.coverage if coverage is None else coverage
    if not 0 < level <= 1:
        raise ConfigError(f"coverage must be in (0, 1], found {level}")
    fitted = judging_run.regions
    with own(target):
        totals = decide_again(filtered, target, fitted, level, statistic, scores_only, redo)
        return conclude(judging_run, target, totals, coverage=level, own=False)


@shown_by(page_written)
def write_report(source: str, *, run: str | None = None, trust: Trust = None) -> ReportResult:
    """Write `report.html` anew: one page to look at, without network, of what a filter found.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` or `refilter` wrote.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.

    Returns:
        Where the page is.
    """
    folder, filtered = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust))
    return {"report": remake_outputs(judging_run, filtered)[0]}


@shown_by(inspected)
def inspect(
    source: str,
    id_: str,
    *,
    picture: str | None = None,
    run: str | None = None,
    trust: Trust = None,
) -> InspectResult:
    """Say why an image was judged as it was, and show it beside references.

    They are the nearest ones of its class and of the class that it is most like.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` wrote.
        id_: the image's id, as in the shards, or the path of its file.
        picture: PNG file to write; None writes `inspect.png` in the working directory.
        run: the run that judged `source`, unless `source` is a run.
        trust: as for `fit`.

    Returns:
        The image's row, its class and why it was judged so in words, and the path of the picture.
    """
    folder, filtered = folders_of(source, run)
    judging_run = Run(folder, open_run(folder, None, False, trust=trust))
    judged_image, png = inspect_image(judging_run, filtered, id_)
    picture_path = Path(picture or "inspect.png")
    picture_path.write_bytes(png)
    words = {"class": judged_image.own, "why": judged_image.why}
    return {**words, **judged_image.row, "picture": str(picture_path)}


def folders_of(source: str, run: str | None) -> tuple[Folder, Folder]:
    """The folder of the run, and that of the filter's output."""
    folder = Folder(source)
    if run is None and not folder.exists(CONFIG):
        raise InputError(
            f"{folder} is no run (no {CONFIG}); "
            "name the run that judged it with --judged-by (run= in Python)"
        )
    if run is None:
        return folder, folder.sub("filtered")
    return Folder(run), folder
