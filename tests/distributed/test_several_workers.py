"""Trainings by workers on several nodes, which may come and go; see `several_workers.py`."""

from __future__ import annotations

import pytest

from tests.distributed.several_workers import STEPS
from tests.distributed.test_nodes import told_by


def several_workers(case, folder):
    return told_by("tests.distributed.several_workers", case, folder)


@pytest.mark.long
def test_two_workers_on_two_nodes_train_what_one_does(tmp_path):
    """A GAN's batch statistics are each worker's own: it is that of two workers on one node."""
    found = several_workers("together", tmp_path)
    assert found["nodes"] == [1, 2, 1]
    assert found["vae"] < 1e-3
    assert found["gan"] < 1e-3


@pytest.mark.long
def test_an_elastic_training_takes_in_a_node_that_joins(tmp_path):
    found = several_workers("grows", tmp_path)
    assert found["workers"] == 2 and found["steps"] == STEPS
    assert len(found["starts"]) == 2 and 0 < found["starts"][1] < STEPS


@pytest.mark.long
def test_an_elastic_training_goes_on_with_the_nodes_that_are_left(tmp_path):
    found = several_workers("shrinks", tmp_path)
    assert found["lost"] and found["workers"] == 1 and found["steps"] == STEPS
    assert len(found["starts"]) == 2 and 0 < found["starts"][1] < STEPS
