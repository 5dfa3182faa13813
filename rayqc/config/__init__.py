"""Settings: what they are, and how they are read and written."""

from rayqc.config.load import (
    differences,
    dump_config,
    load_config,
    load_evaluation,
    make_config,
    parse_config,
)
from rayqc.config.settings import Augment, Config, Data, Files, References, Resources

__all__ = [
    "Augment",
    "Config",
    "Data",
    "Files",
    "References",
    "Resources",
    "differences",
    "dump_config",
    "load_config",
    "load_evaluation",
    "make_config",
    "parse_config",
]
