"""The settings of a run, with the sections that stages add."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import create_model

from rayqc.config import load
from rayqc.config.base import Enters
from rayqc.config.settings import Config as CoreConfig
from rayqc.pipeline.stage import all_stages

logger = logging.getLogger(__name__)


def _with_sections_of_stages() -> type[CoreConfig]:
    """The class of all settings: the package's own, and a section for each stage that has one."""
    stage_sections: dict[str, Any] = {
        stage.name: (Annotated[stage.settings, Enters(stage.name)], stage.settings())
        for stage in all_stages()
        if stage.settings is not None
    }
    if not stage_sections:
        return CoreConfig
    return create_model("RunConfig", __base__=CoreConfig, __module__=__name__, **stage_sections)


RunConfig: type[CoreConfig] = _with_sections_of_stages()
Config = RunConfig


def without_untested_arms(settings: CoreConfig) -> CoreConfig:
    """The settings; without test images they have no arms, unless they name some."""
    if settings.test_data() is not None or "arms" in settings.classify.model_fields_set:
        return settings
    logger.warning(
        "no test images are named: no classifier is trained, and whether the filter helps is not "
        "measured; set `test: {path: ...}` to real images held back"
    )
    classify = settings.classify.model_copy(update={"arms": []})
    return settings.model_copy(update={"classify": classify})


def load_config(path: str, overrides: list[str] | tuple[str, ...] = ()) -> CoreConfig:
    """Read settings from a YAML file and apply `a.b=c` overrides.

    Raises:
        ConfigError: the file is missing or not YAML, a setting is unknown or out of range.
    """
    return load.load_config(path, overrides, RunConfig)


def settings_of_run(config: CoreConfig | str) -> CoreConfig:
    """Settings, or a YAML file's, without arms that nothing can test; raises as `load_config`."""
    return without_untested_arms(load_config(config) if isinstance(config, str) else config)


def parse_config(
    text: str, overrides: list[str] | tuple[str, ...] = (), origin: str = ""
) -> CoreConfig:
    """Settings from YAML text; `origin` names it in errors."""
    return load.parse_config(text, overrides, origin, RunConfig)


def make_config(tree: dict[str, Any], origin: str = "configuration") -> CoreConfig:
    """Settings from nested dictionaries; one `ConfigError` names all that is wrong."""
    return load.make_config(tree, origin, RunConfig)
