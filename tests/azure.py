"""Azure's blob store for tests: Microsoft's emulator Azurite, a program that comes from npm.

`npm install --prefix DIR azurite`, then run the tests with DIR/node_modules/.bin in PATH; tests
that need it are skipped where it is absent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

import pytest

PROGRAM = "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of every Azurite, as its manual says; no secret."""
VERSION = "2021-08-06"


@dataclass(frozen=True)
class Azure:
    """A running emulator."""

    port: int

    def environment(self) -> dict[str, str]:
        """Variables by which clients find it."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURE_ALLOW_HTTP": "true",
            "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{self.port}",
        }

    def new_container(self) -> str:
        """URL of an empty container."""
        name = f"container-{uuid.uuid4().hex[:8]}"
        date = formatdate(usegmt=True)
        signed = (
            "PUT" + 12 * "\n" + f"x-ms-date:{date}\nx-ms-version:{VERSION}\n"
            f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        )
        signature = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        headers = {
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}",
            "x-ms-date": date,
            "x-ms-version": VERSION,
        }
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as client:
            client.request("PUT", f"/{ACCOUNT}/{name}?restype=container", b"", headers)
            answer = client.getresponse()
            assert answer.status == 201, answer.read()
        return f"az://{name}"


@contextlib.contextmanager
def azurite() -> Iterator[Azure]:
    """The emulator on a free port, for the length of a block."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip(f"no {PROGRAM} here; see tests/azure.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [program, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
    with subprocess.Popen(
        [*words, "--silent", "--blobPort", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as server:
        try:
            limit = time.monotonic() + 60
            while not _answers(port):
                assert time.monotonic() < limit and server.poll() is None, "Azurite did not start"
                time.sleep(0.2)
            yield Azure(port)
        finally:
            server.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
