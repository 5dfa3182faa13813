"""Hostile, damaged and compressed tars are refused whole, and none hangs."""

import io
import struct
import tarfile

import numpy as np
import pytest

from rayqc.config import Data
from rayqc.errors import InputError
from rayqc.sources import open_source
from rayqc.sources.tar import open_tar
from tests.sources.test_tar import class_tar, member, png, whole, write_tar

ODD = {
    "absolute": (
        member("/etc/x.png", png(0)),
        "member '/etc/x.png' has an absolute path; make the tar anew with relative names",
    ),
    "dots": (
        member("cat/../../x.png", png(0)),
        "member 'cat/../../x.png' leads out by '..'; make the tar anew without",
    ),
    "dots of a folder": (
        member("..", kind=tarfile.DIRTYPE),
        "member '..' leads out by '..'; make the tar anew without",
    ),
    "symbolic link": (
        member("cat/x.png", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        "member 'cat/x.png' is a symbolic link; make the tar anew with tar --dereference "
        "--hard-dereference",
    ),
    "hard link": (
        member("cat/x.png", kind=tarfile.LNKTYPE, link="cat/1.png"),
        "member 'cat/x.png' is a hard link; make the tar anew with tar --dereference "
        "--hard-dereference",
    ),
    "character device": (
        member("cat/x.png", kind=tarfile.CHRTYPE),
        "member 'cat/x.png' is a character device; make the tar anew with plain files only",
    ),
    "block device": (
        member("cat/x.png", kind=tarfile.BLKTYPE),
        "member 'cat/x.png' is a block device; make the tar anew with plain files only",
    ),
    "pipe": (
        member("cat/x.png", kind=tarfile.FIFOTYPE),
        "member 'cat/x.png' is a pipe (FIFO); make the tar anew with plain files only",
    ),
    "unknown": (
        member("cat/x.png", kind=b"Z"),
        "member 'cat/x.png' is of type b'Z'; make the tar anew with plain files only",
    ),
    "twice": (
        member("cat/1.png", png(0)),
        "member 'cat/1.png' is there twice; make the tar anew with one of them",
    ),
    "twice in other words": (
        member("./cat//1.png", png(0)),
        "member './cat//1.png' is there twice; make the tar anew with one of them",
    ),
    "bytes": (
        member("cat/\udcff.png", png(0)),
        r"member 'cat/\udcff.png' has a name that is not UTF-8; make the tar anew in UTF-8",
    ),
    "empty label": (
        member("cat/1.cls", b" \n"),
        r"member 'cat/1.cls' holds b' \n'; expected a number or a name",
    ),
    "bad label": (
        member("cat/1.cls", b"\xff\xfe"),
        r"member 'cat/1.cls' holds b'\xff\xfe'; expected a number or a name",
    ),
    "long label": (
        member("cat/1.cls", b"x" * 2000),
        "member 'cat/1.cls' has 2,000 bytes; expected a number or a name",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_hostile_members_are_refused_with_the_whole_tar(tmp_path, name):
    bad, message = ODD[name]
    members = [member("cat/1.png", png(1)), bad, member("cat/2.png", png(2))]
    path = write_tar(tmp_path / "bad.tar", members, tarfile.GNU_FORMAT)
    with pytest.raises(InputError) as caught:
        open_tar(str(path))
    assert str(caught.value) == f"{path}: {message}"


def test_a_sparse_member_is_refused(tmp_path):
    info, data = member("cat/x.png", bytes(512))
    info.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": str(10**15)}
    path = write_tar(tmp_path / "s.tar", [(info, data)])
    with pytest.raises(InputError, match=r"s\.tar: member '.*' is a sparse file"):
        open_tar(str(path))


def test_a_tar_cut_off_anywhere_is_refused(tmp_path):
    path, _ = class_tar(tmp_path / "t.tar", 4)
    data = path.read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512)
    cut = tmp_path / "cut.tar"
    for length in [1, 100, 511, 512, 513, 600, 1024, 1500, 2048, len(data) - 100, len(data)]:
        cut.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.tar is (cut off|not a readable tar: )"):
            open_tar(str(cut))
    cut.write_bytes(data + bytes(512))
    assert len(whole(open_tar(str(cut)))) == 4
    cut.write_bytes(b"")
    with pytest.raises(InputError, match=r"not a readable tar: empty file; make the tar anew"):
        open_tar(str(cut))
    cut.write_bytes(data[:700])
    with pytest.raises(InputError, match=r"readable tar: it is cut off in member 'dog/0\.png'"):
        open_tar(str(cut))


def test_a_damaged_header_does_not_end_the_tar_early(tmp_path):
    path, _ = class_tar(tmp_path / "t.tar", 4)
    data = bytearray(path.read_bytes())
    data[2048 + 100] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"t\.tar is damaged: found no header at byte 2,048"):
        open_tar(str(path))


def test_joined_tars_are_refused(tmp_path):
    path, _ = class_tar(tmp_path / "t.tar", 4)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(InputError, match=r"t\.tar goes on behind its end at byte 4,096, as where"):
        open_tar(str(path))


def base256(number):
    return b"\xff" + (number % 2**88).to_bytes(11, "big")


def header(name, size, kind=b"0"):
    """A header of 512 bytes whose size may be anything."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    head = struct.pack(
        "100s8s8s8s12s12s8sc", name, b"644\0", b"0\0", b"0\0", field, b"0\0", b" " * 8, kind
    )
    head = head.ljust(512, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


HANGS = {
    "negative size": (
        header(b"c/1.png", base256(-512)),
        "(member 'c/1.png' leads back|invalid offset)",
    ),
    "negative pax size": (
        header(b"x", 16, b"x") + b"16 size=-512\n\n\n\n".ljust(512, b"\0") + header(b"c/1.png", 0),
        "(member 'c/1.png' leads back|invalid offset)",
    ),
    "header of gigabytes": (
        header(b"x", 8**11 - 1, b"x"),
        "a header of 8,589,934,592 bytes, limit",
    ),
    "negative header": (
        header(b"x", base256(-512), b"x"),
        "(a header of -512 bytes|invalid offset)",
    ),
    "size beyond the file": (header(b"c/1.png", 8**11 - 1), "cut off in member 'c/1.png'"),
    "headers without end": (
        (header(b"x", 0, b"x") * 5000) + header(b"c/1.png", 0),
        "maximum recursion depth exceeded",
    ),
    "digits for a slow pattern": (
        header(b"x", 1 << 20, b"x") + b"1" * (1 << 20),
        "a header of 1,048,576 bytes, limit 16,384",
    ),
}


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("name", HANGS)
def test_headers_made_to_hang_or_to_fill_the_memory(tmp_path, name):
    data, message = HANGS[name]
    (tmp_path / "h.tar").write_bytes(data + bytes(10240))
    with pytest.raises(InputError, match=rf"h\.tar is not a readable tar: .*{message}"):
        open_tar(str(tmp_path / "h.tar"))


@pytest.mark.usefixtures("patience")
def test_damage_of_every_kind_is_an_input_error(tmp_path, rng):
    sound, _ = class_tar(tmp_path / "t.tar", 4)
    whole_bytes = np.frombuffer(sound.read_bytes(), np.uint8)
    path = tmp_path / "f.tar"
    refused = 0
    for _ in range(300):
        data = whole_bytes.copy()
        at = rng.integers(0, 4096, rng.integers(1, 6)) // 1024 * 1024 + rng.integers(0, 512)
        data[at] = rng.choice([0, 0x80, 0xFF, 0x37], at.size)
        path.write_bytes(data[: rng.integers(1, data.size)] if rng.random() < 0.2 else data)
        try:
            whole(open_tar(str(path)))
        except InputError as error:
            assert "f.tar" in str(error)
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "name", ["t.tar.gz", "t.tgz", "t.tar.bz2", "t.tar.xz", "t.tar.zst", "t*.tar.gz"]
)
def test_compressed_tars_are_refused(tmp_path, name):
    path = tmp_path / name.replace("*", "")
    path.write_bytes(b"\x1f\x8b")
    for kind in ("files", "tar"):
        with pytest.raises(InputError, match="is compressed, and so cannot be read at random; dec"):
            open_source(Data(kind=kind, path=str(tmp_path / name)))
    if "*" not in name:
        with pytest.raises(InputError, match=rf"{name} is compressed"):
            open_source(Data(path=str(tmp_path)))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar_by_another_name_is_refused(tmp_path, mode):
    with tarfile.open(tmp_path / "t.tar", mode) as tar:
        info, data = member("c/1.png", png(0))
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(InputError, match=r"t\.tar is compressed; decompress it to a plain \.tar"):
        open_tar(str(tmp_path / "t.tar"))
