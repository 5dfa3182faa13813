"""Object stores: opening one, repeating requests that fail, and errors without secrets.

Endpoints and credentials come from the environment, as for the store's own tools.
"""

from __future__ import annotations

import errno
import importlib.util
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

S3_SCHEMES = ("s3://", "s3a://")

RETRY_SECONDS = 120.0
"""After this time a failed request is not repeated; one that has begun may take as long as `LIMITS`
lets it."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds between attempts: random, up to a bound that doubles with each attempt."""

LIMITS = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "10m"}
"""Time limits of one request: to connect; to wait for a byte of the answer, which includes sending
all of a PUT; and in total."""
ASKED_FOR = (*LIMITS, "allow_http", "allow_invalid_certificates", "root_certificate", "proxy_url")
"""Connection settings that the environment may hold, such as AWS_ALLOW_HTTP. obstore does not read
them from there when it is given any settings."""

PASSES = re.compile(r"HTTP error: (?!builder)|status code: (408|429|5)|code: (Internal|SlowDown)")
"""Texts of obstore's errors that another attempt may cure; a "builder" error is one of settings."""

PLAIN_URL = re.compile(
    r"(https?://(\[[0-9a-f:.]+\]|[^@:/]+)(:\d+)?|abfss?://([^@:/]+@)?[^@:/]+|[a-z0-9]+://[^@:/]*)"
    r"(/.*)?",
    re.IGNORECASE | re.DOTALL,
)
"""A URL without user name and password; on Azure the name before the @ is the container."""
QUERY = re.compile(r"\?[^/]*=")
"""A URL's query; the question mark of a file pattern does not match."""

FULL = "make room and run again; what is committed stays"
ADVICE = {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: "expected a place to write to"}
"""What the user can do about errors of a disk, by error number."""
CAUSES = {
    "dns error": "the host is not known",
    "ConnectionRefused": "connection refused",
    "TimedOut": "no answer in time",
    "builder error": "as of plain http without AWS_ALLOW_HTTP=true",
}
"""Signs in obstore's details of an HTTP error, and what they mean."""


def refuse_credentials(url: str) -> None:
    """Refuse a URL that holds credentials.

    Raises:
        InputError: the URL has a user name, a password or a query; the error leaves them out.
    """
    if PLAIN_URL.fullmatch(url) and not QUERY.search(url):
        return
    raise InputError(
        f"a {url.partition('://')[0]}:// URL has a user name, a password or a query in it (not "
        "repeated here); credentials belong in the environment, as AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY. Give the URL without them"
    )


def open_store(url: str) -> ObjectStore:
    """The store at a URL, with limits and retries; makes no request yet."""
    if url.startswith("file://"):
        return from_url(url, mkdir=True)
    return from_url(
        url,
        client_options=_connection(),
        **_profile(url),
        retry_config={
            "max_retries": 1000,  # retry_timeout is the limit
            "retry_timeout": timedelta(seconds=RETRY_SECONDS),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE),
                "base": 2,
            },
        },
    )


def _profile(url: str) -> dict[str, Any]:
    """Credentials and region of the profile that AWS_PROFILE names, renewed in time.

    obstore itself knows the environment's keys and the roles of instances and pods, but no profile.

    Raises:
        InputError: boto3 is not installed, or the profile is not there or holds no credentials.
    """
    name = os.environ.get("AWS_PROFILE")
    if not name or not url.startswith(S3_SCHEMES) or "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    if importlib.util.find_spec("boto3") is None:
        raise InputError("AWS_PROFILE is set, and reading it needs boto3: pip install 'rayqc[aws]'")
    import boto3  # noqa: PLC0415  (an extra, and slow)
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (comes with boto3)
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415  (imports boto3)

    try:
        return {"credential_provider": Boto3CredentialProvider(boto3.Session(profile_name=name))}
    except (BotoCoreError, ValueError) as error:
        raise InputError(f"AWS_PROFILE={name} gives no credentials: {error}") from error


def _connection() -> Any:
    options: dict[str, str] = dict(LIMITS)
    for provider, name in itertools.product(("AWS", "GOOGLE", "AZURE"), ASKED_FOR):
        if value := os.environ.get(f"{provider}_{name.upper()}"):
            options[name] = value
    return options


def interruptibly(work: Callable[[], T]) -> T:
    """What `work` returns or raises; the main thread runs it in another thread.

    obstore waits in native code, where Ctrl-C would not reach the main thread. After Ctrl-C the
    other thread runs on alone.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    return begin(work).result()


def patiently(action: Callable[[Any], T], store: ObjectStore) -> T:
    """Run `action` until it succeeds or another attempt is of no use; it may run more than once.

    obstore itself repeats most requests. It does not repeat a conditional PUT or a deletion that
    timed out, which the store may have done; a listing or deletion whose answer broke off; or 429.
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
    """Is this a failure that another attempt may cure?"""
    if isinstance(error, AlreadyExistsError):
        return True
    return isinstance(error, GenericError) and PASSES.search(str(error)) is not None


def reason(error: Exception) -> str:
    """What failed, in one line without the answer's body, queries or user names in URLs."""
    text, _, details = (str(error).strip() or type(error).__name__).partition("\n\nDebug source")
    code = re.search(r"<Code>(\w+)</Code>", text)
    line = re.sub(r"(status code: \d+[ \w]*).*", r"\1", text, flags=re.DOTALL).splitlines()[0]
    line = re.sub(r"(https?://)(?:[^/\s@]*@)?([^\s?]*)(?:\?\S*)?", r"\1\2", line)
    line = re.sub(r"Error performing (\S+ \S+) in .*? - ", r"\1: ", line)
    line = re.sub(r"^Generic \w+ error: ", "", line)
    if "HTTP error" in line:
        line += "".join(
            f", {meaning}" for sign, meaning in CAUSES.items() if sign in line + details
        )
    number = re.search(r"\(os error (\d+)\)", line)
    advice = ADVICE.get(int(number[1])) if number else None
    return line + (f" ({code[1]})" if code else "") + (f"; {advice}" if advice else "")
