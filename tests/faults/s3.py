"""An S3 server (moto's), and a proxy before it that misbehaves as planned.

moto 5.2.5 knows `If-None-Match: *`, but looks and stores in two steps. The proxy lets one
conditional PUT through at a time, so that it is one step, as on S3.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

FAULTS = ("500", "503", "cut upload", "cut before", "lost answer", "cut answer", "slow")
"""An error in place of the work; a connection cut half way through the request, before the work,
after it, or half way through the answer; a pause."""

SECRET = "wJalrXUtnFEMI"
ERROR = (
    b'<?xml version="1.0"?><Error><Code>%s</Code><AWSAccessKeyId>AKIAIOSFODNN7</AWSAccessKeyId>'
    b"<SignatureProvided>" + SECRET.encode() + b"</SignatureProvided></Error>"
)
"""What stores answer: some repeat keys and signatures."""

Plan = Callable[[str, str], str | None]
"""Method and path of a request to the fault it meets: one of `FAULTS`, or a status."""


def never(method: str, path: str) -> str | None:
    """No faults."""
    return None


def always(fault: str) -> Plan:
    """Every request meets this fault."""
    return lambda method, path: fault


def first(fault: str, times: int = 1) -> Plan:
    """The first so many requests meet this fault."""
    left = [fault] * times
    return lambda method, path: left.pop() if left else None


def seeded(seed: int, share: float) -> Plan:
    """A share of all requests meets some fault."""
    draw = random.Random(seed)
    return lambda method, path: draw.choice(FAULTS) if draw.random() < share else None


class Proxy(ThreadingHTTPServer):
    """Forwards to a port of this machine; notes what it was asked and the faults it made."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behind = behind
        self.plan: Plan = never
        self.pause = 0.02  # seconds of a slow answer
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.keys_seen: set[str] = set()  # names of the keys that requests were signed with
        self.planning = threading.Lock()
        self.conditional = threading.Lock()

    def environment(self) -> dict[str, str]:
        """Variables by which clients find this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_bucket(self) -> str:
        """URL of an empty bucket, made behind the proxy."""
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        behind = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.behind}",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        behind.create_bucket(Bucket=name)
        behind.close()
        return f"s3://{name}"


@contextlib.contextmanager
def faulty_s3() -> Iterator[Proxy]:
    """The server and its proxy, on free ports, for the length of a block."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    with Proxy(server.get_host_and_port()[1]) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
    server.stop()


class _Connection(BaseHTTPRequestHandler):
    """A client's connection; it may carry several requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def serve(self) -> None:
        """Answer one request, or do what is planned instead."""
        with self.server.planning:
            fault = self.server.plan(self.command, self.path) or ""
            self.server.asked.append(f"{self.command} {self.path}")
            signed = self.headers.get("Authorization") or ""
            self.server.keys_seen.add(signed.partition("Credential=")[2].partition("/")[0])
            self.server.faults += [fault] if fault else []
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length // 2 if fault == "cut upload" else length)
        if fault in ("cut upload", "cut before"):
            self.close_connection = True
        elif fault.isdecimal():
            code = b"SlowDown" if fault == "503" else b"SomeError"
            self._answer(int(fault), {}, ERROR % code)
        else:
            status, headers, found = self._forward(body)
            time.sleep(self.server.pause if fault == "slow" else 0)
            self._answer(status, headers, found, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        one = "If-None-Match" in self.headers and self.command == "PUT"
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        with (
            contextlib.closing(behind),
            self.server.conditional if one else contextlib.nullcontext(),
        ):
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            return answer.status, dict(answer.headers), answer.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fault: str = "") -> None:
        self.close_connection = self.close_connection or fault in ("lost answer", "cut answer")
        if fault == "lost answer":
            return
        headers = {name.lower(): value for name, value in headers.items()}
        headers.setdefault("content-length", str(len(body)))
        shown = b"" if self.command == "HEAD" else body
        with contextlib.suppress(ConnectionError):  # the client has given up
            self.send_response_only(status)
            if fault == "cut answer" and not shown:
                self.flush_headers()
                return
            for name in headers.keys() - {"connection", "transfer-encoding"}:
                self.send_header(name, headers[name])
            self.end_headers()
            self.wfile.write(shown[: len(shown) // 2] if fault == "cut answer" else shown)
