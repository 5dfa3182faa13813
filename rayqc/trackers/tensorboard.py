"""Tracker `tensorboard`: event files in RUN/tensorboard, written by PyTorch's own writer.

`tensorboard --logdir RUNS` compares all runs below a folder.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from rayqc.trackers.base import TrackedRun

FOLDER = "tensorboard"


class TensorBoard:
    """Writes the events of one run."""

    def __init__(self, run: TrackedRun) -> None:
        # Imported here, since it takes a second that only runs with this tracker should pay.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._writer = SummaryWriter(run.folder.sub(FOLDER).location)
        rows = "\n".join(f"| {name} | {value} |" for name, value in run.settings.items())
        self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}")

    def measured(self, name: str, value: float, step: int) -> None:
        """See `Tracker`."""
        self._writer.add_scalar(name, value, step)

    def file(self, name: str, data: bytes) -> None:
        """See `Tracker`. Of files, it takes pictures."""
        if name.endswith(".png"):
            pixels_HWC = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            self._writer.add_image(name, pixels_HWC, dataformats="HWC")

    def close(self, whole: bool) -> None:
        """See `Tracker`."""
        self._writer.close()


KIND = TensorBoard
