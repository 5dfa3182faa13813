"""Fewer references where there are very many: of every class some."""

import numpy as np
import pytest

from rayqc.regions.thinning import LEAST_OF_A_CLASS, thinned


def test_few_references_all_stay():
    np.testing.assert_array_equal(thinned(np.arange(30) % 3, 30, 0), np.arange(30))


@pytest.mark.parametrize("counts", [(9000,) * 10 + (5,), (40_000, 300, 60), (3, 20_000)])
def test_small_classes_lose_nothing_that_large_ones_can_give(counts):
    label_N = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = thinned(label_N, 10_000, 3)
    np.testing.assert_array_equal(rows, thinned(label_N, 10_000, 3))
    assert rows.size == len({*rows.tolist()}) and 9_900 < rows.size <= 10_000
    assert (np.diff(rows) > 0).all()
    found = np.bincount(label_N[rows], minlength=len(counts))
    share = 10_000 / label_N.size
    for count, kept in zip(counts, found, strict=True):
        assert kept >= min(count, LEAST_OF_A_CLASS)
        assert kept == pytest.approx(share * count, rel=0.02, abs=LEAST_OF_A_CLASS)


def test_of_more_classes_than_rows_each_keeps_one():
    rows = thinned(np.repeat(np.arange(100), 3), 50, 0)
    assert rows.size == 100
