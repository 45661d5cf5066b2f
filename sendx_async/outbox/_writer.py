"""The writer of an outbox: it stores what is put, and those that wait for it share a commit."""

import contextlib
import copy
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel

from sendx_async._core.errors import InvalidRequestError, OutboxError, OutboxFullError
from sendx_async._core.forks import ForkSafeLock
from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._capacity import Capacity
from sendx_async.outbox._connection import Database
from sendx_async.outbox._entry import Entry

_MOST_IN_A_COMMIT = 500
_SECONDS_IDLE = 10.0
_PUTS_BEFORE_PATIENCE = 100  # then one may move what is in the log into the file proper


class Writer:
    """Stores requests, and returns their delivery ids.

    A thread commits by itself where nobody else is at it. Everything else goes to a group commit,
    because all that wait then wait for the same disk.

    A task commits by itself too, where that waits for no disk and no lock: the way over another
    thread takes twice the CPU.

    Args:
        database: The file; only for this.
        impatient: The same without waiting for locks, for use in event loops; None if a commit
            waits for the disk.
        capacity: Whether it may hold one more.
        arrived: Called after each commit, in whatever thread.
    """

    def __init__(
        self,
        database: Database,
        impatient: Database | None,
        capacity: Capacity,
        arrived: Callable[[], object],
    ) -> None:
        self._database = database
        self._impatient = impatient
        self._capacity = capacity
        self._arrived = arrived
        self._name: str | None = None
        self._until_patience = 0  # the first one opens the file, so it has to be patient
        self._group = GroupCommit(self._store_all, database.file.path)

    def put(self, entry: Entry) -> str:
        """Store a request, and wait until it is.

        Raises:
            OutboxError: It is not stored.
            InvalidRequestError: Its id was given to another request.
        """
        # Whoever waits for the group comes first: a thread that puts all the time would get the
        # lock again and again before the other wakes up.
        if self._group.is_busy or self._database.is_in_use:
            self._database.refuse_if_used_here()
            # A bare lock that the other thread only ever releases: Ctrl-C here could leave the lock
            # of an Event held, and that thread would wait for it for ever.
            is_done = threading.Lock()
            is_done.acquire()
            waiting = self._group.submit(entry, is_done.release)
            is_done.acquire()
            return waiting.outcome()
        return self._store(self._database, entry)

    async def put_soon(self, entry: Entry) -> str:
        """As `put`, without keeping an event loop from going on."""
        impatient = self._impatient
        if impatient is not None and self._until_patience > 0 and not impatient.is_in_use:
            self._until_patience -= 1
            try:
                result = self._store(impatient, entry)
            except OutboxError as error:
                if not isinstance(error.__cause__, sqlite3.OperationalError):
                    raise
            else:
                await anyio.lowlevel.checkpoint()
                return result
        self._until_patience = _PUTS_BEFORE_PATIENCE
        done = anyio.Event()
        waiting = self._group.submit(entry, partial(run_soon_in_this_loop(), done.set))
        await done.wait()
        return waiting.outcome()

    def close(self) -> None:
        """Store what is under way, and nothing more."""
        self._group.close()

    def _store(self, database: Database, entry: Entry) -> str:
        """Store one in a transaction of its own."""
        use = database.read if entry.given_id is None else database.write
        result = use(lambda connection: self._insert(connection, entry))
        self._arrived()
        return result

    def _store_all(self, entries: list[Entry]) -> list[str]:
        if len(entries) == 1:
            return [self._store(self._database, entries[0])]
        results = self._database.write(
            lambda connection: [self._insert(connection, entry) for entry in entries]
        )
        self._arrived()
        return results

    def _insert(self, connection: sqlite3.Connection, entry: Entry) -> str:
        result = rows.insert(connection, entry, self._capacity, self._database.file.path)
        if entry.given_id is not None:
            return result
        if self._name is None:
            self._name = rows.name_of(connection)
        return f"{self._name}-{result}"


class _Waiting:
    """A put that the group commit does for someone who waits for it."""

    __slots__ = ("entry", "error", "result", "tell")

    def __init__(self, entry: Entry, tell: Callable[[], object]) -> None:
        self.entry = entry
        self.tell = tell
        self.result = ""
        self.error: Exception | None = None

    def outcome(self) -> str:
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            self.error = None  # its traceback leads back to here


class GroupCommit:
    """A thread that stores in one transaction all that has come while it stored the last ones.

    It is begun when it is needed, and ends when it is idle.

    Args:
        store: Stores some in one transaction, or none of them.
        path: The outbox's file.
    """

    def __init__(self, store: Callable[[list[Entry]], list[str]], path: str) -> None:
        self._store_together = store
        self._path = path
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        # Its process. Whether a thread is alive can't be asked: up to Python 3.12, Ctrl-C in that
        # makes it look dead for good.
        self._runs_in: int | None = None
        self._is_storing = self._is_closed = False
        self._starting = ForkSafeLock()

    @property
    def is_busy(self) -> bool:
        """Whether anybody waits for it."""
        return self._is_storing or not self._queue.empty()

    def submit(self, entry: Entry, tell: Callable[[], object]) -> _Waiting:
        """Have a request stored.

        Args:
            entry: The request.
            tell: Called in the thread when its outcome is known.

        Raises:
            OutboxError: The outbox is closed, or no thread can be started.
        """
        waiting = _Waiting(entry, tell)
        with self._starting.current:
            if self._is_closed:
                raise OutboxError(f"the outbox {self._path} is closed: make a new one")
            # After a fork the parent's is none of ours, and neither is what it was given.
            if self._runs_in != os.getpid():
                self._start()
            self._queue.put(waiting)
        return waiting

    def _start(self) -> None:
        given: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._work, args=(given,), name="sendx_async outbox", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            raise OutboxError(
                f"the outbox {self._path} can't start the thread that it needs to store this: "
                f"{error}"
            ) from error
        # Ctrl-C before the last of these leaves a thread that nobody gives anything, and that ends.
        self._queue, self._thread, self._is_storing = given, thread, False
        self._runs_in = os.getpid()

    def close(self) -> None:
        """End the thread, after what it was given."""
        with self._starting.current:
            self._is_closed = True
            thread = self._thread if self._runs_in == os.getpid() else None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _work(self, waiting: "queue.SimpleQueue[_Waiting | None]") -> None:
        is_last = False
        try:
            while not is_last:
                together = self._next(waiting)
                is_last = together[-1] is None
                if together[0] is not None:
                    self._store([each for each in together if each is not None])
                self._is_storing = False
        finally:
            self._retire(waiting)  # whatever has ended it

    def _retire(self, waiting: "queue.SimpleQueue[_Waiting | None]") -> None:
        """Let who comes from now on begin another thread, with another queue."""
        with self._starting.current:
            if self._queue is waiting:
                self._runs_in = None

    def _next(self, waiting: "queue.SimpleQueue[_Waiting | None]") -> list[_Waiting | None]:
        """Wait for what is to be stored; return it and what has come with it, None as the last."""
        together: list[_Waiting | None] = []
        try:
            together.append(waiting.get(timeout=_SECONDS_IDLE))
        except queue.Empty:
            # So that an outbox that nobody has closed goes when it is forgotten.
            self._retire(waiting)
            waiting.put(None)
        self._is_storing = True
        with contextlib.suppress(queue.Empty):
            while len(together) < _MOST_IN_A_COMMIT and None not in together[-1:]:
                together.append(waiting.get_nowait())
        return together

    def _store(self, together: list[_Waiting]) -> None:
        """Store many in one transaction, or all of them that can be."""
        try:
            results = self._store_together([each.entry for each in together])
        except (InvalidRequestError, OutboxFullError) as error:
            if len(together) > 1:
                for each in together:
                    self._store([each])
                return
            together[0].error = error
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for each in together:
                each.error = copy.copy(error)
        else:
            for each, result in zip(together, results, strict=True):
                each.result = result
        for each in together:
            with contextlib.suppress(RuntimeError):  # its loop has ended, so nobody waits
                each.tell()
