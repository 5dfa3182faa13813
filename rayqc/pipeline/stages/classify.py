"""Stage `classify`: train classifiers with and without the accepted images, otherwise alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rayqc.pipeline.stage import Stage
from rayqc.shown.base import Shown, few_tests_lines, percent, points

if TYPE_CHECKING:
    from rayqc.pipeline.outlook import Expected, Outlook
    from rayqc.pipeline.run import Run
    from rayqc.results import ClassifyResult


STEP_OF_TESTS = 3
"""A training step of an image takes as long as so many forward passes of one."""


def work(run: Run) -> ClassifyResult:
    """Train and test a classifier of each arm and seed; none where the settings name no arms."""
    from rayqc.distributed.classify import kind_of, run_arms
    from rayqc.errors import InputError
    from rayqc.kinds import CLASSIFIERS
    from rayqc.pipeline.arms import arm_inputs
    from rayqc.report.intervals import summarise
    from rayqc.storage import write_json

    summary: ClassifyResult = {}
    if run.config.classify.arms:
        test = run.test_images(None)
        if test is None:
            raise InputError(
                "the classifier stage needs `test` images; the configuration names none"
            )
        inputs = arm_inputs(run, test, run.filtered, run.config)
        records = run_arms(inputs, run.folder.sub("classify"))
        kind = kind_of(run.config.classify, run.encoder.image)
        kind += CLASSIFIERS[kind].says(run.encoder.seen)
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
        *few_tests_lines(summary),
    ]


def expect(outlook: Outlook) -> Expected:
    """Trainings of all arms and seeds, and what they are trained on."""
    from rayqc.distributed.classify import arms_of, kind_of, trainings_an_arm
    from rayqc.pipeline.outlook import Expected

    config, settings, pace = outlook.config, outlook.config.classify, outlook.pace
    kind = kind_of(settings, outlook.image)
    jobs = len(arms_of(config)) * trainings_an_arm(settings, kind)
    if not jobs:
        return Expected(seconds=0.0, work="no arms, nothing to do")
    images = outlook.references + min(outlook.candidates, settings.max_images)
    seconds = 0.0
    if kind == "probe":
        each = pace.probe(images)
        measured = config.regions.measure_images
        if not outlook.kind.saw_references and outlook.tests > measured:
            seconds += outlook.encoding(outlook.tests)[0]  # fit kept the latents of fewer
    elif kind == "finetune":
        # Every image is encoded once for the head, and the test images once more.
        each = pace.finetuning + (images + outlook.tests) * pace.encoded
        seconds = (images + outlook.tests) * outlook.reference_seconds / 2  # decoded by the driver
    else:
        tested = outlook.tests * pace.classifier_step / settings.batch_size / STEP_OF_TESTS
        each = settings.steps * pace.classifier_step + tested
    return Expected(
        seconds=seconds + outlook.shared(jobs * each, jobs),
        work=f"{jobs:,} trainings ({kind}), {outlook.tests:,} test images",
        memory_mb=outlook.memory_mb(jobs),
        at_once=outlook.at_once(jobs),
        bound=outlook.bound(jobs, "trainings"),
    )


STAGE = Stage(
    name="classify",
    help="train classifiers with and without what was kept",
    needs=("filter",),
    outputs=("classify", "classify.json", "result.json"),
    work=work,
    expect=expect,
    show=show,
    result=lambda summary: {"classify": summary},
)
