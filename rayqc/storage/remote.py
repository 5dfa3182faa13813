"""Object stores: opened, asked again for a while when they fail, and quoted without secrets.

Where a store is and who asks it stands in the environment, as for the store's own tools.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import ObjectStore, from_url

from rayqc.background import begin
from rayqc.errors import InputError

T = TypeVar("T")

RETRY_SECONDS = 120.0
"""A request that failed is not begun again later than this; one under way may take its limit
more."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds between attempts, at random up to a bound that doubles from one attempt to the next."""

LIMITS = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "10m"}
"""Of one request: to connect; without a byte of the answer, all of a PUT included; altogether."""
ASKED_FOR = (*LIMITS, "allow_http", "allow_invalid_certificates", "root_certificate", "proxy_url")
"""Settings of the connection that the environment may hold, as AWS_ALLOW_HTTP. obstore does not
look there once it is given any."""

PASSES = re.compile(r"HTTP error: (?!builder)|status code: (408|429|5)|code: (Internal|SlowDown)")
"""What obstore says of failures that may be gone the next time; "builder" is one of settings."""

PLAIN_URL = re.compile(
    r"(https?://(\[[0-9a-f:.]+\]|[^@:/]+)(:\d+)?|abfss?://([^@:/]+@)?[^@:/]+|[a-z0-9]+://[^@:/]*)"
    r"(/.*)?",
    re.IGNORECASE | re.DOTALL,
)
"""A URL without user name and password; on Azure, the name before the @ is a container's."""
QUERY = re.compile(r"\?[^/]*=")
"""Not a pattern's question mark."""

FULL = "make room and run again; what is committed stays"
ADVICE = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: "expected a place to write to"}
"""What to do about errors of a disk."""
CAUSES = {
    "dns error": "the host is not known",
    "ConnectionRefused": "connection refused",
    "TimedOut": "no answer in time",
    "builder error": "as of plain http without AWS_ALLOW_HTTP=true",
}
"""Signs in obstore's details of an HTTP error, and what they mean."""


def refuse_credentials(url: str) -> None:
    """Let a URL pass that says where, not who.

    Raises:
        InputError: there is a user name, a password or a query in it; the error leaves them out.
    """
    if PLAIN_URL.fullmatch(url) and not QUERY.search(url):
        return
    raise InputError(
        f"a {url.partition('://')[0]}:// URL has a user name, a password or a query in it (not "
        "repeated here); credentials belong in the environment, as AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY. Give the URL without them"
    )


def open_store(url: str) -> ObjectStore:
    """The store at a URL, with limits and retries; nothing is asked of it yet."""
    if url.startswith("file://"):
        return from_url(url, mkdir=True)
    return from_url(
        url,
        client_options=_connection(),
        retry_config={
            "max_retries": 1000,  # time is the bound
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE),
                "base": 2,
            },
        },
    )


def _connection() -> Any:
    options: dict[str, str] = dict(LIMITS)
    for maker, name in itertools.product(("AWS", "GOOGLE", "AZURE"), ASKED_FOR):
        if value := os.environ.get(f"{maker}_{name.upper()}"):
            options[name] = value
    return options


def interruptibly(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a thread of its own: obstore waits in native code, where
    Ctrl-C would not reach the main thread. An interrupted thread is left to itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    return begin(work).result()


def patiently(action: Callable[[Any], T], store: ObjectStore) -> T:
    """Run `action`, which may be done twice, until it works or no other attempt is worth it.

    obstore by itself repeats most requests, but not a conditional PUT or a deletion that timed
    out, as the work may have been done; nor a listing or deletion whose answer broke off; nor 429.
    """
    begun = time.monotonic()
    for attempt in itertools.count():
        try:
            return action(store)
        except BaseError as error:
            pause = random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))
            if not may_pass(error) or time.monotonic() + pause - begun > RETRY_SECONDS:
                raise
            time.sleep(pause)
    raise AssertionError("not reached")


def may_pass(error: Exception) -> bool:
    """Is this a failure that may be gone the next time?"""
    if isinstance(error, AlreadyExistsError):
        return True
    return isinstance(error, GenericError) and PASSES.search(str(error)) is not None


def reason(error: Exception) -> str:
    """What failed, in one line: no body of an answer, no query, no user names in URLs."""
    text, _, details = (str(error).strip() or type(error).__name__).partition("\n\nDebug source")
    code = re.search(r"<Code>(\w+)</Code>", text)
    line = re.sub(r"(status code: \d+[ \w]*).*", r"\1", text, flags=re.DOTALL).splitlines()[0]
    line = re.sub(r"(https?://)(?:[^/\s@]*@)?([^\s?]*)(?:\?\S*)?", r"\1\2", line)
    line = re.sub(r"Error performing (\S+ \S+) in .*? - ", r"\1: ", line)
    line = re.sub(r"^Generic \w+ error: ", "", line)
    if "HTTP error" in line:
        line += "".join(f", {said}" for sign, said in CAUSES.items() if sign in line + details)
    number = re.search(r"\(os error (\d+)\)", line)
    advice = ADVICE.get(int(number[1])) if number else None
    return line + (f" ({code[1]})" if code else "") + (f"; {advice}" if advice else "")
