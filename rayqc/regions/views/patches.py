"""Label view `patches`: how much an image holds of patches learned from the references.

Shape suffixes: N images, C H W pixels, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rayqc.models.features import PatchFeatures, learn_patches
from rayqc.regions.views.base import HeadView, ViewKind, ViewTask, restore_head
from rayqc.storage.artefact import prefixed, under

NAME = "patches"
FILTERS = "filters"
"""The patches' own arrays go by this name in files."""


@dataclass(frozen=True, kw_only=True)
class PatchesView(HeadView):
    """Learned patches, and a linear classifier on their responses."""

    patches: PatchFeatures
    name: str = NAME

    def features(self, x_NCHW: Tensor, latent_ND: Tensor) -> Tensor:
        """See `HeadView`."""
        response: Tensor = self.patches(x_NCHW)
        return response

    def arrays(self) -> dict[str, np.ndarray]:
        """See `FittedView`."""
        filters = {key: t.numpy() for key, t in self.patches.state_dict().items()}
        return {**super().arrays(), **prefixed(filters, FILTERS)}


def learn(task: ViewTask) -> PatchesView:
    """See `ViewKind`."""
    patches = learn_patches(task.x_NCHW, task.seed)
    return PatchesView(head=task.train_head(patches), patches=patches)


def restore(arrays: dict[str, np.ndarray], classes: int, channels: int) -> PatchesView | None:
    """See `ViewKind`."""
    head = restore_head(arrays, NAME)
    if head is None:
        return None
    patches = PatchFeatures(channels)
    filters = under(arrays, FILTERS)
    patches.load_state_dict({key: torch.from_numpy(a.copy()) for key, a in filters.items()})
    return PatchesView(head=head, patches=patches)


KIND = ViewKind(learn=learn, restore=restore)
