"""Groups of duplicates among images, by their fingerprints, without comparing all pairs.

Pictures whose hashes differ in few bits are equal in one of their bands of 16 bits: those equal in
a band are compared, and no others. Of many pictures too many are equal in a band, and those equal
in two bands are compared. Where `MOST_BITS` of 255 bits differ that finds some 99% of the pairs,
and nearly all where fewer do. Pairs are grouped in chains.

Shape suffixes: N images, W words, B bands, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rayqc.images.fingerprint import BANDS, HASH_BYTES

MOST_BITS = 12
"""Different bits of two pictures that are duplicates. Of a picture and its copy, compressed again
(quality 70), resized to .7, a tenth brighter or a little noisy, 0 to 10 differ in the median; of
the two most alike of 400 digits of a class, 24, of photographs, 48 and more."""
MOST_COLOUR = 24
"""Levels that their mean colours may differ by."""
MANY = 50_000
"""Different pictures from which on two bands are a key."""
PAIRED = 3
"""Bands that each is paired with, the next ones."""
MOST_COMPARED = 200
"""Pictures that each is compared with in a band: where more are alike in it, its next ones."""
MOST_WAITING = 1_000_000
"""Pairs that wait to be merged into groups."""


def exact_groups(digest_N: np.ndarray) -> np.ndarray:
    """(N,) int64: equal digests have equal numbers, from 0 without a gap."""
    _, group_N = np.unique(digest_N, return_inverse=True)
    return group_N.astype(np.int64).reshape(-1)


def near_groups(look_NB: np.ndarray) -> np.ndarray:
    """Group pictures that look alike.

    Args:
        look_NB: (N, LOOK_BYTES) uint8, see `fingerprint.looks`.

    Returns:
        (N,) int64, numbers of groups from 0 without a gap.
    """
    same, of_same_N = np.unique(look_NB, axis=0, return_inverse=True)
    word_NW = np.ascontiguousarray(same[:, :HASH_BYTES]).view(np.uint64)
    colour_N3 = same[:, HASH_BYTES:].astype(np.int16)
    band_NB = np.ascontiguousarray(same[:, :HASH_BYTES]).view(np.uint16)
    chains = _Chains(len(same))
    for key_N in _keys(band_NB):
        for pairs in _equal_in(key_N):
            first_P, second_P = chains.still_apart(*pairs)
            bits_P = np.bitwise_count(word_NW[first_P] ^ word_NW[second_P]).sum(1)
            colour_P = np.abs(colour_N3[first_P] - colour_N3[second_P]).max(1)
            alike_P = (bits_P <= MOST_BITS) & (colour_P <= MOST_COLOUR)
            chains.join(first_P[alike_P], second_P[alike_P])
    chains.merge()
    return chains.group_N[of_same_N.reshape(-1)]


class _Chains:
    """Groups of rows that pairs hold together, in memory that does not grow with the pairs.

    Of a generator that makes one picture again and again nearly all pairs are alike.
    """

    def __init__(self, rows: int) -> None:
        self.group_N = np.arange(rows)
        """(N,) int64, numbers of groups from 0 without a gap, of the pairs merged so far."""
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting = 0

    def still_apart(
        self, first_P: np.ndarray, second_P: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Those pairs whose rows no merged group holds together."""
        apart_P = self.group_N[first_P] != self.group_N[second_P]
        return first_P[apart_P], second_P[apart_P]

    def join(self, first_P: np.ndarray, second_P: np.ndarray) -> None:
        """Note that the rows of each pair belong together; see `merge`."""
        self._pairs.append((first_P, second_P))
        self._waiting += first_P.size
        if self._waiting >= MOST_WAITING:
            self.merge()

    def merge(self) -> None:
        """Bring the groups up to date."""
        from scipy.sparse import coo_matrix  # noqa: PLC0415  (slow, and only this needs it)
        from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

        if not self._waiting:
            return
        first, second = (
            self.group_N[np.concatenate(rows)] for rows in zip(*self._pairs, strict=True)
        )
        groups = int(self.group_N.max()) + 1
        pairs = coo_matrix((np.ones(first.size, bool), (first, second)), shape=(groups, groups))
        _, merged = connected_components(pairs, directed=False)
        self.group_N = merged[self.group_N].astype(np.int64)
        self._pairs, self._waiting = [], 0


def _keys(band_NB: np.ndarray) -> Iterator[np.ndarray]:
    """Keys that two pictures must have in common to be compared."""
    if len(band_NB) < MANY:
        yield from band_NB.T
        return
    wide_NB = band_NB.astype(np.uint32)
    for apart in range(1, PAIRED + 1):
        for band in range(BANDS):
            yield (wide_NB[:, band] << 16) | wide_NB[:, (band + apart) % BANDS]


def _equal_in(key_N: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows with equal keys, as two arrays of row numbers for each distance in the order.

    Rows are sorted by key; a row is paired with those that follow it at the same key.
    """
    order = np.argsort(key_N, kind="stable")
    sorted_N = key_N[order]
    apart, rows = 1, np.arange(order.size)
    while apart <= MOST_COMPARED:
        rows = rows[rows + apart < order.size]
        rows = rows[sorted_N[rows] == sorted_N[rows + apart]]
        if not rows.size:
            return
        yield order[rows], order[rows + apart]
        apart += 1


def surplus(group_N: np.ndarray, best_first_N: np.ndarray) -> np.ndarray:
    """Which images of groups are not the best of their group.

    Args:
        group_N: (N,) int64.
        best_first_N: (N,) int64, row numbers from the best to the worst.

    Returns:
        (N,) bool.
    """
    _, first = np.unique(group_N[best_first_N], return_index=True)
    surplus_N = np.ones(group_N.size, bool)
    surplus_N[best_first_N[first]] = False
    return surplus_N
