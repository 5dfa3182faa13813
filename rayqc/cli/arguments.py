"""The arguments of commands: the name of each, and its options in argparse."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

from rayqc.config.base import JOINT
from rayqc.kinds import DEFAULT_WAY, EXPORTS, SCORES, SELECTIONS
from rayqc.pipeline.demos import DEMO_POOLS
from rayqc.verdicts import ACCEPTED, DUPLICATES, ERROR, NONE, REJECTED


def _price(text: str) -> tuple[str, float]:
    kind, _, dollars = text.rpartition("=")
    try:
        if kind and 0 <= float(dollars) < math.inf:
            return kind, float(dollars)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected KIND=DOLLARS, such as worker=1.5, found {text!r}")


ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "config": ("CONFIG.yaml", {"help": "YAML file of settings"}),
    "run": ("RUN", {"help": "run folder"}),
    "key": ("KEY", {"help": "a setting such as encoder.steps, or a section such as encoder"}),
    "images": ("DIR", {"help": "the real images, or a folder of them beside a pool (and test)"}),
    "test": ("PATH", {"help": "real images held back"}),
    "settings": (
        "FILE.yaml",
        {"default": "rayqc.yaml", "help": "file to write (default: rayqc.yaml)"},
    ),
    "path": (
        "PATH",
        {"help": "any pool, any folder of images, or a YAML file of settings"},
    ),
    "judged": ("DIR", {"help": "run folder, or what `filter --out` or `refilter` wrote"}),
    "id": ("ID", {"help": "an image's id, as in the shards, or the path of its file"}),
    "evaluation": ("CONFIG.yaml", {"nargs": "?", "help": "YAML file (default: bundled digits)"}),
    "out": ("DIR", {"required": True, "help": "folder to write, a path or URL"}),
    "out?": ("DIR", {"help": "folder for what --pool or --until gives"}),
    "per-class": ("N", {"help": "images to choose of each class; all of them if not given"}),
    "ways": (
        "WAY",
        {
            "nargs": "+",
            "choices": SELECTIONS.names,
            "help": f"ways to choose, besides random (default: {DEFAULT_WAY})",
        },
    ),
    "sizes": (
        "N",
        {"nargs": "+", "type": int, "help": "images of each class (default: 1, 2, 5, 10, 20, ...)"},
    ),
    "seeds": ("N", {"default": 20, "help": "trainings of each way and size (default: 20)"}),
    "drop-duplicates": (
        "KIND",
        {
            "choices": DUPLICATES,
            "default": NONE,
            "help": "leave out all but the best of equal images (exact), or of those that look "
            "alike (near); none keeps them (default)",
        },
    ),
    "by": (
        "WAY",
        {
            "choices": SELECTIONS.names,
            "default": DEFAULT_WAY,
            "help": f"{', '.join(SELECTIONS.names)} (default: {DEFAULT_WAY})",
        },
    ),
    "seed": ("N", {"default": 0, "type": int, "help": "of what is drawn (default: 0)"}),
    "watch": ("", {"action": "store_true", "help": "again and again, until nobody is at work"}),
    "measure": (
        "",
        {
            "action": "store_true",
            "help": "train classifiers on the set and on a random one",
        },
    ),
    "until": ("N", {"help": "accepted images wanted of each class"}),
    "budget": ("N", {"help": "draw so many candidates at most, of all classes together"}),
    "floor": (
        "SHARE",
        {"type": float, "help": "give a class up when surely less is accepted (default: 0.01)"},
    ),
    "set": (
        "A.B=C",
        {
            "action": "append",
            "default": [],
            "help": "change a setting, such as encoder.steps=500; may stand several times",
        },
    ),
    "limit": ("N", {"help": "take only N of the pool's images, evenly spaced"}),
    "draws": ("N", {"help": "measure N draws now; running again goes on"}),
    "actors": ("N", {"help": "encoding actors (default: the run's setting)"}),
    "pool": ("PATH", {"help": "Parquet, tars, class folders or a listing; matched by class name"}),
    "pool?": (
        "NAME",
        {
            "choices": DEMO_POOLS,
            "default": DEMO_POOLS[0],
            "help": f"what makes the pool: {' or '.join(DEMO_POOLS)} (default: {DEMO_POOLS[0]})",
        },
    ),
    "image-column": ("NAME", {"help": "the pool's or path's column of images, or of their paths"}),
    "label-column": ("NAME", {"help": "the pool's or path's column of classes"}),
    "env": (
        "NAME",
        {
            "action": "append",
            "default": [],
            "help": "give the job this environment variable of yours; may stand several times",
        },
    ),
    "pip": (
        "PACKAGE",
        {
            "action": "append",
            "default": [],
            "help": "install this for the job; may stand several times",
        },
    ),
    "cluster": (
        "FILE.yaml",
        {"help": "plan for the nodes of this file, of Ray's cluster launcher or of KubeRay"},
    ),
    "price": (
        "KIND=DOLLARS",
        {
            "action": "append",
            "default": [],
            "type": _price,
            "help": "of a node of this kind for an hour; may stand several times",
        },
    ),
    "working-dir": ("DIR", {"help": "folder of your own code, which the job gets"}),
    "no-wait": ("", {"action": "store_true", "help": "submit, and do not follow"}),
    "latent-column": ("NAME", {"help": "the pool's column of latents (encoder.kind: column)"}),
    "statistic": (
        "NAME",
        {
            "choices": (*SCORES.names, JOINT),
            "help": f"what calibrated regions judge by: {', '.join(SCORES.names)} or {JOINT}",
        },
    ),
    "coverage": ("SHARE", {"type": float, "help": "of fresh real images to hold, such as 0.9"}),
    **{
        flag: (
            "",
            {
                "action": "append_const",
                "dest": "verdicts",
                "const": verdict,
                "help": f"{flag} images; flags add up",
            },
        )
        for flag, verdict in (("accepted", ACCEPTED), ("rejected", REJECTED), ("errors", ERROR))
    },
    "to": (
        "LAYOUT",
        {
            "choices": EXPORTS.names,
            "required": True,
            "help": f"the layout: {', '.join(EXPORTS.names)}",
        },
    ),
    "link": (
        "",
        {"action": "store_true", "help": "hard links to the pool's own files instead of copies"},
    ),
    "class": ("NAME", {"action": "append", "help": "of this class; may stand several times"}),
    "reason": ("NAME", {"action": "append", "help": "of this reason; may stand several times"}),
    "first": ("N", {"default": 20, "help": "show so many (default: 20)"}),
    "csv": ("FILE.csv", {"help": "write all of them to this file"}),
    "retry-errors": (
        "",
        {"action": "store_true", "help": "judge again only what could not be judged"},
    ),
    "dry-run": ("", {"action": "store_true", "help": "only say what would be deleted"}),
    "scores-only": ("", {"action": "store_true", "help": "write no images"}),
    "trust": (
        "TARGET",
        {"action": "append", "help": "run this Python code, which the run folder names"},
    ),
    "judged-by": ("RUN", {"help": "the run that judged it, unless it is one"}),
    "picture": ("FILE.png", {"help": "where to write the picture (default: inspect.png)"}),
}
"""Name of each argument to its placeholder and its options in argparse."""

POSITIONAL = ("config", "images", "key", "run", "path", "judged", "id", "evaluation")
COUNTS = ("per-class", "seeds", "limit", "draws", "actors", "until", "budget", "first")


def add_argument(parser: argparse.ArgumentParser, name: str, as_flags: bool) -> None:
    """Add one of `ARGUMENTS`; `as_flags` makes flags of positional arguments, too."""
    placeholder, options = ARGUMENTS[name]
    options = dict(options)
    if placeholder:
        options["metavar"] = placeholder
    if name in COUNTS:
        options["type"] = _positive
    if name not in POSITIONAL:
        parser.add_argument(f"--{name.removesuffix('?')}", **options)
    elif as_flags:
        needed = options.pop("nargs", None) is None
        parser.add_argument(f"--{name}", required=needed, **options)
    else:
        parser.add_argument(name, **options)


def add_common(parser: argparse.ArgumentParser, address: str, takes: Sequence[str]) -> None:
    """Add the arguments that every command takes, and those of several that this one takes."""
    parser.set_defaults(redo=False, address=address, num_cpus=None)
    if "redo" in takes:
        text = "do anew what changed settings affect, or all that is done"
        parser.add_argument("--redo", action="store_true", help=text)
    if "address" in takes:
        text = "local: a Ray of its own; auto: the cluster this machine is part of; or an address"
        parser.add_argument("--address", default=address, help=f"{text} (default: {address})")
    if "dashboard" in takes:
        text = "of the cluster's dashboard (default: RAY_ADDRESS, else http://127.0.0.1:8265)"
        parser.add_argument("--address", metavar="URL", help=text)
    if "num-cpus" in takes:
        text = "CPUs of a local Ray (default: all)"
        parser.add_argument("--num-cpus", type=_positive, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="the result as one JSON document")
    parser.add_argument("-q", "--quiet", action="store_true", help="errors and the result only")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks of every error")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)
