"""Way `covariance`: greedily, the set whose spread comes nearest to that of the references.

Each next candidate is the one that brings the set's second moment about the references' mean
nearest to the references' covariance, in the Frobenius norm. With y the candidates less that mean,
S the sum of yy' over the k - 1 chosen so far and T the target, the squared distance of
(S + yy') / k from T is a constant and

    2/k y'(S/k - T)y + |y|^4 / k^2,

of which y'Sy grows by a squared product for each one chosen: a step costs N D.

Source: Rezaei, Kovacevic, Locatello & Mondelli, High-dimensional analysis of synthetic data
selection, ICLR 2026 (arXiv 2510.08123). Ours: moments about the references' mean, so that the set
stays where they are, and a shrunk covariance, pooled over classes where they are few.

Shape suffixes: N candidates, D directions.
"""

from __future__ import annotations

import numpy as np

from rayqc.selection.base import Choice, SelectionKind


def choose(choice: Choice) -> np.ndarray:
    """See `SelectionKind.choose`."""
    y_ND = (choice.candidate_ND - choice.mean_D).astype(np.float32)
    target_DD = choice.covariance_DD.astype(np.float32)
    length_N = np.square(y_ND).sum(1).astype(np.float64)
    of_target_N = ((y_ND @ target_DD) * y_ND).sum(1).astype(np.float64)
    of_chosen_N = np.zeros(len(y_ND))
    left_N = np.ones(len(y_ND), bool)
    rows = np.empty(choice.wanted, np.int64)
    for number in range(choice.wanted):
        k = number + 1
        cost_N = 2 / k * (of_chosen_N / k - of_target_N) + np.square(length_N / k)
        row = int(np.where(left_N, cost_N, np.inf).argmin())
        rows[number], left_N[row] = row, False
        of_chosen_N += np.square(y_ND @ y_ND[row])
    return rows


KIND = SelectionKind(choose=choose)
