"""A local Ray that nobody else reaches, and what the doctor says of one that others do."""

from __future__ import annotations

import contextlib
import copy
import stat
from pathlib import Path

import ray
from ray._raylet import AuthenticationMode, get_authentication_mode

import rayqc
from rayqc.distributed import doctor

LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")


def listening() -> dict[str, str]:
    """Inodes of sockets that listen, and the address they listen on, as the kernel writes it."""
    found = {}
    for name in ("tcp", "tcp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                found[words[9]] = words[1].partition(":")[0]
    return found


def sockets_of(session: str) -> dict[str, set[str]]:
    """Inodes of sockets that Ray's processes of a session hold, and who they are."""
    found: dict[str, set[str]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = place.joinpath("cmdline").read_bytes()
            files = list(place.joinpath("fd").iterdir())
        except OSError:
            continue  # it has ended
        if session.encode() in command or command.startswith(b"ray::"):
            name = command.split(b"\0")[0].decode().rpartition("/")[2]
            for file in files:
                with contextlib.suppress(OSError):  # closed since
                    link = str(file.readlink())
                    if link.startswith("socket:"):
                        found.setdefault(link[8:-1], set()).add(name)
    return found


def test_a_local_ray_listens_to_this_machine_only_and_asks_for_a_token(ray_session):
    assert get_authentication_mode() == AuthenticationMode.TOKEN
    assert stat.S_IMODE(Path("~/.ray/auth_token").expanduser().stat().st_mode) == 0o600
    session = Path(ray._private.worker._global_node.get_session_dir_path()).name
    held = sockets_of(session)
    heard = [(name, place) for inode, place in listening().items() for name in held.get(inode, ())]
    assert any("gcs_server" in name for name, _ in heard), heard
    assert any("raylet" in name for name, _ in heard), heard
    assert {place for _, place in heard} <= set(LOOPBACK), heard


def test_the_doctor_finds_nothing_wrong_here(ray_session):
    found = rayqc.doctor()
    assert [node["cpus"] for node in found["nodes"]] == [2]
    assert found["nodes"][0]["versions"] == found["versions"]
    assert not [line for line in found["warnings"] if "token" in line or "clock" in line]


def test_the_doctor_warns_of():
    here = {**doctor.node_facts(), "host": "a", "gpus": 0, "object_store_bytes": 1e9}
    sound = {**here, "shm_bytes": 10**9, "temporary_bytes_free": 10**12, "gpu_names": []}
    assert doctor._warnings_of_node(sound, here) == []
    other = copy.deepcopy(sound)
    other["versions"]["torch"] = "1.0"
    other |= {"clock": here["clock"] - 500, "temporary_bytes_free": 10**9}
    other |= {"shm_bytes": 64 * 10**6, "gpus": 1}
    said = "\n".join(doctor._warnings_of_node(other, here))
    for text in ("a: torch is 1.0 there", "500 s off", "only 1.0 GB free", "64 MB", "1 GPUs"):
        assert text in said
