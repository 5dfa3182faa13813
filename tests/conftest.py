"""Shared pieces: one local Ray for the whole session, small runs, small images."""

from __future__ import annotations

import functools
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TESTS = Path(__file__).parent
SHARED = TESTS.parents[1] / "shared" / "data"

OWN_RAY = ("cases", "cli", "distributed", "faults", "test_additions.py")
"""Folders and files whose tests start a Ray of their own, but for those that take `ray_session`."""

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # several processes share the cores

MEANS = "tests.models.test_features:Means"
"""Target of an encoder that needs no training, for runs whose encoder is not what is tested."""

TINY: dict[str, Any] = {
    "references": {"kind": "bundled", "per_class": 5},
    "pool": [{"kind": "augment", "policy": "strong", "per_reference": 6, "statistic": "joint"}],
    "encoder": {"width": 0.03, "steps": 40, "latent_dim": 16, "checkpoint_every": 20},
    "regions": {"measure_images": 100, "views": ["edges"], "folds": 3},
    "filter": {"unit_rows": 70, "micro_batch": 32, "actors": 1},
    "classify": {"seeds": 2, "steps": 10, "width": 4, "batch_size": 20},
}


def tiny(**sections: Any) -> dict[str, Any]:
    """The tiny settings with some sections' keys replaced."""
    tree = {key: dict(v) if isinstance(v, dict) else v for key, v in TINY.items()}
    for name, value in sections.items():
        if isinstance(value, dict) and isinstance(tree.get(name), dict):
            tree[name] = {**tree[name], **value}
        else:
            tree[name] = value
    return tree


def shared(name: str) -> str:
    """A data set beside the project; skips where it is absent."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: it lies beside the project, not in it")
    return str(folder)


@functools.cache
def kept_together(path: Path) -> str:
    """The name of those tests that run in one process with the tests of this file."""
    text, within = path.read_text(encoding="utf-8"), path.relative_to(TESTS)
    if "ray_session" in text or "tiny_run" in text:
        return "on the Ray of all tests"
    return "on a Ray of their own" if within.parts[0] in OWN_RAY else str(within)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out to the processes of `pytest -n 2`, so that no more than two Rays are up.

    More would starve each other. A file's tests stay together, since they share what is made for
    them. (Xdist's own groups are marks, which its version 3.8 does not see with pytest 9.2.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return kept_together(config.rootpath / nodeid.partition("::")[0])

    return Together(config, log)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray of 2 CPUs for all tests; our code in it calls nothing that is deprecated.

    Processes that ran a task wait for the next one, where Ray would end them after a second: a test
    would import torch anew for seconds.
    """
    import ray

    import rayqc
    from rayqc.distributed.session import session

    ours = f"{Path(rayqc.__file__).parent}/"
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_idle_worker_killing_time_threshold_ms", "600000")
            until_the_end.enter_context(session("local", num_cpus=2))
        logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        yield
        said = [path.read_text(errors="replace") for path in logs.glob("worker-*.err")]
    lines = "".join(said).splitlines()
    assert not [line for line in lines if line.startswith(ours) and "RayDeprecation" in line]


@pytest.fixture(scope="session")
def tiny_run(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny run, made once; tests read it and leave it as it is."""
    import rayqc

    out = tmp_path_factory.mktemp("runs") / "tiny"
    rayqc.run(rayqc.make_config(TINY), str(out))
    return out


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """What a command sets up of logging ends with its test."""
    logger = logging.getLogger("rayqc")
    before = logger.level, logger.propagate, [*logger.handlers]
    yield
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1], before[2]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Ray's sockets lie below it, and their paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="rq", dir="/tmp") as place:
        yield Path(place)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for every test."""
    return np.random.default_rng(0)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
