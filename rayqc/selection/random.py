"""Way `random`: blindly, the control of all others."""

from __future__ import annotations

import numpy as np

from rayqc.selection.base import Choice, SelectionKind


def choose(choice: Choice) -> np.ndarray:
    """See `SelectionKind.choose`."""
    rng = np.random.default_rng(choice.seed)
    return rng.permutation(len(choice.candidate_ND))[: choice.wanted]


KIND = SelectionKind(choose=choose, needs_latents=False)
