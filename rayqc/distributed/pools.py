"""Map a Ray Data data set through a fixed number of actors."""

from __future__ import annotations

from typing import Any

import ray.data


def through_actors(
    dataset: ray.data.Dataset,
    actor: type,
    arguments: tuple[Any, ...],
    count: int,
    a_gpu: int,
    least_rows: int,
) -> ray.data.Dataset:
    """Map the blocks of a data set, as Arrow tables, through `count` actors of one CPU each.

    Args:
        actor: made with `arguments` in each actor, then called with batches.
        a_gpu: how many actors share a GPU; 0 for actors on CPUs.
        least_rows: of the smallest block. Beside a GPU Ray Data takes no batches but of a stated
            size: it joins blocks that have fewer rows, and splits those that have more.
    """
    mapped = dataset.map_batches(
        actor,
        batch_size=least_rows if a_gpu else None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=count),
        fn_constructor_args=arguments,
        num_cpus=1,
        num_gpus=1 / a_gpu if a_gpu else None,
    )
    # Otherwise a RayqcError reaches the driver as text, without its type.
    mapped.context.raise_original_map_exception = True
    return mapped
