"""Arguments in, exit code out. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import atexit
import gc
import shlex
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import rayqc
from rayqc.errors import RayqcError, StoppedError, UserError
from rayqc.version import __version__

INTERRUPTED = 130
TERMINATED = 143

Command = Callable[[argparse.Namespace, dict[str, Any]], dict[str, Any]]


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (see `rayqc.errors`)."""
    return _execute(_parser().parse_args(argv))


def job(name: str) -> int:
    """Run one command as a script of `jobs/` does: on the cluster it runs on, all by flags."""
    return _execute(_job_parser(name).parse_args())


def _execute(arguments: argparse.Namespace) -> int:
    from rayqc.cli.console import Console  # noqa: PLC0415  (rich, not needed for --help)

    atexit.register(gc.freeze)  # else the process, at its end, searches all it imported for garbage
    console = Console(quiet=arguments.quiet)
    terminated: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        terminated.append(number)
        raise KeyboardInterrupt  # the one exception that Ray lets through its own code

    signal.signal(signal.SIGTERM, terminate)
    common = {
        "redo": arguments.redo,
        "address": arguments.address,
        "num_cpus": arguments.num_cpus,
        "progress": console.progress,
    }
    try:
        console.show(arguments.work(arguments, common), _place(arguments))
    except RayqcError as error:
        console.error(str(error))
        if isinstance(error, StoppedError):
            console.error(f"what is committed stays. Resume with: {_again()}")
        if error.exit_code == 1 or arguments.verbose:
            console.error(traceback.format_exc(), lines=True)
        return error.exit_code
    except KeyboardInterrupt:
        what = "terminated" if terminated else "interrupted"
        console.error(f"{what}; what is committed stays. Resume with: {_again()}")
        return TERMINATED if terminated else INTERRUPTED
    except Exception:
        console.error(traceback.format_exc(), lines=True)
        console.error("this is a fault in rayqc; please report it with the lines above")
        return 1
    return 0


def _place(arguments: argparse.Namespace) -> str:
    """Where a command's results lie."""
    places = (getattr(arguments, name, None) for name in ("out", "run", "path"))
    return str(next((place for place in places if place), ""))


def _again() -> str:
    name = Path(sys.argv[0]).name
    return shlex.join([name, *(word for word in sys.argv[1:] if word != "--redo")])


def _demo(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.demo(arguments.out, overrides=_overrides(arguments), **common)


def _run(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    config = rayqc.load_config(arguments.config, _overrides(arguments))
    return rayqc.run(config, arguments.out, **common)


def _train(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    config = rayqc.load_config(arguments.config, _overrides(arguments))
    return rayqc.train(config, arguments.out, **common)


def _fit(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.fit(arguments.run, trust=arguments.trust, **common)


def _generate(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    aims = (arguments.budget, arguments.floor)
    if arguments.until is None and arguments.out is None:
        if any(aim is not None for aim in aims):
            raise UserError("--budget and --floor go with --until")
        return rayqc.generate(arguments.run, trust=arguments.trust, **common)
    if arguments.until is None or arguments.out is None:
        raise UserError("--until and --out go together: what is drawn needs a folder of its own")
    return rayqc.generate_until(
        arguments.run,
        arguments.out,
        until=arguments.until,
        budget=arguments.budget,
        floor=0.01 if arguments.floor is None else arguments.floor,
        trust=arguments.trust,
        **common,
    )


def _filter(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    pool, out, actors = arguments.pool, arguments.out, arguments.actors
    if pool is None and out is None:
        if arguments.limit is not None:
            raise UserError("--limit goes with --pool; for the run's own pool, `rayqc run --limit`")
        return rayqc.filter(arguments.run, actors=actors, trust=arguments.trust, **common)
    if pool is None or out is None:
        raise UserError("--pool and --out go together: another pool needs a folder of its own")
    return rayqc.filter_pool(
        arguments.run,
        pool,
        out,
        actors=actors,
        limit=arguments.limit,
        statistic=arguments.statistic or "joint",
        trust=arguments.trust,
        **common,
    )


def _classify(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.classify(arguments.run, trust=arguments.trust, **common)


def _refilter(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.refilter(
        arguments.run,
        arguments.out,
        coverage=arguments.coverage,
        statistic=arguments.statistic,
        scores_only=arguments.scores_only,
        run=arguments.judged_by,
        trust=arguments.trust,
        redo=common["redo"],
    )


def _inspect(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.inspect(
        arguments.run,
        arguments.id,
        picture=arguments.picture,
        run=arguments.judged_by,
        trust=arguments.trust,
    )


def _evaluate(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    settings = rayqc.load_evaluation(arguments.evaluation, arguments.set)
    shared = {name: common[name] for name in ("address", "num_cpus", "progress")}
    return rayqc.evaluate(settings, arguments.out, limit=arguments.draws, **shared)


def _check(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.check(arguments.path, overrides=tuple(arguments.set), progress=common["progress"])


def _clean(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.clean(arguments.run, dry_run=arguments.dry_run)


def _doctor(arguments: argparse.Namespace, common: dict[str, Any]) -> dict[str, Any]:
    return rayqc.doctor(address=common["address"], num_cpus=common["num_cpus"])


def _overrides(arguments: argparse.Namespace) -> tuple[str, ...]:
    limit = [] if arguments.limit is None else [f"filter.limit={arguments.limit}"]
    return (*arguments.set, *limit)


COMMANDS: dict[str, tuple[Command, str, tuple[str, ...]]] = {
    "demo": (_demo, "real digits through the whole job in a few minutes", ("out", "set", "limit")),
    "run": (_run, "all stages of a configuration", ("config", "out", "set", "limit")),
    "train": (_train, "draw the references and train the VAE", ("config", "out", "set", "limit")),
    "fit": (_fit, "fit each class's region to the references", ("run", "trust")),
    "generate": (
        _generate,
        "make the run's own pool, or with --until draw until every class is full",
        ("run", "until", "out?", "budget", "floor", "trust"),
    ),
    "filter": (
        _filter,
        "judge the run's own pool, or with --pool any other",
        ("run", "pool", "out?", "actors", "limit", "statistic", "trust"),
    ),
    "classify": (
        _classify,
        "train classifiers with and without what was kept",
        ("run", "trust"),
    ),
    "refilter": (
        _refilter,
        "take verdicts again from stored scores, in seconds",
        ("run", "out", "coverage", "statistic", "scores-only", "judged-by", "trust"),
    ),
    "inspect": (
        _inspect,
        "say why an image was judged as it was, and show it",
        ("run", "id", "picture", "judged-by", "trust"),
    ),
    "evaluate": (
        _evaluate,
        "measure the filter itself on real data, draw by draw",
        ("evaluation", "out", "set", "draws"),
    ),
    "check": (_check, "decode all images of a place, count what fails and why", ("path", "set")),
    "clean": (_clean, "delete what dead attempts left in a folder", ("run", "dry-run")),
    "doctor": (_doctor, "look at Ray's nodes and warn of what will give trouble", ()),
}
"""Each command: what it does, its help, its arguments."""

STATISTICS = ("label", "quality", "joint")

ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "config": ("CONFIG.yaml", {"help": "YAML file of settings"}),
    "run": ("RUN", {"help": "run folder"}),
    "path": ("PATH", {"help": "Parquet files, or any folder of images"}),
    "id": ("ID", {"help": "an image's id, as in the shards"}),
    "evaluation": ("CONFIG.yaml", {"nargs": "?", "help": "YAML file (default: bundled digits)"}),
    "out": ("DIR", {"required": True, "help": "folder to write, a path or URL"}),
    "out?": ("DIR", {"help": "folder for what --pool or --until gives"}),
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
    "pool": ("PATH", {"help": "Parquet files or a folder of class folders, matched by class name"}),
    "statistic": (
        "NAME",
        {
            "choices": STATISTICS,
            "help": "what calibrated regions judge by: label, quality or joint",
        },
    ),
    "coverage": ("SHARE", {"type": float, "help": "of fresh real images to hold, such as 0.9"}),
    "dry-run": ("", {"action": "store_true", "help": "only say what would be deleted"}),
    "scores-only": ("", {"action": "store_true", "help": "write no images"}),
    "trust": (
        "TARGET",
        {"action": "append", "help": "run this Python code, which the run folder names"},
    ),
    "judged-by": ("RUN", {"help": "the run that judged it, unless it is one"}),
    "picture": ("FILE.png", {"help": "where to write the picture (default: inspect.png)"}),
}
"""Each argument: its placeholder and what argparse is told. Some are positional."""

POSITIONAL = ("config", "run", "path", "id", "evaluation")
COUNTS = ("limit", "draws", "actors", "until", "budget")


def _add_argument(parser: argparse.ArgumentParser, name: str, as_flags: bool) -> None:
    placeholder, told = ARGUMENTS[name]
    told = dict(told)
    if placeholder:
        told["metavar"] = placeholder
    if name in COUNTS:
        told["type"] = _positive
    if name not in POSITIONAL:
        parser.add_argument(f"--{name.removesuffix('?')}", **told)
    elif as_flags:
        needed = told.pop("nargs", None) is None
        parser.add_argument(f"--{name}", required=needed, **told)
    else:
        parser.add_argument(name, **told)


def _add_common(parser: argparse.ArgumentParser, address: str) -> None:
    text = "do anew what is done, or what changed settings affect"
    parser.add_argument("--redo", action="store_true", help=text)
    text = "local: a Ray of its own; auto: the cluster this machine is part of; or an address"
    parser.add_argument("--address", default=address, help=f"{text} (default: {address})")
    text = "CPUs of a local Ray (default: all)"
    parser.add_argument("--num-cpus", type=_positive, metavar="N", help=text)
    parser.add_argument("-q", "--quiet", action="store_true", help="errors and the result only")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks of every error")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rayqc",
        description="Filter synthetic training images by what the few real ones look like.",
        epilog="exit codes: 0 done; 1 a fault in rayqc; 2 something to put right; 3 finished, but "
        "too many unreadable images; 4 stopped, run again to resume; 130/143 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"rayqc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (work, text, arguments) in COMMANDS.items():
        below = commands.add_parser(name, help=text, description=text)
        for argument in arguments:
            _add_argument(below, argument, as_flags=False)
        _add_common(below, address="local")
        below.set_defaults(work=work)
    return parser


def _job_parser(name: str) -> argparse.ArgumentParser:
    work, text, arguments = COMMANDS[name]
    parser = argparse.ArgumentParser(description=text)
    for argument in arguments:
        _add_argument(parser, argument, as_flags=True)
    _add_common(parser, address="auto")
    parser.set_defaults(work=work, command=name)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)
