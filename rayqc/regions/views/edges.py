"""Label view `edges`: histograms of edge directions.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from rayqc.models.features import edge_histograms
from rayqc.regions.views.base import HeadView, ViewBatch, ViewKind, ViewTask, restore_head

NAME = "edges"


@dataclass(frozen=True, kw_only=True)
class EdgesView(HeadView):
    """A linear classifier on edge histograms."""

    name: str = NAME

    def features(self, batch: ViewBatch) -> Tensor:
        """See `HeadView.features`."""
        return edge_histograms(batch.x_NCHW)


def learn(task: ViewTask) -> EdgesView:
    """See `ViewKind.learn`."""
    return EdgesView(head=task.train_head(edge_histograms))


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> EdgesView | None:
    """See `ViewKind.restore`."""
    head = restore_head(arrays, NAME)
    return None if head is None else EdgesView(head=head)


KIND = ViewKind(learn=learn, restore=restore)
