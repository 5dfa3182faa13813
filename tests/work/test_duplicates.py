"""Groups of duplicates are those that comparing all pairs would find."""

import numpy as np

from rayqc.images.fingerprint import HASH_BYTES
from rayqc.schema import LOOK_BYTES
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
