"""Run by test_beside_a_gpu.py: blocks go through actors that ask Ray for a GPU, which need not be.

Prints the rows of each call, in the order of the calls.
"""

import json

import pyarrow as pa
import ray
import ray.data

from rayqc.distributed.pools import through_actors
from rayqc.distributed.resources import (
    Actors,
    actors_for,
    actors_per_gpu,
    cpus_per_gpu,
    gpus_wanted,
)

BLOCKS = ((0, 1, 2), (3, 4), (5, 6))


class Count:
    """Answers how many rows it was given, and the first."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One row for each batch."""
        gpus = len(ray.get_runtime_context().get_accelerator_ids()["GPU"])
        first = batch["n"][0].as_py()
        return pa.table({"first": [first], "rows": [batch.num_rows], "gpus": [gpus]})


def main() -> None:
    """Start Ray with GPUs that are only counted, and map blocks through an actor."""
    ray.init(
        address="local", num_cpus=4, num_gpus=1, include_dashboard=False, logging_level="ERROR"
    )
    assert gpus_wanted("auto")
    assert cpus_per_gpu() == 4
    assert [actors_per_gpu(asked) for asked in ("auto", 1, 3)] == [1, 1, 3]
    assert actors_for("filter", 2, 9, a_gpu=2).first == 2
    assert actors_for("filter", "auto", 9, a_gpu=4).first == 4
    dataset = ray.data.from_blocks([pa.table({"n": list(block)}) for block in BLOCKS])
    done = through_actors(dataset, Count, (), Actors(first=2, most=2, a_gpu=2), least_rows=2)
    print(json.dumps(done.take_all()))


if __name__ == "__main__":
    main()
