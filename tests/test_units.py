"""Pieces of work cover everything once; samples are even and exact."""

import numpy as np
import pytest

from rayqc.sources.cut import cut_groups
from rayqc.units import Unit, number, slices


@pytest.mark.parametrize(("total", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (100, 7)])
def test_slices_cover_once_in_even_parts(total, most):
    found = slices(total, most)
    rows = [row for a, b in found for row in range(a, b)]
    assert rows == list(range(total))
    sizes = [b - a for a, b in found]
    assert not sizes or (max(sizes) <= most and max(sizes) - min(sizes) <= 1)


def units(total, most):
    return [
        Unit(entry=0, path="x", start=a, stop=b, fingerprint="f") for a, b in slices(total, most)
    ]


@pytest.mark.parametrize("limit", [1, 2, 9, 50, 99, 100, 1000])
def test_a_sample_has_its_size_and_is_even(limit):
    rows = np.concatenate([unit.rows() for unit in number(units(100, 7), limit)])
    assert rows.size == min(limit, 100)
    if 1 < limit < 100:
        gaps = np.diff(rows)
        assert gaps.max() - gaps.min() <= 1


def test_row_groups_are_cut_into_units_that_never_lie_across_one(rng):
    for _ in range(200):
        counts = rng.integers(0, 30, rng.integers(1, 9)).tolist()
        most = int(rng.integers(1, 25))
        found = cut_groups(counts, most)
        assert [row for a, b in found for row in range(a, b)] == list(range(sum(counts)))
        ends = np.cumsum([0, *counts])
        for start, stop in found:
            assert 0 < stop - start <= most
            inner = ends[(ends > start) & (ends < stop)]
            assert not inner.size or {start, stop} <= set(ends.tolist())
