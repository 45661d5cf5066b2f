"""A connection to an outbox's file: opened late, closed before a fork, and refused where unsafe."""

import contextlib
import os
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Literal

from sendx_async._errors import OutboxError
from sendx_async._locks import around_forks
from sendx_async.outbox._mounts import network_file_system

Synchronous = Literal["FULL", "NORMAL"]

_APPLICATION = 0x53656E58  # marks the file as an outbox, for SQLite and for `file`
_SCHEMA_VERSION = 1
_MOUNTS = Path("/proc/self/mounts")
_SECONDS_BEFORE_A_FORK = 5.0
_PAGES_BEFORE_A_CHECKPOINT = 1000  # SQLite's own default

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


class Database:
    """One connection to an outbox's file, for any thread, one at a time.

    It is opened when it is first used, and again after a fork: SQLite's locks belong to a process,
    so no connection may cross one.

    Args:
        path: The file.
        synchronous: What a commit waits for: ``"FULL"`` or ``"NORMAL"``.
        timeout: Seconds to wait for the locks of others.
        checkpoints: Whether a commit may take its time to move what is in the log into the file
            proper, when there is much of it.
    """

    def __init__(
        self,
        path: str,
        *,
        synchronous: Synchronous = "FULL",
        timeout: float,
        checkpoints: bool = True,
    ) -> None:
        self.path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._pages_before_checkpoint = _PAGES_BEFORE_A_CHECKPOINT if checkpoints else 0
        self._connection: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None
        self._abandoned: list[sqlite3.Connection] = []
        self._is_forking = False
        self.lock = threading.Lock()
        _DATABASES.add(self)

    @contextlib.contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """Use the connection; each statement is a transaction of its own.

        Raises:
            OutboxError: The file can't be used.
        """
        with self.lock:
            try:
                yield self.connection()
            except (sqlite3.Error, OSError) as error:
                raise self.translated(error) from error

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """Use the connection for one transaction; errors as `reading`."""
        with self.reading() as connection, transaction(connection):
            yield connection

    def translated(self, error: sqlite3.Error | OSError) -> OutboxError:
        """Make an error of SQLite or of the system one of an outbox."""
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            return OutboxError(f"the outbox {self.path} can't be opened: {reason}")
        return OutboxError(self._explained(error))

    def connection(self) -> sqlite3.Connection:
        """Give the connection, for whoever holds `lock`.

        Raises:
            OutboxError: The file was removed or replaced, or is none of an outbox.
            sqlite3.Error, OSError: It can't be opened.
        """
        if self._connection is None:
            self._connection = self._open()
            self._place = self._find()
        elif self._find() != self._place:
            raise OutboxError(
                f"the outbox {self.path} was removed or replaced while it was in use: what was in "
                "it is only in the old file; put it back, or restart to begin a new one"
            )
        return self._connection

    def close(self) -> None:
        """Close the connection; it is opened again if it is used again."""
        with self.lock:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _find(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - half of what a Path costs, at each put
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        self._refuse_network()
        with contextlib.suppress(FileExistsError):
            make_private(self.path)
        connection = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _refuse_network(self) -> None:
        path = os.path.realpath(self.path)
        kind = network_file_system(path, _MOUNTS.read_text()) if _MOUNTS.exists() else None
        if kind is not None or path.startswith("\\\\"):
            raise OutboxError(
                f"the outbox {self.path} is on a network file system ({kind or 'a share'}), where "
                "SQLite can lose what is written: put it on a local disk, or use PostgreSQL with "
                "sendx_async.procrastinate"
            )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._is_new(connection):
            self._use_a_log(connection)
            self._create(connection)
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={self._pages_before_checkpoint}")
        connection.execute("PRAGMA fullfsync=ON")  # without it macOS only asks the disk to hurry
        connection.execute("PRAGMA secure_delete=FAST")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the file is empty, and not an outbox yet."""
        # The mark last: another process may be making it one at this moment.
        has_tables = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application == _APPLICATION:
            if version > _SCHEMA_VERSION:
                raise OutboxError(
                    f"the outbox {self.path} was made by a later version of sendx-async: upgrade it"
                )
            return False
        if application or version or has_tables:
            raise OutboxError(
                f"{self.path} is an SQLite database, but no outbox: give another path"
            )
        return True

    def _create(self, connection: sqlite3.Connection) -> None:
        with transaction(connection):
            if self._is_new(connection):  # still, now that nobody else can make it one
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute("INSERT INTO about VALUES('name', ?)", (uuid.uuid4().hex[:8],))
                connection.execute(f"PRAGMA application_id={_APPLICATION}")
                connection.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")

    def _use_a_log(self, connection: sqlite3.Connection) -> None:
        """Turn on write-ahead logging, for which SQLite doesn't wait for others by itself."""
        until = time.monotonic() + self._timeout
        mode = None
        while mode is None:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.005)
        if mode != "wal":
            raise OutboxError(
                f"the outbox {self.path} can't have a write-ahead log (SQLite offers {mode!r}): "
                "give the path of a file on a local disk"
            )

    def _explained(self, error: sqlite3.Error) -> str:
        text = str(error)
        if "locked" in text:
            hint = f": another process kept it locked for {self._timeout:g} s"
        elif "full" in text:
            hint = ": make room on its disk"
        elif "readonly" in text or "unable to open" in text:
            hint = ": this process needs to write to the file and to its directory"
        else:
            hint = ""
        return f"the outbox {self.path} can't be used, SQLite says {text!r}{hint}"

    # Around a fork

    def before_fork(self) -> None:
        """Let nobody use the connection, and close it."""
        self._is_forking = self.lock.acquire(timeout=_SECONDS_BEFORE_A_FORK)
        if self._is_forking:
            self._close()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._is_forking:
            self._is_forking = False
            self.lock.release()

    def after_fork_in_child(self) -> None:
        """Go on, without what may be left of the parent."""
        if self._connection is not None:
            # Not to be closed: that would touch the parent's locks, or its log.
            self._abandoned.append(self._connection)
            self._connection = None
        self._is_forking = False
        self.lock = threading.Lock()


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


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Make one transaction of what is done, undone if anything is raised."""
    # Locked at once, since a transaction that begins by reading can't wait for other writers.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.OperationalError):  # SQLite may have undone it already
            connection.execute("ROLLBACK")
        raise


_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()


def _before() -> None:
    for database in list(_DATABASES):
        database.before_fork()


def _after_in_parent() -> None:
    for database in list(_DATABASES):
        database.after_fork_in_parent()


def _after_in_child() -> None:
    for database in list(_DATABASES):
        database.after_fork_in_child()


around_forks(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
