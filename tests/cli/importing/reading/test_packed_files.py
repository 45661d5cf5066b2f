"""Files that are packed: read while they are unpacked, and what to do with those that can't be."""

import bz2
import errno
import gzip
import io
import itertools
import lzma
import os
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendx_async._cli.importing.reading.compression import unpacked
from sendx_async._cli.importing.reading.opening import Reading, Source
from sendx_async._core.errors import ConfigurationError
from sendx_async.testing import FakeSendX
from tests.cli.importing.conftest import Import
from tests.cli.processes import run_in_shell

from .conftest import Open, header_score

ROWS = b"email,first_name\na@b.co,Ann\nb@b.co,Bo\n"


def zipped(*files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return data.getvalue()


def zipped_alone(content: bytes) -> bytes:
    return zipped(("export.csv", content))


def xz(content: bytes) -> bytes:
    return lzma.compress(content, preset=0)


Pack = Callable[[bytes], bytes]
PACKED: list[tuple[str, Pack]] = [
    ("gzip", gzip.compress),
    ("bzip2", bz2.compress),
    ("xz", xz),
    ("zip", zipped_alone),
]


@pytest.mark.parametrize("name, pack", PACKED)
def test_what_is_packed_is_known_by_its_first_bytes(
    import_text: Import,
    fake_sendx: FakeSendX,
    open_text: Open,
    name: str,
    pack: Pack,
) -> None:
    assert import_text(pack(ROWS), name="contacts").counts == (2, 0)
    assert set(fake_sendx.contacts) == {"a@b.co", "b@b.co"}
    assert open_text(pack(ROWS)).compression == name


def test_the_sample(open_export: Open) -> None:
    found = open_export("contacts.csv.gz")
    assert (found.compression, len(found.records)) == ("gzip", 20)


def test_parts_that_were_packed_one_by_one_are_one_file(open_text: Open) -> None:
    parts = [ROWS[:20], ROWS[20:]]
    assert len(open_text(b"".join(map(gzip.compress, parts)) + b"\0" * 100).rows) == 2


def test_what_a_mac_adds_to_a_zip_is_passed_over(open_text: Open) -> None:
    data = zipped(
        ("__MACOSX/._export.csv", b"x"), ("folder/", b""), ("folder/.DS_Store", b"x"),
        ("folder/export.csv", ROWS),
    )  # fmt: skip
    assert len(open_text(data).rows) == 2


@pytest.mark.parametrize("name, pack", PACKED)
@pytest.mark.parametrize("rows", [15_000, 60_000])
def test_a_file_that_is_cut_off_loses_nothing_that_came_before(
    tmp_path: Path, name: str, pack: Pack, rows: int
) -> None:
    numbers = random.Random(0)
    lines = [f"a{n}@b.co,{numbers.getrandbits(400)}\n" for n in range(rows)]
    data = pack("".join(["email,x\n", *lines]).encode())
    path = tmp_path / "c.csv"
    if name == "zip":  # its directory stands at its end, so nothing of it can be read
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(ConfigurationError, match="the zip is cut off or damaged: get it anew"):
            Source(str(path), Reading(header_score=header_score))
        return
    path.write_bytes(data[: len(data) * 9 // 10])
    read: list[str] = []
    with Source(str(path), Reading(header_score=header_score)) as source:
        assert not source.first_records().are_all
        with pytest.raises(ConfigurationError, match=f"cut off: its {name} data end too early"):
            read.extend(record.text for record in source)
    assert read == lines[: len(read)]
    assert len(read) > rows * 0.4  # bzip2 packs 900 kB at once


def test_rows_of_a_file_that_is_cut_off_are_sent(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    numbers = random.Random(0)
    lines = [f"a{n}@b.co,{numbers.random()}\n" for n in range(200)]
    data = gzip.compress("".join(["email,company\n", *lines]).encode())
    done = import_text(data[: len(data) * 3 // 4])
    assert "the file is cut off" in done.said.err
    delivered = len(fake_sendx.contacts)
    assert delivered > 50
    again = import_text(data, "--resume")
    assert again.counts == (200, 0)
    assert len([request for request in fake_sendx.requests if request.json]) < 20


@pytest.mark.parametrize("name, pack", PACKED[:3])
def test_a_damaged_file(open_text: Open, name: str, pack: Pack) -> None:
    numbers = random.Random(0)
    data = bytearray(
        pack(b"email,x\n" + b"".join(b"a@b.co,%d\n" % numbers.getrandbits(99) for _ in range(9)))
    )
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    with pytest.raises(ConfigurationError, match=f"damaged: its {name} data can't be unpacked"):
        open_text(bytes(data))


def test_a_zip_whose_file_is_damaged(open_text: Open) -> None:
    data = zipped(("c.csv", ROWS), compression=zipfile.ZIP_STORED)
    with pytest.raises(ConfigurationError, match="damaged: its zip data can't be unpacked"):
        open_text(data.replace(b"Ann", b"Eve"))
    with pytest.raises(ConfigurationError, match="the zip is cut off or damaged"):
        open_text(
            data.replace(b"PK\x03\x04", b"PK\x03\x04"[:3] + b"\x04", 1).replace(
                b"c.csv", b"d.csv", 1
            )
        )


def encrypted(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def packed_strangely(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[8] = changed[data.index(b"PK\x01\x02") + 10] = 97
    return bytes(changed)


@pytest.mark.parametrize(
    "data, says",
    [
        (zipped(), "the zip has no file inside"),
        (
            zipped(*((f"{n}.csv", ROWS) for n in range(7))),
            r"the zip has 7 files inside \(0.csv, 1.csv, 2.csv, 3.csv, 4.csv and 2 more\): unpack",
        ),
        (zipped(("a", ROWS), ("b", ROWS)), r"has 2 files inside \(a, b\): unpack it, and import"),
        (encrypted(zipped_alone(ROWS)), "the zip is encrypted: unpack it with its password"),
        (packed_strangely(zipped_alone(ROWS)), "packed in a way that can't be read here"),
        (zipped(("xl/workbook.bin", b"")), r"a binary workbook \(.xlsb\): open it in a spreadsh"),
        (zipped(("word/document.xml", b"")), "a document"),
        (zipped(("content.xml", b"")), r"an OpenDocument file \(.ods\)"),
        (gzip.compress(gzip.compress(ROWS)), "packed twice, or a packed workbook: unpack it"),
        (gzip.compress(b"x" * 257 + b"ustar"), r"an archive \(tar\): unpack it, and import the"),
    ],
    ids=itertools.count(),
)
def test_archives_that_can_not_be_imported(open_text: Open, data: bytes, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        open_text(data)


def test_how_far_it_was_read_is_told_in_packed_bytes(tmp_path: Path) -> None:
    numbers = random.Random(0)
    text = "email,x\n" + "".join(f"a@b.co,{numbers.random()}\n" for _ in range(400_000))
    path = tmp_path / "c.csv.gz"
    path.write_bytes(gzip.compress(text.encode(), 1))
    with Source(str(path), Reading(header_score=header_score)) as source:
        assert source.size == path.stat().st_size
        positions = [source.position for _ in source]
    assert positions == sorted(positions)
    assert len(set(positions)) > 10
    assert positions[-1] == source.size


def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    path = tmp_path / "c.csv.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"email\n")
        for _ in range(50):
            file.write((b" " * 9_999 + b"\n") * 100)
    tracemalloc.start()
    try:
        with Source(str(path), Reading(header_score=header_score)) as source:
            assert list(source) == []
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name, pack", [(None, bytes), *PACKED[:3]])
def test_of_a_pipe_the_look_takes_what_has_arrived(
    tmp_path: Path, name: str | None, pack: Pack
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    looked = threading.Event()
    text = b"email,Note\na@b.co,x\n" + b'b@b.co,"has\ntwo lines"\nc@b.co,"y\n'
    parts = [b"\n", text, b'z"\nd@b.co,z\n']

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            if name is None:
                pipe.write(parts[0])
                pipe.write(parts[1])
            else:
                pipe.write(pack(b"".join(parts[:2])))
            assert looked.wait(30)
            pipe.write(pack(parts[2]))

    writer = threading.Thread(target=write)
    writer.start()
    with Source(str(path), Reading(header_score=header_score)) as source:
        first = source.first_records()
        assert [record.values[0] for record in first.records] == ["a@b.co", "b@b.co"]
        assert not first.are_all
        assert (source.size, source.position, source.compression) == (None, 0, name)
        looked.set()
        rows = [list(record.values) for record in source]
    writer.join()
    assert rows == [
        ["a@b.co", "x"],
        ["b@b.co", "has\ntwo lines"],
        ["c@b.co", "y\nz"],
        ["d@b.co", "z"],
    ]


@pytest.mark.slow
def test_a_zip_needs_a_file(settings: None, fake_sendx: FakeSendX) -> None:
    Path("c.zip").write_bytes(zipped_alone(ROWS))
    said = run_in_shell("cat c.zip | sendx import -")
    assert said.status == 2
    assert "can't be read from a pipe: save it as a file, and give its name" in said.err
    said = run_in_shell("sendx import - < c.zip")
    assert "2 rows delivered" in said.out


class BrokenDisk(io.RawIOBase):
    """A file that can't be read behind its beginning."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self.data:
            raise OSError(errno.EIO, "Input/output error")
        data, self.data = self.data[: len(buffer)], self.data[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def test_an_error_of_the_disk_is_none_of_the_file() -> None:
    data = gzip.compress(ROWS)
    opened = unpacked(io.BufferedReader(BrokenDisk(data[:-9])), "gzip")
    with pytest.raises(OSError, match="Input/output error"):
        opened.read()
