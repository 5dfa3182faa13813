"""What is held out of training."""

import numpy as np
import pytest

from rayqc.training.holdout import choose_holdout


@pytest.mark.parametrize(
    ("counts", "share", "held"),
    [
        ((10,) * 10, 0.1, 10),
        ((5,) * 10, 0.1, 5),
        ((2, 2), 0.5, 0),
        ((3, 30), 0.9, 11),
        ((9,), 0, 0),
    ],
)
def test_holdout_is_spread_and_spares_small_classes(counts, share, held):
    label = np.repeat(np.arange(len(counts)), counts)
    found = choose_holdout(label, share, seed=1)
    assert found.sum() == held
    for k, count in enumerate(counts):
        assert found[label == k].sum() <= count // 3
    np.testing.assert_array_equal(found, choose_holdout(label, share, seed=1))
