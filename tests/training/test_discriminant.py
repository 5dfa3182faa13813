"""The linear discriminant, against scikit-learn's and where features outnumber images."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from rayqc.training.discriminant import LEAST_SPREAD, fit_discriminant


def classes_apart(rng, images, features, classes, apart=2.0):
    label_N = np.arange(images) % classes
    mean_KF = rng.normal(size=(classes, features)) * apart / np.sqrt(features)
    mixing_FF = np.eye(features) + 0.3 * rng.normal(size=(features, features)) / np.sqrt(features)
    value_NF = mean_KF[label_N] + rng.normal(size=(images, features)) @ mixing_FF
    return value_NF, label_N


@pytest.mark.parametrize(("images", "features"), [(200, 6), (30, 80)])
def test_decisions_are_those_of_scikit_learn(rng, images, features):
    """With its covariance, shrunk by the same share; the log odds are in proportion."""
    value_NF, label_N = classes_apart(rng, images, features, 3)
    scale_F = value_NF.std(0) + LEAST_SPREAD * value_NF.std()
    z_NF = value_NF / scale_F
    within_NF = z_NF - np.stack([z_NF[label_N == k].mean(0) for k in range(3)])[label_N]
    shrinkage = ledoit_wolf_shrinkage(within_NF, assume_centered=True)
    theirs = LinearDiscriminantAnalysis(
        solver="eigen",
        shrinkage=shrinkage,
        priors=np.full(3, 1 / 3),
    ).fit(z_NF, label_N)
    head = fit_discriminant(value_NF, label_N, 3)
    fresh_NF = rng.normal(size=(50, features)) * 2
    ours_NK = head(torch.from_numpy(fresh_NF.astype(np.float32))).numpy()
    their_NK = theirs.decision_function(fresh_NF / scale_F)
    ours_NK -= ours_NK.mean(1, keepdims=True)
    their_NK -= their_NK.mean(1, keepdims=True)
    factor = (ours_NK * their_NK).sum() / np.square(their_NK).sum()
    assert factor > 0
    np.testing.assert_allclose(ours_NK, factor * their_NK, atol=2e-3 * np.abs(ours_NK).max())


def test_fresh_images_of_few_references_are_told_apart(rng):
    value_NF, label_N = classes_apart(rng, 300, 500, 5, apart=8.0)
    head = fit_discriminant(value_NF[:50], label_N[:50], 5)
    found_N = head(torch.from_numpy(value_NF[50:].astype(np.float32))).argmax(1).numpy()
    assert (found_N == label_N[50:]).mean() > 0.9


def test_a_class_without_an_image_is_never_chosen(rng):
    value_NF, label_N = classes_apart(rng, 40, 10, 2)
    head = fit_discriminant(value_NF, label_N + 1, 4)
    logits_NK = head(torch.from_numpy(value_NF.astype(np.float32)))
    assert set(logits_NK.argmax(1).tolist()) == {1, 2}
    assert torch.isfinite(logits_NK).all()


@pytest.mark.parametrize("images", [2, 3])
def test_one_image_of_a_class_and_features_that_never_change_do_no_harm(rng, images):
    value_NF = rng.normal(size=(images, 5))
    value_NF[:, 2] = 1.0
    head = fit_discriminant(value_NF, np.arange(images) % 2, 2)
    logits_NK = head(torch.from_numpy(value_NF.astype(np.float32)))
    assert torch.isfinite(logits_NK).all()
    assert logits_NK.argmax(1).tolist() == [row % 2 for row in range(images)]
