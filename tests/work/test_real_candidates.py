"""What is learned of all references before they are looked at."""

import numpy as np
import pytest

from rayqc.images.decode import Limits
from rayqc.images.encode import encode_png
from rayqc.images.look import ImageShape
from rayqc.schema import candidate_table
from rayqc.work.real_candidates import BATCH, detail_of


def table_of(images):
    names = [str(number) for number in range(len(images))]
    return candidate_table(
        ("a",), ids=names, images=images, labels=[0] * len(images), sources=["x"] * len(images)
    )


@pytest.mark.parametrize("first", ["drawings", "photographs"])
def test_the_levels_of_the_background_are_of_all_references(first, rng):
    """Class folders are listed in order, and the first one does not decide for all."""
    drawing = np.full((96, 96, 1), 255, np.uint8)
    drawing[40:50, 40:50] = 0
    photograph = rng.integers(0, 256, (96, 96, 1), np.uint8)
    drawings, photographs = [encode_png(drawing)] * (4 * BATCH), [encode_png(photograph)] * 2000
    images = drawings + photographs if first == "drawings" else photographs + drawings
    detail = detail_of(table_of(images), ImageShape(size=32, channels=1), Limits(), None)
    assert detail.levels == (0, 255)
    only = detail_of(table_of(drawings), ImageShape(size=32, channels=1), Limits(), None)
    assert only.levels == (0, 243)
