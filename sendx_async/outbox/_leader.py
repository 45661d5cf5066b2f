"""The leader lock: one process at a time drains an outbox, and shows that it is alive."""

import contextlib
import os
import sqlite3
import weakref
from contextlib import AbstractAsyncContextManager

import anyio

from sendx_async._core.forks import around_forks
from sendx_async._core.locks import Lock
from sendx_async._runtime.background import in_background, in_thread
from sendx_async._runtime.real_time import system_time
from sendx_async.outbox._schema import make_private

_SECONDS_BETWEEN_SIGNS = 5.0


class LeaderLock:
    """The lock that whoever drains an outbox holds, until it is released or the process ends.

    It is a lock of the operating system on a file beside the outbox, taken by SQLite, which knows
    how on each system. It ends with the process, however that ends. A process that is frozen keeps
    it; the time of the file's last change tells of that, since a full disk doesn't keep it from
    being set, and neither does whoever keeps the outbox locked.

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
        return _QUIET.run(self._acquire)

    def _acquire(self) -> bool:
        connection = _connect(self._path)
        try:
            # Or it would write a journal, for which a full disk has no room.
            connection.execute("PRAGMA journal_mode=MEMORY")
            connection.execute("BEGIN IMMEDIATE")  # it shuts out candidates, and shows nobody
            # Before anybody can see that it is held, or they would see the last one's sign.
            self._give_a_sign()
            connection.execute("ROLLBACK")
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
        _QUIET.run(self._release)

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def signs_of_life(self) -> AbstractAsyncContextManager[None]:
        """Return what gives a sign of life every 5 seconds while it is open, if the loop runs."""
        return in_background(self._give_signs)

    async def _give_signs(self) -> None:
        # In a thread, as a disk may take its time; in none that the application's jobs may use up.
        limiter = anyio.CapacityLimiter(1)
        while True:
            await anyio.sleep(_SECONDS_BETWEEN_SIGNS)
            await in_thread(self._give_a_sign, limiter=limiter)

    def _give_a_sign(self) -> None:
        # By its name: to open and close the file would end SQLite's lock on it.
        with contextlib.suppress(OSError):  # to deliver matters more
            os.utime(self._path)


def silence_of_leader(path: str) -> float | None:
    """Return the seconds since the drainer's last sign of life, or None if no process drains.

    Args:
        path: The outbox's file.

    Raises:
        sqlite3.Error, OSError: The lock's file can't be used.
    """
    lock_file = _lock_file(path)
    if not os.path.exists(lock_file):  # noqa: PTH110 - a str is all there is
        return None
    return _QUIET.run(lambda: _silence(lock_file))


def _silence(lock_file: str) -> float | None:
    connection = _connect(lock_file)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.Error as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return max(0.0, system_time() - os.stat(lock_file).st_mtime)  # noqa: PTH116 - likewise
    finally:
        connection.close()
    return None


def _lock_file(path: str) -> str:
    return f"{path}-drainer"


def _connect(path: str) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):
        make_private(path)
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


_LEADER_LOCKS: weakref.WeakSet[LeaderLock] = weakref.WeakSet()
# Whoever is within SQLite in the moment of a fork leaves its inner locks held in the child.
_QUIET = Lock()


def _after_in_child() -> None:
    # The lock is the parent's; with the connection open SQLite would believe that it is held here.
    for leader_lock in list(_LEADER_LOCKS):
        leader_lock.release()


around_forks(before=_QUIET.hold, after_in_parent=_QUIET.release, after_in_child=_after_in_child)
