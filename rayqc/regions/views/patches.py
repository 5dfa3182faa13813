"""Label view `patches`: how strongly an image responds to patches learned from the references.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rayqc.models.features import PatchFeatures, learn_patches
from rayqc.regions.views.base import HeadView, ViewBatch, ViewKind, ViewTask, restore_head
from rayqc.storage.artefact import prefixed, under

NAME = "patches"
FILTERS = "filters"
"""Name that the patches' arrays are stored under."""


@dataclass(frozen=True, kw_only=True)
class PatchesView(HeadView):
    """Learned patches, and a linear classifier on their responses."""

    patches: PatchFeatures
    name: str = NAME

    def features(self, batch: ViewBatch) -> Tensor:
        """See `HeadView.features`."""
        response: Tensor = self.patches(batch.x_NCHW)
        return response

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView.arrays`."""
        filters = {key: tensor.numpy() for key, tensor in self.patches.state_dict().items()}
        return {**super().arrays(), **prefixed(filters, FILTERS)}


def learn(task: ViewTask) -> PatchesView:
    """See `ViewKind.learn`."""
    patches = learn_patches(task.x_NCHW, task.seed)
    return PatchesView(head=task.train_head(patches), patches=patches)


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> PatchesView | None:
    """See `ViewKind.restore`."""
    head = restore_head(arrays, NAME)
    if head is None:
        return None
    patches = PatchFeatures(channels)
    filters = under(arrays, FILTERS)
    patches.load_state_dict({key: torch.from_numpy(array.copy()) for key, array in filters.items()})
    return PatchesView(head=head, patches=patches)


KIND = ViewKind(learn=learn, restore=restore)
