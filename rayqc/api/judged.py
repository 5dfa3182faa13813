"""What a filter judged, looked at again: other verdicts from stored scores, and single images.

Neither needs Ray.
"""

from __future__ import annotations

from pathlib import Path

from rayqc.config.base import Statistic
from rayqc.errors import ConfigError, InputError
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.pipeline.inspect import inspect_image
from rayqc.pipeline.judging import conclude
from rayqc.pipeline.refilter import decide_again
from rayqc.pipeline.run import Run
from rayqc.pipeline.run_folder import CONFIG, Trust, open_run
from rayqc.results import FilterResult, InspectResult
from rayqc.storage import Folder


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
    """Take verdicts again from stored scores: seconds, no Ray, no image is decoded.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` wrote.
        out: gets what a run's `filtered/` holds.
        coverage: share of fresh real images to hold; None takes the run's.
        statistic: judges all images; None leaves each pool entry its own.
        scores_only: write no images.
        run: the run that judged `source`, unless it is one.
        trust: as for `fit`.
        redo: clear `out` first when it holds other work.

    Returns:
        The new totals, and what was accepted of each class.
    """
    folder, filtered = _judged(source, run)
    chosen = Run(folder, open_run(folder, None, False, trust=trust))
    target = Folder(out)
    refuse_mixing(folder, filtered, target)
    level = chosen.config.regions.coverage if coverage is None else coverage
    if not 0 < level <= 1:
        raise ConfigError(f"coverage must be in (0, 1], found {level}")
    fitted = chosen.regions
    with own(target):
        totals = decide_again(filtered, target, fitted, level, statistic, scores_only, redo)
        return conclude(chosen, target, totals, coverage=level, own=False)


def inspect(
    source: str,
    id_: str,
    *,
    picture: str | None = None,
    run: str | None = None,
    trust: Trust = None,
) -> InspectResult:
    """Say why an image was judged as it was, and show it beside its nearest references.

    Args:
        source: a run whose `filter` is done, or what `filter_pool` wrote.
        id_: the image's id, as in the shards.
        picture: PNG file to write; None writes `inspect.png` in the working directory.
        run: the run that judged `source`, unless it is one.
        trust: as for `fit`.

    Returns:
        The image's row, and where the picture is.
    """
    folder, filtered = _judged(source, run)
    chosen = Run(folder, open_run(folder, None, False, trust=trust))
    judged, png = inspect_image(chosen, filtered, id_)
    file = Path(picture or "inspect.png")
    file.write_bytes(png)
    return {**judged.row, "picture": str(file)}


def _judged(source: str, run: str | None) -> tuple[Folder, Folder]:
    """The run, and the filter's output to look at."""
    folder = Folder(source)
    if run is None and not folder.exists(CONFIG):
        raise InputError(
            f"{folder} is no run (no {CONFIG}); "
            "name the run that judged it with --judged-by (run= in Python)"
        )
    if run is None:
        return folder, folder.sub("filtered")
    return Folder(run), folder
