"""Altered copies are encoded each under its own image, and with parts of another."""

import numpy as np
import pytest

from rayqc.encoders.batches import LatentEncoder
from rayqc.encoders.python import Foreign
from rayqc.images.alterations import altered
from rayqc.images.look import ImageShape
from rayqc.work.altered import features_of_altered

MEANS = "tests.models.test_features:Means"
SHAPE = ImageShape(size=12, channels=3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_features_are_those_of_each_images_copies(count, rng):
    encoder = LatentEncoder(Foreign(MEANS, {}, (12, 3)), 4)
    images = [rng.integers(0, 256, (10 + n, 14, 3), dtype=np.uint8) for n in range(count)]
    rows = [7 * n for n in range(count)]
    found = features_of_altered(images, rows, encoder, SHAPE, copies=3, seed=1)
    assert set(found) == {"latent"}
    assert found["latent"].shape == (count, 3, 6)
    for n, (row, image) in enumerate(zip(rows, images, strict=True)):
        for copy in range(3):
            others = [other for m, other in enumerate(images) if m != n] or [image[:, ::-1]]
            expected = [
                encoder.encode(altered(image, other, SHAPE, row, copy, seed=1)[None])[0]
                for other in others
            ]
            assert any(np.allclose(found["latent"][n, copy], one, atol=1e-5) for one in expected)
