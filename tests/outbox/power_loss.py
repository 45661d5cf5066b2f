"""A drainer whose disk forgets, when the power fails, what SQLite hasn't told it to keep.

Run as a program it drains an outbox for as long as it lives. Beside it another directory holds
SQLite's files as the disk is sure to hold them: each as it was when it was last synchronized.
"""

import _sqlite3
import ctypes
import sys
import threading
from pathlib import Path
from typing import Any, Literal, cast

import anyio

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

_MAIN_OR_LOG = 0x100 | 0x80000  # SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_WAL: what an open is about


class _Vfs(ctypes.Structure):
    """SQLite's `sqlite3_vfs`: how it opens files."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 15),
    )


class _Methods(ctypes.Structure):
    """SQLite's `sqlite3_io_methods`: what it does with an open file, whose first word it is."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("write", ctypes.c_void_p),
        ("truncate", ctypes.c_void_p),
        ("sync", ctypes.c_void_p),
        ("size", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 12),
    )


_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_READ = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_SIZE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64))


def sqlite_library() -> ctypes.CDLL | None:
    """Return the library that Python's sqlite3 uses; None if its functions can't be reached."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    return library if hasattr(library, "sqlite3_vfs_find") else None


class Disk:
    """Keeps each file of SQLite as it was when it was last synchronized.

    Args:
        library: SQLite.
        directory: Where; what is in it before counts as synchronized.
    """

    def __init__(self, library: ctypes.CDLL, directory: Path) -> None:
        self._directory = directory
        self._names: dict[int, str] = {}  # by the address of an open file
        self._one_by_one = threading.Lock()
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self._usual: Any = library.sqlite3_vfs_find(None)
        self._usual_open: Any = _OPEN(self._usual.contents.open)
        self._usual_methods = _Methods()
        self._open = _OPEN(self._open_file)
        self._sync = _SYNC(self._sync_file)
        # SQLite keeps the addresses of both, so they have to live as long as this.
        self._vfs = _Vfs.from_buffer_copy(self._usual.contents)
        self._vfs.name = b"power loss"
        self._vfs.open = ctypes.cast(self._open, ctypes.c_void_p)
        self._methods = _Methods()
        library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)

    def _open_file(
        self, _: int, path: int | None, file: int, flags: int, out_flags: int | None
    ) -> int:
        # The path stays an address: SQLite keeps it, and what stands behind it.
        result: int = self._usual_open(self._usual, path, file, flags, out_flags)
        if result == 0 and path is not None and flags & _MAIN_OR_LOG:
            word = ctypes.c_void_p.from_address(file)
            if not self._names:  # all files on disks have the same ones
                self._usual_methods = _Methods.from_address(word.value or 0)
                self._methods = _Methods.from_buffer_copy(self._usual_methods)
                self._methods.sync = ctypes.cast(self._sync, ctypes.c_void_p)
            self._names[file] = Path(ctypes.string_at(path).decode()).name
            word.value = ctypes.addressof(self._methods)
        return result

    def _sync_file(self, file: int, flags: int) -> int:
        with self._one_by_one:
            # Read before: what others write meanwhile need not be on the disk.
            content = self._content(file)
            result: int = _SYNC(self._usual_methods.sync)(file, flags)
            if result == 0:
                # All of it or nothing, though this process is killed meanwhile.
                being_written = self._directory / "being written"
                being_written.write_bytes(content)
                being_written.replace(self._directory / self._names[file])
        return result

    def _content(self, file: int) -> bytes:
        # By SQLite's own means: to close a file that was opened anew would end all locks on it.
        size = ctypes.c_int64()
        assert _SIZE(self._usual_methods.size)(file, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert _READ(self._usual_methods.read)(file, buffer, size.value, 0) == 0
        return buffer.raw


async def drain(path: str, synchronous: str, key: str, url: str) -> None:
    """Drain an outbox until this process is killed."""
    async with (
        AsyncTrackingClient(key, base_url=url, timeout=120.0) as client,
        Outbox(path, synchronous=cast("Literal['FULL', 'NORMAL']", synchronous)) as outbox,
        outbox.draining(client),
    ):
        await anyio.sleep_forever()


if __name__ == "__main__":
    library = sqlite_library()
    assert library is not None
    disk = Disk(library, Path(sys.argv[1]))
    anyio.run(drain, sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5])
