"""The outbox's file: its tables, how it is made and opened, and which places are refused."""

import contextlib
import os
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from sendx_async._core.errors import OutboxError
from sendx_async._runtime.real_time import monotonic
from sendx_async.outbox._contact_index import add_index

Synchronous = Literal["FULL", "NORMAL"]
ResultT = TypeVar("ResultT")

_APPLICATION = 0x53656E58  # marks the file as an outbox, for SQLite and for `file`
_SCHEMA_VERSION = 2
_MOUNTS = Path("/proc/self/mounts")
_PAGES_BEFORE_A_CHECKPOINT = 1000  # SQLite's own default
# Their locks or shared memory don't reach from one machine to another as SQLite needs them to.
_NETWORK = frozenset(
    {
        "9pnet", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs",
        "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
        "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
    }
)  # fmt: skip

# Of the form 1; the contact index makes it one of the form 2.
_SCHEMA = """
CREATE TABLE pending(
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they were put
    put_at REAL NOT NULL,
    payload TEXT NOT NULL,
    given_id TEXT,                         -- the caller's own delivery id
    digest BLOB,                           -- of the request that came with it
    is_under_way INTEGER                   -- 1 while it is sent, if it must not be sent twice
);
CREATE UNIQUE INDEX pending_given_id ON pending(given_id) WHERE given_id IS NOT NULL;
CREATE INDEX pending_under_way ON pending(is_under_way) WHERE is_under_way = 1;
CREATE TABLE failed(
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,                    -- dead, or uncertain
    put_at REAL NOT NULL,
    failed_at REAL NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    payload TEXT NOT NULL,
    given_id TEXT,
    digest BLOB
);
CREATE UNIQUE INDEX failed_given_id ON failed(given_id) WHERE given_id IS NOT NULL;
CREATE INDEX failed_kind ON failed(kind);
CREATE TABLE delivered(given_id TEXT PRIMARY KEY, digest BLOB, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX delivered_at ON delivered(at);
CREATE TABLE about(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""


def open_outbox(
    path: str, *, synchronous: Synchronous, timeout: float, checkpoints: bool
) -> sqlite3.Connection:
    """Open the file.

    Args:
        path: The file.
        synchronous: What a commit waits for.
        timeout: Seconds to wait for the locks of others.
        checkpoints: Whether a commit may take its time to move what is in the log into the file
            proper, when there is much of it.

    Raises:
        OutboxError: It is none of an outbox, or lies where it would not be safe.
        sqlite3.Error, OSError: It can't be opened.
    """
    _refuse_network(path)
    with contextlib.suppress(FileExistsError):
        make_private(path)
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        if _is_new(connection, path):
            _use_a_log(connection, path, timeout)
            in_transaction(connection, lambda: _create(connection, path))
        else:
            _use_a_log(connection, path, timeout)  # whatever somebody may have set
        connection.execute(f"PRAGMA synchronous={synchronous}")
        pages = _PAGES_BEFORE_A_CHECKPOINT if checkpoints else 0
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}")
        connection.execute("PRAGMA fullfsync=ON")  # without it macOS only asks the disk to hurry
        connection.execute("PRAGMA secure_delete=ON")  # what was delivered leaves nothing behind
        # One damaged byte makes a request unreadable, not the whole file: see what reads it.
        connection.text_factory = _text
        if _version(connection) < _SCHEMA_VERSION:
            in_transaction(connection, lambda: _upgrade(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")


def _refuse_network(path: str) -> None:
    kind = network_file_system(path, _MOUNTS.read_text()) if _MOUNTS.exists() else None
    if kind is not None or path.startswith("\\\\"):
        raise OutboxError(
            f"the outbox {path} is on a network file system ({kind or 'a share'}), where SQLite "
            "can lose what is written: put it on a local disk, or use PostgreSQL with "
            "sendx_async.procrastinate"
        )


def network_file_system(path: str, mounts: str) -> str | None:
    """Return the kind of network file system that a path lies on, or None for a local one.

    Args:
        path: An absolute path without symbolic links.
        mounts: What the system has mounted, as ``/proc/self/mounts`` has it.
    """
    kind, longest = "", -1
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        # Blanks and the like stand there as octal numbers.
        place = PurePosixPath(point.encode("latin-1", "replace").decode("unicode_escape"))
        if PurePosixPath(path).is_relative_to(place) and len(place.parts) >= longest:
            kind, longest = found, len(place.parts)
    return kind if kind in _NETWORK else None


def make_private(path: str) -> None:
    """Make an empty file that only its owner may read; SQLite would let others read it.

    Raises:
        FileExistsError: There is one.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    # So that its name isn't lost with the power; not every system can do that.
    with contextlib.suppress(OSError):
        directory = os.open(os.path.dirname(path), os.O_RDONLY)  # noqa: PTH120 - a str is all there is
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _is_new(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether the file is empty, and not an outbox yet."""
    # The mark last: another process may be making it one at this moment.
    has_tables = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
    version = _version(connection)
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == _APPLICATION:
        if version > _SCHEMA_VERSION:
            raise OutboxError(
                f"the outbox {path} was made by a later version of sendx-async: upgrade it"
            )
        return False
    if application or version or has_tables:
        raise OutboxError(f"{path} is an SQLite database, but no outbox: give another path")
    return True


def _create(connection: sqlite3.Connection, path: str) -> None:
    if _is_new(connection, path):  # still, now that nobody else can make it one
        for statement in _SCHEMA.split(";\n"):
            connection.execute(statement)
        add_index(connection)
        connection.execute("INSERT INTO about VALUES('name', ?)", (uuid.uuid4().hex[:8],))
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _upgrade(connection: sqlite3.Connection) -> None:
    """Make a file of the form 1 one of the form 2.

    A process of an older version that has it open can go on: it puts what the index doesn't know.
    """
    if _version(connection) < _SCHEMA_VERSION:  # still: another process may have been first
        add_index(connection)
        connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")


def _use_a_log(connection: sqlite3.Connection, path: str, timeout: float) -> None:
    """Turn on write-ahead logging, for which SQLite doesn't wait for others by itself."""
    until = monotonic() + timeout
    mode = None
    while mode is None:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError:
            if monotonic() > until:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise OutboxError(
            f"the outbox {path} can't have a write-ahead log (SQLite offers {mode!r}): give the "
            "path of a file on a local disk"
        )


def in_transaction(connection: sqlite3.Connection, function: Callable[[], ResultT]) -> ResultT:
    """Make one transaction of what a function does, undone if anything is raised."""
    # No context manager, and nothing before the `try`: an exception that a signal raises would
    # leave the transaction open, and what others put would end with it.
    try:
        # Locked at once, since one that begins by reading can't wait for other writers.
        connection.execute("BEGIN IMMEDIATE")
        result = function()
        connection.execute("COMMIT")
    except BaseException:
        undo(connection)
        raise
    return result


def undo(connection: sqlite3.Connection) -> None:
    """Undo what was not committed, if there is anything."""
    with contextlib.suppress(sqlite3.OperationalError):  # SQLite may have undone it already
        connection.execute("ROLLBACK")
