"""Stage `classify`: train classifiers with and without the accepted images, otherwise alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayqc.pipeline.stage import Stage
from rayqc.shown import Shown, percent, points

if TYPE_CHECKING:
    from rayqc.pipeline.run import Run
    from rayqc.results import ClassifyResult


def work(run: Run) -> ClassifyResult:
    """Train and test a classifier of each arm and seed; none where the settings name no arms."""
    from rayqc.distributed.classify import PROBE, kind_of, run_arms
    from rayqc.errors import InputError
    from rayqc.report.intervals import summarise
    from rayqc.storage import write_json

    summary: ClassifyResult = {}
    if run.config.classify.arms:
        test = run.test_images(None)
        if test is None:
            raise InputError(
                "the classifier stage needs `test` images; the configuration names none"
            )
        records = run_arms(
            run.references,
            test,
            run.filtered,
            run.folder.sub("classify"),
            run.encoder.image,
            run.model,
            run.encoder.seen,
            len(run.encoder.classes),
            run.config,
            run.progress,
        )
        kind = kind_of(run.config.classify, run.encoder.image)
        if kind == PROBE:
            kind += " of edge histograms" if run.encoder.seen else " of latents"
        summary = {**summarise(records), "kind": kind, "test_images": test.num_rows}
    write_json(run.folder, "classify.json", summary)
    return summary


def show(summary: ClassifyResult, folder: str) -> Shown:
    """Accuracy of each arm, and differences between arms."""
    arms, differences = summary.get("arms", {}), summary.get("differences", {})
    return [
        *([f"classifier: {summary['kind']}"] if "kind" in summary else []),
        *(
            f"{name}: {percent(arm['accuracy'])}, {arm['added']:,} images added"
            for name, arm in arms.items()
        ),
        *(f"{name}: {points(value)}" for name, value in differences.items()),
    ]


STAGE = Stage(
    name="classify",
    help="train classifiers with and without what was kept",
    needs=("filter",),
    outputs=("classify", "classify.json", "result.json"),
    work=work,
    show=show,
    result=lambda summary: {"classify": summary},
)
