"""Way `central`: those nearest to the mean of the class's references.

It makes sets that hold little: measured, they are worse than random ones (docs/selection.md).
"""

from __future__ import annotations

import numpy as np

from rayqc.selection.base import Choice, SelectionKind


def choose(choice: Choice) -> np.ndarray:
    """See `SelectionKind.choose`."""
    away_N = np.square(choice.candidate_ND - choice.mean_D.astype(np.float32)).sum(1)
    return np.argsort(away_N, kind="stable")[: choice.wanted]


KIND = SelectionKind(choose=choose)
