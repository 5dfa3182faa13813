"""Settings: what they are, and how they are read and written."""

from rayqc.config.base import Data
from rayqc.config.load import (
    differences,
    dump_config,
    load_config,
    load_evaluation,
    make_config,
    parse_config,
)
from rayqc.config.pool import Augment, Code, Exported, Files, Gan, Generator, Latent, MadeHere
from rayqc.config.settings import Config, References, Resources

__all__ = [
    "Augment",
    "Code",
    "Config",
    "Data",
    "Exported",
    "Files",
    "Gan",
    "Generator",
    "Latent",
    "MadeHere",
    "References",
    "Resources",
    "differences",
    "dump_config",
    "load_config",
    "load_evaluation",
    "make_config",
    "parse_config",
]
