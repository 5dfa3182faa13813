"""Label view `latent`: the encoder's latents of the references, without augmented copies.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rayqc.regions.views.base import HeadView, ViewBatch, ViewKind, ViewTask, restore_head
from rayqc.training.softmax import train_softmax

NAME = "latent"


@dataclass(frozen=True, kw_only=True)
class LatentView(HeadView):
    """A linear classifier on latents."""

    name: str = NAME

    def features(self, batch: ViewBatch) -> Tensor:
        """See `HeadView.features`."""
        return batch.latent_ND


def learn(task: ViewTask) -> LatentView:
    """See `ViewKind.learn`."""
    latent_ND, label_N = torch.from_numpy(task.latent_ND), torch.from_numpy(task.label_N)
    return LatentView(head=train_softmax(latent_ND, label_N, task.classes))


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> LatentView | None:
    """See `ViewKind.restore`."""
    head = restore_head(arrays, NAME)
    return None if head is None else LatentView(head=head)


KIND = ViewKind(learn=learn, restore=restore)
