"""Map a Ray Data data set through actors, more of them where nodes join."""

from __future__ import annotations

from typing import Any

import ray.data

from rayqc.distributed.resources import Actors


def through_actors(
    dataset: ray.data.Dataset,
    actor: type,
    arguments: tuple[Any, ...],
    actors: Actors,
    least_rows: int,
) -> ray.data.Dataset:
    """Map the blocks of a data set, as Arrow tables, through actors of one CPU each.

    Ray Data starts more of them where work waits and the cluster has room, asks its autoscaler for
    nodes, and lets actors go that idle.

    Args:
        actor: made with `arguments` in each actor, then called with batches.
        actors: how many.
        least_rows: of the smallest block. Beside a GPU Ray Data takes no batches but of a stated
            size: it joins blocks that have fewer rows, and splits those that have more.
    """
    mapped = dataset.map_batches(
        actor,
        batch_size=least_rows if actors.a_gpu else None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=actors.first, max_size=actors.most),
        fn_constructor_args=arguments,
        num_cpus=1,
        num_gpus=1 / actors.a_gpu if actors.a_gpu else None,
    )
    # Otherwise a RayqcError reaches the driver as text, without its type.
    mapped.context.raise_original_map_exception = True
    return mapped
