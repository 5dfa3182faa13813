"""What a filter judged, looked at again: other verdicts from stored scores, and single images.

Neither needs Ray.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rayqc.config.base import Statistic
from rayqc.errors import ConfigError, InputError
from rayqc.ledger.owner import own, refuse_mixing
from rayqc.ledger.stages import CONFIG, Trust, open_run
from rayqc.pipeline.acceptance import judge_acceptance
from rayqc.pipeline.artefacts import run_regions
from rayqc.pipeline.inspect import inspect_image
from rayqc.pipeline.refilter import decide_again
from rayqc.report.acceptance import acceptance_picture
from rayqc.storage import Folder

Summary = dict[str, Any]


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
) -> Summary:
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
    config = open_run(folder, None, False, trust=trust)
    target = Folder(out)
    refuse_mixing(folder, filtered, target)
    level = config.regions.coverage if coverage is None else coverage
    if not 0 < level <= 1:
        raise ConfigError(f"coverage must be in (0, 1], found {level}")
    fitted = run_regions(folder, config)
    with own(target):
        totals = decide_again(filtered, target, fitted, level, statistic, scores_only, redo)
        acceptance = judge_acceptance(folder, target, config)
        target.write("acceptance.png", acceptance_picture(acceptance, level))
    return {**asdict(totals), "acceptance": acceptance}


def inspect(
    source: str,
    id_: str,
    *,
    picture: str | None = None,
    run: str | None = None,
    trust: Trust = None,
) -> Summary:
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
    config = open_run(folder, None, False, trust=trust)
    found, png = inspect_image(folder, filtered, config, id_)
    place = Path(picture or "inspect.png")
    place.write_bytes(png)
    return {**found.row, "picture": str(place)}


def _judged(source: str, run: str | None) -> tuple[Folder, Folder]:
    """The run, and the filter's output to look at."""
    place = Folder(source)
    if run is None and not place.exists(CONFIG):
        raise InputError(
            f"{place} is no run (no {CONFIG}); "
            "name the run that judged it with --judged-by (run= in Python)"
        )
    if run is None:
        return place, place.sub("filtered")
    return Folder(run), place
