"""The settings of `rayqc demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from rayqc.config import Config
from rayqc.errors import ConfigError
from rayqc.pipeline.settings import parse_config

DemoPool = Literal["generator", "augment"]
DEMO_POOLS: tuple[str, ...] = get_args(DemoPool)

DATA = Path(__file__).parent.parent / "data"


def demo_config(pool: DemoPool, overrides: tuple[str, ...]) -> Config:
    """The settings of the demo with that pool.

    Args:
        pool: what makes the pool: a bundled generator, some of whose images are faulty, or
            augmentation of the references.
        overrides: settings to change, such as `encoder.steps=50`.

    Raises:
        ConfigError: there is no such pool, or an override cannot be.
    """
    if pool not in DEMO_POOLS:
        raise ConfigError(f"pool is {pool!r}; expected {' or '.join(map(repr, DEMO_POOLS))}")
    text = (DATA / f"demo-{pool}.yaml").read_text(encoding="utf-8")
    return parse_config(text, overrides, origin="demo")
