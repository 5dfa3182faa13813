"""The linear classifier against scikit-learn's, and the backbones' training."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from rayqc.models.backbone import Backbone
from rayqc.training.backbones import train_contrastive, train_supervised
from rayqc.training.classifier import ClassifierSettings
from rayqc.training.softmax import PENALTY, SoftmaxHead, train_softmax
from tests.regions.test_scores import shapes


def test_it_finds_the_optimum_that_scikit_learn_finds(rng):
    label = np.repeat([0, 1, 2], 40)
    features = rng.normal(size=(120, 4)) * [1, 5, 1, 2] + label[:, None]
    found = train_softmax(torch.from_numpy(features).float(), torch.from_numpy(label), 3)
    spread = features.std(0, ddof=1) + 1e-2 * features.std(ddof=1)
    z = (features - features.mean(0)) / spread / 2
    # scikit-learn's loss is C times the summed cross-entropy plus half the squared weights.
    slow = LogisticRegression(C=1 / PENALTY / 120, max_iter=5000, tol=1e-9).fit(z, label)
    expected = slow.predict_proba(z)
    logits = found(torch.from_numpy(features).float())
    np.testing.assert_allclose(torch.softmax(logits, 1), expected, atol=0.02)
    again = SoftmaxHead.restore(found.arrays())
    assert torch.equal(again.weight_FK, found.weight_FK)


def test_a_class_without_images_is_never_likely():
    features = torch.tensor([[0.0], [1.0], [0.1], [0.9]])
    found = train_softmax(features, torch.tensor([0, 1, 0, 1]), 3)
    assert (found(features).argmax(1) == torch.tensor([0, 1, 0, 1])).all()


@pytest.mark.parametrize("kind", ["supervised", "contrastive"])
def test_backbones_learn_and_repeat(kind, rng):
    known, fresh = shapes(24, rng), shapes(40, rng)
    settings = ClassifierSettings(
        steps=40,
        batch_size=12,
        learning_rate=1e-2,
        width=4,
        augment=True,
        flip=False,
        balanced=True,
    )

    def train():
        if kind == "supervised":
            return train_supervised(known.images_NHWC, known.label_N, 2, settings, seed=1)
        return train_contrastive(known.images_NHWC, settings, seed=1)

    backbone, again = train(), train()
    assert isinstance(backbone, Backbone)
    x = torch.from_numpy(fresh.images_NHWC).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        found = backbone.latent(x)
        assert torch.equal(found, again.latent(x))
    assert found.shape == (40, backbone.latent_dim) == (40, 32)
    one, other = (found[fresh.label_N == k].mean(0) for k in range(2))
    assert torch.linalg.norm(one - other) > 0.05 * found.norm(dim=1).mean()
