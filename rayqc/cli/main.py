"""Run one command and return its exit code. What a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import atexit
import difflib
import gc
import shlex
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import shtab

from rayqc.cli.arguments import add_argument, add_common
from rayqc.cli.commands import COMMANDS
from rayqc.cli.stage_commands import OF_A_RUN
from rayqc.errors import RayqcError, StoppedError, UserError
from rayqc.kinds import STAGES
from rayqc.version import __version__

INTERRUPTED = 130
TERMINATED = 143


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code (see `rayqc.errors`)."""
    words = sys.argv[1:] if argv is None else argv
    if words[:2] == ["config", "explain"]:  # the same by another name
        words = words[1:]
    return _execute(_parser().parse_args(words))


def job(name: str) -> int:
    """Run one command as the scripts in `jobs/` do: on the cluster they run on, with flags only."""
    return _execute(_job_parser(name).parse_args())


def stage_job() -> int:
    """Run a stage that takes only a run folder, as the scripts in `jobs/` do."""
    return _execute(_stage_parser().parse_args())


def _execute(arguments: argparse.Namespace) -> int:
    from rayqc.cli.console import Console  # noqa: PLC0415  (rich, not needed for --help)

    atexit.register(gc.freeze)  # or the exit would search all modules for garbage
    try:
        console = Console(quiet=arguments.quiet, run=_place_of(arguments))
    except UserError as error:
        print(f"rayqc: {error}", file=sys.stderr)  # noqa: T201  (there is no console)
        return error.exit_code
    terminated: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        terminated.append(number)
        raise KeyboardInterrupt  # the only exception that Ray's own code lets through

    signal.signal(signal.SIGTERM, terminate)
    common = {
        "redo": arguments.redo,
        "address": arguments.address,
        "num_cpus": arguments.num_cpus,
        "progress": console.progress,
    }
    try:
        result = COMMANDS[arguments.command].work(arguments, common)
        if arguments.json:
            console.document(result)
        else:
            console.show(result.shown())
    except RayqcError as error:
        console.error(str(error))
        if isinstance(error, StoppedError):
            console.error(f"what is committed stays. Resume with: {_resume_command()}")
        if error.exit_code == 1 or arguments.verbose:
            console.error(traceback.format_exc(), lines=True)
        return error.exit_code
    except KeyboardInterrupt:
        ending = "terminated" if terminated else "interrupted"
        console.error(f"{ending}; what is committed stays. Resume with: {_resume_command()}")
        return TERMINATED if terminated else INTERRUPTED
    except Exception:
        console.error(traceback.format_exc(), lines=True)
        console.error("this is a fault in rayqc; please report it with the lines above")
        return 1
    return 0


def _place_of(arguments: argparse.Namespace) -> str | None:
    """The folder that a command writes to, or else works on."""
    found = vars(arguments)
    return next((found[name] for name in ("out", "run", "judged") if found.get(name)), None)


def _resume_command() -> str:
    program = Path(sys.argv[0]).name
    words = ["python", "-m", "rayqc"] if program == "__main__.py" else [program]
    return shlex.join([*words, *(argument for argument in sys.argv[1:] if argument != "--redo")])


class _Parser(argparse.ArgumentParser):
    """Says of a misspelt command, choice or flag which one is most like it."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See `argparse`; a flag that is unknown is refused in the words of its command."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            commands = next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))
            command = commands.choices[found.command]
            flag = unknown[0].partition("=")[0]
            like = difflib.get_close_matches(flag, list(command._option_string_actions), 1)
            hint = f"; did you mean {like[0]}?" if like else ""
            command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            names = [str(choice) for choice in action.choices or ()]
            like = difflib.get_close_matches(str(value), names, 1)
            if like:
                error.message = f"no {value!r} here; did you mean {like[0]!r}?"
            raise


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rayqc",
        description="Filter synthetic training images by what the few real ones look like.",
        epilog="exit codes: 0 done; 1 a fault in rayqc; 2 something to put right; 3 finished, but "
        "too many unreadable images; 4 stopped, run again to resume; 130/143 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"rayqc {__version__}")
    words = "print a script that completes rayqc's words in that shell"
    shtab.add_argument_to(parser, "--print-completion", help=words)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command_parser = commands.add_parser(
            name, help=command.help, description=command.help, epilog=command.settings
        )
        for argument in command.arguments:
            add_argument(command_parser, argument, as_flags=False)
        add_common(command_parser, address="local", takes=command.takes)
    return parser


def _job_parser(name: str) -> argparse.ArgumentParser:
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(description=command.help)
    for argument in command.arguments:
        add_argument(parser, argument, as_flags=True)
    add_common(parser, address="auto", takes=command.takes)
    parser.set_defaults(command=name)
    return parser


def _stage_parser() -> argparse.ArgumentParser:
    stages = [name for name in STAGES.names if COMMANDS[name].arguments == OF_A_RUN]
    parser = argparse.ArgumentParser(description="do one stage of a run")
    parser.add_argument("command", metavar="STAGE", choices=stages, help=", ".join(stages))
    for argument in OF_A_RUN:
        add_argument(parser, argument, as_flags=True)
    add_common(parser, address="auto", takes=("redo", "address", "num-cpus"))
    return parser
