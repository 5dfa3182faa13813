"""Actors that ask Ray for a GPU: Ray Data has rules of its own for these."""

import json
import subprocess
import sys

import pytest


@pytest.mark.long
def test_no_blocks_are_joined_beside_a_gpu():
    """Ray Data refuses batches of no stated size beside a GPU, and joins blocks below that size."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.distributed.beside_a_gpu"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    calls = json.loads(done.stdout.splitlines()[-1])
    assert sorted((call["first"], call["rows"]) for call in calls) == [
        (0, 2),
        (2, 1),
        (3, 2),
        (5, 2),
    ]
    assert {call["gpus"] for call in calls} == {1}
