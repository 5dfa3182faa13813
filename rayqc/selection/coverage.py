"""Way `coverage`: greedily, the set that leaves the fewest places of the class far from an image.

Places are the references and a random draw of the candidates. Each next candidate is the one that
brings all places together nearest to the set (facility location). A gain never grows as the set
does, so candidates are looked at again in the order of their last gain, until the best one stays.

Source: Nemhauser, Wolsey & Fisher 1978 for the greedy choice; Minoux 1978 for the lazy one.

Shape suffixes: N candidates, W places.
"""

from __future__ import annotations

import heapq

import numpy as np

from rayqc.selection.base import Choice, SelectionKind

MOST_PLACES = 512


def choose(choice: Choice) -> np.ndarray:
    """See `SelectionKind.choose`."""
    candidate_ND = choice.candidate_ND
    rng = np.random.default_rng(choice.seed)
    drawn = rng.permutation(len(candidate_ND))[:MOST_PLACES]
    place_WD = np.concatenate([choice.reference_RD, candidate_ND[drawn]])
    away_NW = _distances(candidate_ND, place_WD)
    nearest_W = away_NW.max(0)
    gains = [(-float(gain), row) for row, gain in enumerate((nearest_W - away_NW).sum(1))]
    heapq.heapify(gains)
    rows: list[int] = []
    while len(rows) < choice.wanted:
        _, row = heapq.heappop(gains)
        gain = float(np.maximum(nearest_W - away_NW[row], 0).sum())
        if gains and -gain > gains[0][0]:
            heapq.heappush(gains, (-gain, row))
            continue
        rows.append(row)
        nearest_W = np.minimum(nearest_W, away_NW[row])
    return np.array(rows, np.int64)


def _distances(candidate_ND: np.ndarray, place_WD: np.ndarray) -> np.ndarray:
    """(N, W) float32 distances."""
    squared_NW = (
        np.square(candidate_ND).sum(1)[:, None]
        - 2 * candidate_ND @ place_WD.T
        + np.square(place_WD).sum(1)
    )
    distance_NW: np.ndarray = np.sqrt(np.maximum(squared_NW, 0)).astype(np.float32)
    return distance_NW


KIND = SelectionKind(choose=choose)
