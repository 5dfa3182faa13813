"""A Ray session for one command: started here, joined where told, or the caller's own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import ray
from ray._private import ray_constants
from ray._private.log import PlainRayHandler
from ray.exceptions import ActorDiedError, RayError, RayTaskError
from ray.train.v2._internal.exceptions import RayTrainError, UserExceptionWithTraceback

from rayqc.errors import RayqcError, StoppedError, UserError

logger = logging.getLogger(__name__)

SECONDS_TO_REACH = 10
QUIET = ("ray", "ray.train", "ray.tune")


@contextmanager
def session(address: str = "local", num_cpus: int | None = None) -> Iterator[None]:
    """Ray, ready for use; what was started here is stopped at the end.

    Args:
        address: `local` starts a fresh session and never joins a cluster; `auto`
            joins the one this process runs on; else a cluster's address.
        num_cpus: CPUs of a fresh session; None takes the machine's.

    Raises:
        UserError: no cluster at this address.
    """
    if ray.is_initialized():
        yield
        return
    _be_quiet()
    target = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    _reach(target)
    local = address == "local"
    private = local or target.startswith(("127.", "localhost:"))  # only from there is it joined
    fresh = {"num_cpus": num_cpus, "include_dashboard": False} if local else {}
    try:
        with _core_quiet(), _own_signals(), _on_loopback() if private else nullcontext():
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **fresh)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot start or join Ray at address {address!r}: {reason}") from error
    _keep_token()
    cpus = ray.cluster_resources().get("CPU", 0)
    gpus = ray.cluster_resources().get("GPU", 0)
    logger.info("ray: %s, %d CPUs, %d GPUs", address, cpus, gpus)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise an error of ours that a worker met as itself; Ray's own as `StoppedError`."""
    try:
        yield
    except Exception as error:
        ours = _find_ours(error)
        if ours is error:
            raise
        if ours is not None:
            text = str(ours).partition("\nFailed to apply UDF")[0]  # which Ray Data adds
            raise type(ours)(text) from error
        if isinstance(error, ActorDiedError) and "creation task" in str(error):
            last = str(error).strip().splitlines()[-1]
            raise StoppedError(f"a worker could not start: {last}") from error
        failures = list(getattr(error, "worker_failures", {}).values()) or [error]
        if all(_is_a_loss(failure) for failure in failures):
            reason = str(failures[0]).strip().splitlines()[0]
            raise StoppedError(f"Ray stopped the work: {reason}; run again to resume") from error
        raise


def _is_a_loss(error: BaseException) -> bool:
    """Was a worker, a node or an object lost, rather than an error raised by what ran there?"""
    if isinstance(error, RayTrainError):
        return not isinstance(error, UserExceptionWithTraceback)
    return isinstance(error, RayError) and not isinstance(error, RayTaskError)


def _reach(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        return  # `local`, empty, or a scheme that Ray resolves
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_REACH).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address}: {error}; check --address and RAY_ADDRESS, "
            "or leave --address out to run locally"
        ) from error


def _find_ours(error: BaseException | None) -> RayqcError | None:
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        # Ray's own copy of an error of ours is of a class made for it, and ends in a traceback.
        if isinstance(current, RayqcError) and type(current).__module__ == RayqcError.__module__:
            return current
        seen.add(id(current))
        queue += [current.__cause__, current.__context__, getattr(current, "cause", None)]
        queue += list(getattr(current, "worker_failures", {}).values())
    return None


@contextmanager
def _core_quiet() -> Iterator[None]:
    """Keep off the terminal what Ray's C++ core says of its log level while it starts."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put the caller's handler of SIGTERM back: Ray's core, once started, would abort instead."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread() and handler is not None:
        # Ray's is set in C++, where Python does not see it, and so takes a change to undo.
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let a Ray that starts here listen on 127.0.0.1 only, or join one that does.

    So Ray does by itself on Windows and macOS. Else it listens on all interfaces, and turns
    `_node_ip_address="127.0.0.1"` into the machine's own address. Its processes read the
    variable, this one the constant made of it.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    kept = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        os.environ.pop(name)
        if kept[0] is not None:
            os.environ[name] = kept[0]
        ray_constants.ENABLE_RAY_CLUSTER = kept[1]


def _keep_token() -> None:
    """Let only its owner read the token that lets in to Ray; Ray writes it for all to read."""
    token = Path("~/.ray/auth_token").expanduser()
    with suppress(OSError):  # none there, or somebody else's
        mode = stat.S_IMODE(token.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            token.chmod(mode & stat.S_IRWXU)


def _be_quiet() -> None:
    """Leave the terminal to our own progress lines; Ray's logs stay in its session folder."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray 2.60's core prints an error line for each actor that Ray Data gives its function
    # through the object store, as it always does. RAY_BACKEND_LOG_LEVEL=info brings all back.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, PlainRayHandler):  # not its file in the session folder
            handler.setLevel(logging.CRITICAL)  # what goes wrong is raised, and said once by us
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
