"""The leader lock: one process at a time drains an outbox, and another one when that is gone."""

import contextlib
import os
import sqlite3
import weakref

from sendx_async._core.forks import ForkSafeLock, around_forks
from sendx_async.outbox._schema import make_private


class LeaderLock:
    """The lock that whoever drains an outbox holds, until it is released or the process ends.

    It is a lock of the operating system on a file beside the outbox, taken by SQLite, which knows
    how on each system. It ends with the process, however that ends.

    Args:
        path: The outbox's file.
    """

    def __init__(self, path: str) -> None:
        self._path = _lock_file(path)
        self._connection: sqlite3.Connection | None = None
        _LEADER_LOCKS.add(self)

    def acquire(self) -> bool:
        """Acquire the lock; return whether nobody else held it.

        Raises:
            sqlite3.Error, OSError: The lock's file can't be used.
        """
        with _QUIET.current:
            connection = _connect(self._path)
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                connection.close()
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                return False
            self._connection = connection
            return True

    def release(self) -> None:
        """Let another one take it; nothing happens where it isn't held."""
        with _QUIET.current:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()


def has_leader(path: str) -> bool:
    """Return whether any process drains the outbox.

    Raises:
        sqlite3.Error, OSError: The lock's file can't be used.
    """
    if not os.path.exists(_lock_file(path)):  # noqa: PTH110 - a str is all there is
        return False
    with _QUIET.current:
        connection = _connect(_lock_file(path))
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return True
        finally:
            connection.close()
    return False


def _lock_file(path: str) -> str:
    return f"{path}-drainer"


def _connect(path: str) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):
        make_private(path)
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


_LEADER_LOCKS: weakref.WeakSet[LeaderLock] = weakref.WeakSet()
# Whoever is within SQLite in the moment of a fork leaves its inner locks held in the child.
_QUIET = ForkSafeLock()


def _after_in_child() -> None:
    # The lock is the parent's; with the connection open SQLite would believe that it is held here.
    for leader_lock in list(_LEADER_LOCKS):
        leader_lock.release()


around_forks(before=_QUIET.hold, after_in_parent=_QUIET.release, after_in_child=_after_in_child)
