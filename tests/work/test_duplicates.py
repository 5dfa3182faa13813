"""Groups of duplicates are those that comparing all pairs would find."""

import tracemalloc

import numpy as np
import pytest

from rayqc.images.fingerprint import HASH_BYTES
from rayqc.schema import LOOK_BYTES
from rayqc.work import duplicates
from rayqc.work.duplicates import MOST_BITS, exact_groups, near_groups, surplus


def partition(group_N):
    return {tuple(np.flatnonzero(group_N == number)) for number in np.unique(group_N)}


def flipped(look_B, bits, rng):
    """The look with so many bits of its hash turned over."""
    hash_bits = np.unpackbits(look_B[:HASH_BYTES])
    hash_bits[rng.choice(hash_bits.size, bits, replace=False)] ^= 1
    return np.concatenate([np.packbits(hash_bits), look_B[HASH_BYTES:]])


def test_near_pictures_are_found_and_others_left_apart(rng):
    originals = rng.integers(0, 256, (300, LOOK_BYTES)).astype(np.uint8)
    copies = [flipped(originals[row], row % (MOST_BITS + 1), rng) for row in range(200)]
    others = [flipped(originals[row], 40, rng) for row in range(200, 300)]
    group_N = near_groups(np.concatenate([originals, copies, others]))
    for row in range(200):
        assert group_N[row] == group_N[300 + row]
    assert np.unique(group_N).size == 400


def test_many_equal_pictures_are_one_group_and_cost_no_comparison(rng):
    blank = np.zeros((50_000, LOOK_BYTES), np.uint8)
    other = rng.integers(0, 256, (3, LOOK_BYTES)).astype(np.uint8)
    group_N = near_groups(np.concatenate([other, blank]))
    assert len(partition(group_N)) == 4
    assert np.unique(group_N[3:]).size == 1


def test_a_picture_made_again_and_again_takes_no_memory_for_its_pairs(rng, monkeypatch):
    """Each of 20 pictures 300 times, each time two bits off: 900,000 pairs are alike."""
    originals = rng.integers(0, 256, (20, LOOK_BYTES)).astype(np.uint8)
    looks = np.stack([flipped(originals[row % 20], 2, rng) for row in range(6_000)])
    near_groups(looks[:100])  # imports
    peaks = []
    for most in (10**9, 20_000):
        monkeypatch.setattr(duplicates, "MOST_WAITING", most)
        tracemalloc.start()
        group_N = near_groups(looks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert partition(group_N) == {tuple(range(first, 6_000, 20)) for first in range(20)}
    assert peaks[1] < peaks[0] / 10


@pytest.mark.parametrize("most", [1, 7, 10**9])
def test_groups_are_the_same_whenever_pairs_are_merged(most, rng, monkeypatch):
    originals = rng.integers(0, 256, (40, LOOK_BYTES)).astype(np.uint8)
    chain = [originals]
    for _ in range(4):  # each picture some bits from the one before: a group by its links alone
        chain.append(np.stack([flipped(look, MOST_BITS - 2, rng) for look in chain[-1]]))
    looks = np.concatenate(chain)[rng.permutation(200)]
    expected = partition(near_groups(looks))
    monkeypatch.setattr(duplicates, "MOST_WAITING", most)
    assert partition(near_groups(looks)) == expected
    assert len(expected) < 60


def test_another_colour_is_no_duplicate(rng):
    look = rng.integers(0, 100, (1, LOOK_BYTES)).astype(np.uint8)
    tinted = look.copy()
    tinted[:, HASH_BYTES:] += 100
    assert np.unique(near_groups(np.concatenate([look, tinted]))).size == 2


def test_exact_groups_are_of_equal_digests():
    digests = np.frombuffer(b"".join([b"a" * 16, b"b" * 16, b"a" * 16]), "V16")
    group_N = exact_groups(digests)
    assert group_N[0] == group_N[2] != group_N[1]


def test_the_best_of_a_group_stays():
    group_N = np.array([0, 1, 0, 2, 1, 0])
    best_first_N = np.array([5, 4, 3, 2, 1, 0])
    assert surplus(group_N, best_first_N).tolist() == [True, True, True, False, False, False]
    assert surplus(np.zeros(0, np.int64), np.zeros(0, np.int64)).size == 0
