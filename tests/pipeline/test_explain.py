"""`rayqc explain`: what a setting means."""

import pytest

import rayqc
from rayqc.errors import ConfigError


def test_a_setting_is_explained_by_its_name():
    (found,) = rayqc.explain("encoder.steps")
    assert found["name"] == "encoder.steps"
    assert found["default"] == "null"
    assert found["changes"] == "train, fit, filter"
    assert found["means"].startswith("Optimiser steps; the paper names no figure.")


def test_a_section_and_a_name_in_every_section_are_explained():
    assert {row["name"].partition(".")[0] for row in rayqc.explain("regions")} == {"regions"}
    assert len(rayqc.explain("references")) > 3
    assert {row["name"].partition(":")[0] for row in rayqc.explain("pool")} == {"pool"}
    names = [row["name"] for row in rayqc.explain("steps")]
    assert {"encoder.steps", "classify.steps"} <= set(names)
    of_pool = [row["name"] for row in rayqc.explain("policy")]
    assert of_pool == ["pool: entries of kind augment.policy"]


@pytest.mark.parametrize(
    ("key", "hint"),
    [("encoder.stepz", "encoder.steps"), ("coverag", "coverage"), ("zz", "sections image, ref")],
)
def test_an_unknown_setting_is_answered_by_what_is_like_it(key, hint):
    with pytest.raises(ConfigError, match=f"no setting '{key}'.*{hint}"):
        rayqc.explain(key)
