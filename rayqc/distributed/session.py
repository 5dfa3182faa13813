"""A Ray session for one command: a fresh one, a cluster that is joined, or the caller's own."""

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
from typing import Any

import ray
from ray._private import auto_init_hook, ray_constants
from ray._private.log import PlainRayHandler
from ray.exceptions import ActorDiedError, RayError, RayTaskError
from ray.train.v2._internal.exceptions import RayTrainError, UserExceptionWithTraceback

from rayqc.distributed.machine import (
    cpus_allowed,
    make_do_without_home,
    ray_folder,
    say_if_shared_memory_is_small,
)
from rayqc.errors import RayqcError, StoppedError, UserError
from rayqc.log_lines import wants_json

logger = logging.getLogger(__name__)

SECONDS_TO_REACH = 10
PREEMPTION_WATCHER = "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"
QUIET = ("ray", "ray.train", "ray.tune")


@contextmanager
def session(address: str = "local", num_cpus: int | None = None) -> Iterator[None]:
    """Start or join Ray, and shut it down at the end; a session that is already up stays up.

    Args:
        address: `local` starts a fresh session and never joins a cluster; `auto`
            joins the cluster that this process runs on; else a cluster's address.
        num_cpus: CPUs of a fresh session; None takes all that this process may use.

    Raises:
        UserError: no cluster at this address.
    """
    if ray.is_initialized():
        yield
        return
    _be_quiet()
    # Else a thread that outlives an interrupted session would join any cluster of this machine.
    joins_by_itself = auto_init_hook.enable_auto_connect
    auto_init_hook.enable_auto_connect = False
    target = reach(address)
    local = address == "local"
    private = local or target.startswith(("127.", "localhost:"))  # only this machine can join it
    fresh_options = _fresh_options(num_cpus) if local else {}
    try:
        with _core_quiet(), _own_signals(), _on_loopback() if private else nullcontext():
            ray.init(
                address=address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                logging_config=ray.LoggingConfig(encoding="JSON") if wants_json() else None,
                **fresh_options,
            )
    except Exception as error:  # Ray raises a bare one where it does not start in time
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot start or join Ray at address {address!r}: {reason}") from error
    _keep_token()
    cpus = ray.cluster_resources().get("CPU", 0)
    gpus = ray.cluster_resources().get("GPU", 0)
    logger.info("ray: %s, %d CPUs, %d GPUs", address, cpus, gpus)
    if local:
        say_if_shared_memory_is_small(ray.cluster_resources().get("object_store_memory", 0))
    try:
        with _not_preempted() if local else nullcontext():
            yield
        auto_init_hook.enable_auto_connect = joins_by_itself
    finally:
        ray.shutdown()


def _fresh_options(num_cpus: int | None) -> dict[str, Any]:
    """Options of a Ray that starts on this machine."""
    make_do_without_home()
    options = {"num_cpus": num_cpus or cpus_allowed(), "include_dashboard": False}
    folder = ray_folder()
    return options if folder is None else {**options, "_temp_dir": folder}


def in_session() -> bool:
    """Is there a Ray session?"""
    return bool(ray.is_initialized())


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise a worker's RayqcError as itself, and Ray's loss of a worker as `StoppedError`."""
    try:
        yield
    except Exception as error:
        rayqc_error = _find_rayqc_error(error)
        if rayqc_error is error:
            raise
        if rayqc_error is not None:
            text = str(rayqc_error).partition("\nFailed to apply UDF")[0]  # Ray Data adds the rest
            raise type(rayqc_error)(text) from error
        if isinstance(error, ActorDiedError) and "creation task" in str(error):
            last_line = str(error).strip().splitlines()[-1]
            raise StoppedError(f"a worker could not start: {last_line}") from error
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


def reach(address: str) -> str:
    """The address that is meant; fails at once where nothing listens, Ray would try for minutes.

    Args:
        address: as for `session`.

    Raises:
        UserError: no cluster at this address.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdecimal():
        return address  # `local`, empty, or a scheme that Ray resolves
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_REACH).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address}: {error}; check --address and RAY_ADDRESS, "
            "or leave --address out to run locally"
        ) from error
    return address


def _find_rayqc_error(error: BaseException | None) -> RayqcError | None:
    visited: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in visited:
            continue
        # Ray also raises a copy, of a class that it makes and with a traceback in its text: that
        # copy is passed over.
        if isinstance(current, RayqcError) and type(current).__module__ == RayqcError.__module__:
            return current
        visited.add(id(current))
        queue += [current.__cause__, current.__context__, getattr(current, "cause", None)]
        queue += list(getattr(current, "worker_failures", {}).values())
    return None


@contextmanager
def _core_quiet() -> Iterator[None]:
    """Hide what Ray's C++ core prints about its log level while it starts."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with open(os.devnull, "w") as null_device:
        os.dup2(null_device.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the caller's SIGTERM handler after Ray starts; Ray's own one aborts the process."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread() and handler is not None:
        # Ray sets its handler in C++, unseen by Python: only setting this one again undoes it.
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let a Ray that starts here listen on 127.0.0.1 only, or join one that does.

    Ray does so by itself on Windows and macOS. Elsewhere it listens on all interfaces, and replaces
    `_node_ip_address="127.0.0.1"` by the machine's own address. Ray's processes read the
    environment variable; this process reads the constant that Ray made from it.
    """
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    saved_values = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        os.environ.pop(name)
        if saved_values[0] is not None:
            os.environ[name] = saved_values[0]
        ray_constants.ENABLE_RAY_CLUSTER = saved_values[1]


@contextmanager
def _not_preempted() -> Iterator[None]:
    """Spare each training the process in which Ray Train waits for a notice that a node will end.

    Nobody gives such a notice of a Ray that starts here.
    """
    if PREEMPTION_WATCHER in os.environ:
        yield
        return
    os.environ[PREEMPTION_WATCHER] = "0"
    try:
        yield
    finally:
        os.environ.pop(PREEMPTION_WATCHER, None)


def _keep_token() -> None:
    """Let only its owner read Ray's token, which Ray writes as a file that all can read."""
    token = Path("~/.ray/auth_token").expanduser()
    with suppress(OSError):  # there is no token, or it is another user's
        mode = stat.S_IMODE(token.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            token.chmod(mode & stat.S_IRWXU)


def _be_quiet() -> None:
    """Keep Ray's logs off the terminal and in its session folder; rayqc's progress lines stay."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray Data always gives actors their function through the object store, and Ray 2.60's core
    # prints an error line for each. RAY_BACKEND_LOG_LEVEL=info shows everything again.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, PlainRayHandler):  # the terminal's, not the log file's
            handler.setLevel(logging.CRITICAL)  # rayqc reports raised errors itself
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
