"""What the classifier stage's arms are made of, from a run."""

from __future__ import annotations

import pyarrow as pa

from rayqc.config import Config
from rayqc.distributed.classifiers.base import ArmInputs
from rayqc.pipeline.real_latents import with_reference_latents, with_test_latents
from rayqc.pipeline.run import Run
from rayqc.storage import Folder


def arm_inputs(run: Run, test: pa.Table, filtered: Folder, config: Config) -> ArmInputs:
    """References, test images and what a filter or a selection judged, with the run's encoder.

    Args:
        test: columns id, label, image.
        filtered: finished output of the filter, or of `select`.
        config: the run's settings, perhaps with other arms.
    """
    encoder = run.encoder
    return ArmInputs(
        references=with_reference_latents(run, run.references),
        test=with_test_latents(run, test),
        filtered=filtered,
        image=encoder.image,
        looked_at=encoder.input,
        model=run.model,
        seen=encoder.seen,
        classes=len(encoder.classes),
        config=config,
        progress=run.progress,
    )
