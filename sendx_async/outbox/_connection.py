"""The connection to an outbox's file: opened late, for one thread at a time, safe around forks."""

import os
import sqlite3
import weakref
from collections.abc import Callable
from typing import TypeVar

from sendx_async._core.errors import OutboxError, SendXError
from sendx_async._core.forks import around_forks
from sendx_async._core.locks import Lock
from sendx_async._core.masking import mask_addresses
from sendx_async._runtime.real_time import monotonic
from sendx_async.outbox._schema import Synchronous, in_transaction, open_outbox, undo

ResultT = TypeVar("ResultT")

_SECONDS_BEFORE_A_FORK = 5.0


class OutboxFile:
    """Which file it is, for all connections to it, so that no other one is taken for it.

    Args:
        path: The file, without symbolic links: the drainers' lock has its name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def check(self, *, is_open: bool) -> None:
        """See whether it is still the same; the first time, which one it is.

        Args:
            is_open: Whether a connection has been opened, so that it has to be there.

        Raises:
            OutboxError: It was removed or replaced.
        """
        try:
            found = os.stat(self.path)  # noqa: PTH116 - half of what a Path costs, at each put
            identity = found.st_dev, found.st_ino
        except FileNotFoundError:
            identity = None
        if self._identity is None and is_open:
            self._identity = identity
        if self._identity is not None and identity != self._identity:
            raise OutboxError(
                f"the outbox {self.path} was removed or replaced while it was in use: what was in "
                "it is only in the old file; put it back, or restart to begin a new one"
            )


class Database:
    """One connection to an outbox's file, for any thread, one at a time.

    It is opened when it is first used, and again after a fork: SQLite's locks belong to a process,
    so no connection may cross one.

    Args:
        file: The file.
        synchronous: What a commit waits for: ``"FULL"`` or ``"NORMAL"``.
        timeout: Seconds to wait for the locks of others.
        checkpoints: Whether a commit may take its time to move what is in the log into the file
            proper, when there is much of it.
    """

    def __init__(
        self,
        file: OutboxFile,
        *,
        synchronous: Synchronous = "FULL",
        timeout: float,
        checkpoints: bool = True,
    ) -> None:
        self.file = file
        self._synchronous: Synchronous = synchronous
        self._timeout = timeout
        self._checkpoints = checkpoints
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()
        _DATABASES.add(self)

    @property
    def is_in_use(self) -> bool:
        """Whether any thread uses it now."""
        return self._lock.is_held

    def read(self, function: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Use the connection; each statement is a transaction of its own.

        Raises:
            OutboxError: The file can't be used.
        """
        self.refuse_if_used_here()
        try:
            return self._lock.run(lambda: function(self._ready()))
        except (sqlite3.Error, OSError) as error:
            # The frames that were left hold requests, and so would the traceback.
            raise self._translated(error) from error.with_traceback(None)
        except SendXError as error:
            raise error.with_traceback(None)  # noqa: B904 - it is the same error

    def write(self, function: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Use the connection for one transaction; errors as `read`."""
        return self.read(
            lambda connection: in_transaction(connection, lambda: function(connection))
        )

    def refuse_if_used_here(self) -> None:
        """Raise where waiting would be for ever.

        Raises:
            OutboxError: This very thread uses it, and was interrupted by a signal.
        """
        if self._lock.is_mine:
            raise in_use_here(self.file.path)

    def _ready(self) -> sqlite3.Connection:
        """Return the connection, for whoever holds the lock."""
        if self._connection is None:
            if self.file.path in _LOST:
                raise OutboxError(
                    f"the outbox {self.file.path} can't be used in this process: it was forked "
                    "while its parent was writing, and SQLite's locks can't be trusted here; fork "
                    "before the outbox is used, or start a new process"
                )
            self.file.check(is_open=False)
            self._connection = open_outbox(
                self.file.path,
                synchronous=self._synchronous,
                timeout=self._timeout,
                checkpoints=self._checkpoints,
            )
        self.file.check(is_open=True)
        if self._connection.in_transaction:
            undo(self._connection)  # of somebody who was interrupted while undoing it
        return self._connection

    def close(self) -> None:
        """Close the connection; it is opened again if it is used again.

        Raises:
            OutboxError: This very thread uses it, and was interrupted by a signal.
        """
        self.refuse_if_used_here()
        self._lock.run(self._close)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _translated(self, error: sqlite3.Error | OSError) -> OutboxError:
        """Make an error of SQLite or of the system one of an outbox."""
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            return OutboxError(f"the outbox {self.file.path} can't be opened: {reason}")
        return OutboxError(f"the outbox {self.file.path} can't be used, {explained(error)}")

    # Around a fork

    def before_fork(self, *, until: float) -> None:
        """Let nobody use the connection, and close it; it isn't waited for after ``until``."""
        if self._lock.hold(max(0.0, until - monotonic())):
            self._close()

    def after_fork_in_parent(self) -> None:
        """Go on, if it was this thread that kept others from it."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on, without what may be left of the parent."""
        if self._connection is not None:
            # Not to be closed: that would touch the parent's locks, or its log.
            _LOST.setdefault(self.file.path, []).append(self._connection)
            self._connection = None


def in_use_here(path: str) -> OutboxError:
    """Return the error for a signal handler that would wait for the code it has interrupted."""
    return OutboxError(
        f"the outbox {path} is in use by the code that a signal handler has interrupted: in a "
        "handler set a flag, and use the outbox elsewhere"
    )


def explained(error: sqlite3.Error) -> str:
    """Return what SQLite says, without addresses, and what to do about it."""
    text = mask_addresses(str(error))
    if "locked" in text:
        hint = ": another process keeps it locked"
    elif "full" in text:
        hint = ": make room on its disk"
    elif "readonly" in text or "unable to open" in text:
        hint = ": this process needs to write to the file and to its directory"
    else:
        hint = ""
    return f"SQLite says {text!r}{hint}"


_DATABASES: weakref.WeakSet[Database] = weakref.WeakSet()
# Connections of a parent process, by the file that can't be used here because of them: SQLite
# keeps its locks for the whole process, and believes to hold here what only the parent holds.
_LOST: dict[str, list[sqlite3.Connection]] = {}


def _before() -> None:
    until = monotonic() + _SECONDS_BEFORE_A_FORK
    for database in list(_DATABASES):
        database.before_fork(until=until)


def _after_in_parent() -> None:
    for database in list(_DATABASES):
        database.after_fork_in_parent()


def _after_in_child() -> None:
    for database in list(_DATABASES):
        database.after_fork_in_child()


around_forks(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
