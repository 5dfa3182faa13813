"""A random draw that is kept while shards are read."""

import numpy as np
import pytest

from rayqc.seeds import chance_of
from rayqc.selection.draw import Draw, Images


def images_of(numbers, chance_N=None):
    ids = [f"image {number}" for number in numbers]
    return Images(
        id_N=np.array(ids, object),
        chance_N=chance_of(ids) if chance_N is None else np.asarray(chance_N, np.uint64),
        vector_ND=np.array(numbers, np.float32)[:, None],
    )


@pytest.mark.parametrize("size", [1, 7, 100])
def test_it_is_that_of_all_at_once_whatever_the_shards(size):
    every = np.random.default_rng(0).permutation(1000)
    draw = Draw(50, 1)
    for start in range(0, 1000, size):
        draw.offer(images_of(every[start : start + size]))
    drawn, whole = draw.images(), images_of(range(1000))
    assert draw.offered == 1000
    assert drawn.id_N.tolist() == whole[np.argsort(whole.chance_N)].id_N[:50].tolist()
    assert [f"image {int(value)}" for value in drawn.vector_ND[:, 0]] == drawn.id_N.tolist()


def test_ids_decide_between_equal_chances_and_no_more_is_held():
    draw = Draw(2, 1)
    for number in (5, 4, 3, 9, 1, 2):
        draw.offer(images_of([number], [7]))
        assert draw.held <= 2
    draw.offer(images_of([0], [8]))
    assert draw.images().id_N.tolist() == ["image 1", "image 2"]


def test_fewer_than_asked_for_are_all_there_and_none_is_a_draw_too():
    draw = Draw(10, 1)
    assert len(draw.images()) == 0
    draw.offer(images_of([3, 1]))
    draw.offer(images_of([]))
    assert sorted(draw.images().id_N) == ["image 1", "image 3"]
