"""Decode images in child processes, which may die of one or hang at it without harm.

    parent                               child (`python -m rayqc.images.guarded`)
    limits, then images one by one  -->  decodes each
                                    <--  what the image is, or why it cannot be decoded

No answer, or none in time: the image is tried once more by a new child, and then it is `poison`.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any, BinaryIO, cast

from rayqc.errors import StoppedError
from rayqc.images.decode import ImageError, Limits, Wrong
from rayqc.images.facts import ImageFacts, facts_of

POISON = "poison"
"""Reason of an image that takes down or hangs whatever decodes it."""
SECONDS_AN_IMAGE = 60.0
SECONDS_TO_START = 300.0
TRIES = 2
LENGTH = struct.Struct(">Q")


class _Child:
    """One child process; started when it is first asked for, and anew after it has died."""

    def __init__(self, limits: Limits, seconds: float) -> None:
        self._limits, self._seconds = limits, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._hangs = self._closed = False

    def look(self, data: bytes) -> ImageFacts | Wrong:
        """What the child says of an image, or how it ended.

        Raises:
            StoppedError: no child can be started, so that no image is to blame.
        """
        how = ""
        for _ in range(0 if self._closed else TRIES):
            process = self._process or self._start()
            answer = self._ask(process, data)
            if answer is not None:
                return answer
            how = self._end()
        return POISON, f"takes its decoder down: {how}"

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rayqc.images.guarded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        with suppress(BrokenPipeError):
            _send(cast("BinaryIO", self._process.stdin), pickle.dumps(self._limits))
        if self._hear(self._process, SECONDS_TO_START) is None:
            raise StoppedError(f"a process that decodes images could not start: {self._end()}")
        return self._process

    def _ask(self, process: subprocess.Popen[bytes], data: bytes) -> ImageFacts | Wrong | None:
        """The answer; None where there is none."""
        try:
            _send(cast("BinaryIO", process.stdin), data)
        except BrokenPipeError:
            return None
        frame = self._hear(process, self._seconds)
        if frame is None:
            return None
        answer: dict[str, Any] | Wrong = pickle.loads(frame)
        return ImageFacts(**answer) if isinstance(answer, dict) else answer

    def _hear(self, process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """What the child says next; None where it has ended or says nothing in time."""
        stdout = cast("BinaryIO", process.stdout)
        self._hangs = not select.select([stdout], [], [], seconds)[0]
        return None if self._hangs else _receive(stdout)

    def _end(self) -> str:
        """End the child and say how it ended."""
        process = cast("subprocess.Popen[bytes]", self._process)
        self._process = None
        if self._hangs:
            process.kill()
        code = process.wait()
        with suppress(BrokenPipeError):
            cast("BinaryIO", process.stdin).close()
        cast("BinaryIO", process.stdout).close()
        if self._hangs:
            return f"no end after {self._seconds:.0f} s"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def close(self) -> None:
        """End the child, and start no other."""
        self._closed = True
        if self._process is not None:
            self._hangs = True
            self._end()


class GuardedDecoder:
    """Looks at many images at once, each in one of several child processes."""

    def __init__(self, limits: Limits, children: int, seconds: float) -> None:
        self._threads = ThreadPoolExecutor(children)
        self._idle: SimpleQueue[_Child] = SimpleQueue()
        self._children = [_Child(limits, seconds) for _ in range(children)]
        for child in self._children:
            self._idle.put(child)

    def look(self, images: Sequence[bytes | None]) -> list[ImageFacts | Wrong]:
        """What each encoded image is, or reason and message where it cannot be decoded.

        Reasons are those of `decode`, and `poison`.
        """
        return list(self._threads.map(self._look, images))

    def _look(self, data: bytes | None) -> ImageFacts | Wrong:
        child = self._idle.get()
        try:
            return child.look(data or b"")
        finally:
            self._idle.put(child)

    def close(self) -> None:
        """End all children."""
        self._threads.shutdown(cancel_futures=True, wait=False)
        for child in self._children:
            child.close()


@contextmanager
def guarded_decoder(
    limits: Limits, children: int | None = None, seconds: float = SECONDS_AN_IMAGE
) -> Iterator[GuardedDecoder]:
    """A decoder whose children end with the context.

    Args:
        children: processes; None takes one for each CPU that this process may use.
        seconds: what takes longer hangs.
    """
    count = len(os.sched_getaffinity(0)) if children is None else children
    decoder = GuardedDecoder(limits, count, seconds)
    try:
        yield decoder
    finally:
        decoder.close()


def _send(file: BinaryIO, data: bytes) -> None:
    file.write(LENGTH.pack(len(data)))
    file.write(data)
    file.flush()


def _receive(file: BinaryIO) -> bytes | None:
    """A frame; None where the other side has ended."""
    header = file.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    data = file.read(length)
    return data if len(data) == length else None


def _answer(data: bytes, limits: Limits) -> dict[str, Any] | Wrong:
    try:
        return asdict(facts_of(data, limits))
    except ImageError as error:
        return error.reason, str(error)
    except Exception as error:  # of a mode, size or file that no decoder was made for
        return "decode_error", f"{type(error).__name__}: {error}"


def _child() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a native library prints must not stand among the answers
    limits: Any = pickle.loads(_receive(requests) or b"")  # from the parent's own hands
    _send(answers, b"")
    while (data := _receive(requests)) is not None:
        _send(answers, pickle.dumps(_answer(data, limits)))


if __name__ == "__main__":
    _child()
