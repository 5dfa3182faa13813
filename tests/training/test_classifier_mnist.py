"""The classifier is honest at this size: ten digits a class and standard augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from rayqc.config import Config, Data, make_config
from rayqc.images.decode import Limits, decode_batch
from rayqc.images.look import ImageShape
from rayqc.sources import open_source
from rayqc.sources.select import read_all, select_references
from rayqc.training.classifier import ClassifierSettings, accuracy, train_classifier
from tests.conftest import shared

DRAWS = 5


def arrays(table):
    data = table["image"].combine_chunks().field("bytes").to_pylist()
    images, _ = decode_batch(data, ImageShape(size=28, channels=1), Limits())
    return images, np.asarray(table["label"])


@pytest.mark.long
def test_ten_digits_a_class_reach_90_percent(capsys):
    folder = shared("mnist")
    train = open_source(Data(path=f"{folder}/train-*.parquet"))
    test = arrays(read_all(open_source(Data(path=f"{folder}/test-*.parquet"))))
    config: Config = make_config({"references": {"kind": "bundled"}})
    chosen = config.classify
    settings = ClassifierSettings(
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        width=chosen.width,
        augment=True,
        flip=False,
        balanced=True,
    )
    found = []
    for draw in range(DRAWS):
        images, label = arrays(select_references(train, 10, seed=draw))
        found.append(accuracy(train_classifier(images, label, 10, settings, seed=draw), *test))
    with capsys.disabled():
        print(f"\naccuracy of {DRAWS} draws: {np.round(found, 4)}, mean {np.mean(found):.4f}")
    assert np.mean(found) >= 0.90
