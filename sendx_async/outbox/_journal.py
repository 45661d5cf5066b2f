"""The journal of draining: what is under way, and what became of it, written in a thread."""

import functools
import math
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import anyio

from sendx_async._core.errors import OutboxError
from sendx_async._core.protocol import operation_for
from sendx_async._runtime.background import in_thread
from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async._runtime.real_time import monotonic
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox import _older_copy as older_copy
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._connection import Database
from sendx_async.outbox._events import OutboxEvent, OutboxEventKind, tell
from sendx_async.outbox._group_commit import GroupCommit, Waiting
from sendx_async.outbox._notes import Change, Notes, nothing, write_changes
from sendx_async.outbox._persistence import Persistence

ResultT = TypeVar("ResultT")

_SECONDS_BETWEEN_REMEMBERING = 1.0
_INTERRUPTED = "draining ended before it was written down whether this was applied"


def described(error: BaseException) -> str:
    """Return an error as people are shown it: its kind and its text, without addresses."""
    return f"{type(error).__name__}: {error}"


class ChangedError(Exception):
    """Somebody has thrown away what was read already, or drains in this one's place."""


class Journal:
    """Reads what has to be delivered, and writes down what became of it.

    All that waits to be written at one moment is written in one transaction. What can't be written
    for the moment is tried again, and nothing new is begun meanwhile.

    Args:
        database: The file, for use in threads; it waits for the locks of others for a moment only.
        loop_database: The same, for short looks from the event loop.
        notes: What is to be written down; it stays there as long as it is not.
        timeout: Seconds for which writing is tried; ``math.inf`` for as long as it takes.
        remember: Seconds for which the ids are remembered that callers gave.
        on_event: Called when something happens that people want to know of.

    Attributes:
        seconds_since_uncertain: Seconds from a failure that left a request uncertain to the
            beginning of this pass; ``math.inf`` if there is none.
    """

    def __init__(
        self,
        database: Database,
        loop_database: Database,
        notes: Notes,
        *,
        timeout: float,
        remember: float,
        on_event: Callable[[OutboxEvent], object] | None,
    ) -> None:
        self._database = database
        self._loop_database = loop_database
        self._notes = notes
        self._remember = remember
        self._on_event = on_event
        self._name = f"{random.getrandbits(64):016x}"
        self._one_by_one = anyio.CapacityLimiter(1)
        run_soon = run_soon_in_this_loop()
        self._reading = Persistence(timeout, functools.partial(run_soon, self._note_persistence))
        self._writing = Persistence(timeout, functools.partial(run_soon, self._hold))
        self._group = GroupCommit(self._write, database.file.path)
        self._wake = functools.partial(run_soon, self._finish_all)
        self._finished: deque[Callable[[], object]] = deque()
        self._is_waking = False
        self._held: anyio.Event | None = None
        self._trouble: str | None = None
        self._sending: set[int] = set()
        self._remembers_at = -math.inf
        self.seconds_since_uncertain = math.inf

    def hurry(self, seconds: float) -> None:
        """Try nothing again any more after so many seconds."""
        self._reading.hurry(seconds)
        self._writing.hurry(seconds)

    async def close(self) -> None:
        """Close the file."""
        await self._in_thread(self._group.close)
        await self._in_thread(self._database.close)
        self._loop_database.close()

    async def begin(self) -> None:
        """Begin a pass: put aside what others have left in doubt."""
        # What is known here is written with this, so that it isn't in doubt.
        await self._commit(write=lambda connection: rows.note_drainer(connection, self._name))
        self._tell_failures(await self._commit(write=self._begin))

    def _begin(self, connection: sqlite3.Connection) -> list[rows.Failure]:
        older_copy.refuse_older_copy(connection, self._database.file.path)
        failures = [
            rows.Failure(row, "uncertain", _INTERRUPTED, 1) for row in rows.interrupted(connection)
        ]
        now = time.time()
        rows.note_failed(connection, failures, now=now)
        rows.forget_delivered(connection, now=now, remember=self._remember)
        self.seconds_since_uncertain = rows.seconds_since_uncertain(
            connection, but_for=_INTERRUPTED, now=now
        )
        # It also shows whether anything can be written: if not, nothing must be sent.
        rows.note_trouble(connection, self._trouble)
        return failures

    async def is_empty(self) -> bool:
        """Return whether nothing waits."""
        page = await self._read(lambda found: backlog.read(found, after=0, most=1))
        return not page.rows

    async def read(self, query: Callable[[sqlite3.Connection], backlog.Page]) -> backlog.Page:
        """Return what a query finds; requests that can't be read are put aside as dead."""
        page = await self._read(query)
        self._notes.failures += [
            rows.Failure(row, "dead", described(row.error), 0)
            for row in page.rows
            if row.error is not None
        ]
        await self.write_down()
        if not page.last:
            await self.note_well()  # whatever was in the way of something, there is nothing
        return backlog.Page([row for row in page.rows if row.error is None], page.last)

    async def _read(self, query: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        return await self._in_thread(lambda: self._reading.run(lambda: self._database.read(query)))

    async def find_safe(self, *, after: int) -> rows.Row | None:
        """Return a request that is safe to repeat and the first about its contact.

        It is the first one behind a place, or the first one of all if none is behind it.
        """

        def find(connection: sqlite3.Connection) -> rows.Row | None:
            found = backlog.read_safe(connection, most=1, after=after)
            found = found or backlog.read_safe(connection, most=1)
            return found[0] if found else None

        return await self._read(find)

    async def can_write(self) -> None:
        """Wait until what is known can be written down, if it can't be for the moment."""
        while self._held is not None:
            await self._held.wait()

    def check(self, places: Sequence[int]) -> None:
        """See whether requests are still to be delivered, by this drainer.

        Raises:
            ChangedError: They aren't.
        """
        if not self._loop_database.read(lambda found: rows.are_there(found, places, self._name)):
            raise ChangedError

    async def mark(self, row: rows.Row) -> None:
        """Note that a request is about to be sent that must not be sent twice.

        Raises:
            ChangedError: It is not to be sent any more.
        """
        self._sending.add(row.id)
        self._notes.unsent.discard(row.id)
        if not await self._commit(place=row.id):
            raise ChangedError

    def note_unsent(self, row: rows.Row) -> None:
        """Note that a request was certainly not applied."""
        if row.id in self._sending:
            self._sending.discard(row.id)
            self._notes.unsent.add(row.id)

    def note_outcome(self, row: rows.Row, failure: rows.Failure | None) -> None:
        """Note what became of a request: it was delivered, or has failed for good."""
        self._sending.discard(row.id)
        if failure is None:
            self._notes.delivered.append(row)
        else:
            self._notes.failures.append(failure)

    async def write_down(self) -> None:
        """Write down what was noted, and isn't being written already."""
        if self._notes:
            await self._commit()

    async def write_all_down(self) -> None:
        """Write down what was noted, and wait for what is being written already."""
        await self._commit()  # even if there is nothing: it comes behind all others

    async def note_trouble(self, trouble: str | None) -> None:
        """Keep what the drainer can't get over by itself, for whoever looks; None if all is well.

        A file that can't be written is no reason to stop: whatever is wrong shows elsewhere.
        """
        self._trouble = trouble
        try:
            await self._commit(write=lambda found: rows.note_trouble(found, trouble))
        except OutboxError as error:
            self.tell("paused", error=described(error))

    async def note_well(self) -> None:
        """Note that the trouble is over, if there was any."""
        if self._trouble is not None:
            self.tell("resumed")  # first: a pass may end while that is written
            await self.note_trouble(None)

    def _tell_failures(self, failures: Iterable[rows.Failure]) -> None:
        for failure in failures:
            request = failure.row.request
            event = OutboxEvent(
                kind=failure.kind,
                path=self._database.file.path,
                delivery_id=failure.row.delivery_id,
                operation=None if request is None else operation_for(request).name,
                error=failure.error,
            )
            tell(self._on_event, event)

    def tell(
        self, kind: OutboxEventKind, *, error: str | None = None, delay: float | None = None
    ) -> None:
        """Report something that isn't about one delivery."""
        event = OutboxEvent(kind=kind, path=self._database.file.path, error=error, delay=delay)
        tell(self._on_event, event)

    def _note_persistence(self, error: OutboxError | None) -> None:
        if error is None:
            self.tell("resumed")
        else:
            self.tell("paused", error=described(error))

    def _hold(self, error: OutboxError | None) -> None:
        """Let nothing new begin because of an error, or let it again."""
        if self._held is not None:
            self._held.set()
        self._held = None if error is None else anyio.Event()
        self._note_persistence(error)

    async def _commit(
        self,
        *,
        place: int | None = None,
        write: Callable[[sqlite3.Connection], Any] = nothing,
    ) -> Any:
        """Write something, and all that was noted, with what others have to write at this moment.

        If this is cancelled it is written all the same, before all that comes later.
        """
        notes = self._notes.take()

        def finish() -> None:
            done.set()  # first: a listener may raise whatever it likes
            if waiting.error is None:
                self._tell_failures(notes.failures)
            else:
                self._notes.give_back(notes, self._sending)

        done = anyio.Event()
        waiting: Waiting[Change, Any] = Waiting(
            Change(notes, place, write), functools.partial(self._finish_soon, finish)
        )
        try:
            self._group.submit(waiting)
        except OutboxError:
            self._notes.give_back(notes, self._sending)
            raise
        await done.wait()
        return waiting.outcome()

    def _write(self, changes: list[Change]) -> list[Any]:
        is_to_remember = monotonic() >= self._remembers_at and any(
            change.notes.delivered or change.notes.failures for change in changes
        )

        def write(connection: sqlite3.Connection) -> tuple[list[Any], str | None]:
            results = write_changes(connection, changes, self._name, remember=self._remember)
            if not is_to_remember:
                return results, None
            return results, older_copy.note_recorded(connection, now=time.time())

        results, recorded = self._writing.run(lambda: self._database.write(write))
        if recorded is not None:
            older_copy.remember(self._database.file.path, recorded)
            self._remembers_at = monotonic() + _SECONDS_BETWEEN_REMEMBERING
        return results

    def _finish_soon(self, finish: Callable[[], object]) -> None:
        """Have this called in the loop, which all that was written together wakes once."""
        self._finished.append(finish)
        if not self._is_waking:
            self._is_waking = True
            self._wake()

    def _finish_all(self) -> None:
        self._is_waking = False
        while self._finished:
            self._finished.popleft()()

    async def _in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        return await in_thread(function, limiter=self._one_by_one)
