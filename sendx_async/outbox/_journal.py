"""The journal of draining: what is under way, and what became of it, written in a thread."""

import functools
import math
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import anyio
import anyio.to_thread

from sendx_async._core.errors import OutboxError
from sendx_async._core.protocol import operation_for
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox import _older_copy as older_copy
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._connection import Database
from sendx_async.outbox._events import OutboxEvent, OutboxEventKind, tell

ResultT = TypeVar("ResultT")

_SECONDS_BETWEEN_FORGETTING = 3600.0
_DIED = "the process that was sending it ended before it was known whether it was applied"


def described(error: BaseException) -> str:
    """Return an error as people are shown it: its kind and its text, without addresses."""
    return f"{type(error).__name__}: {error}"


class ChangedError(Exception):
    """Somebody has thrown away what was read already, or drains in this one's place."""


class Journal:
    """Reads what has to be delivered, and writes down what became of it.

    Args:
        database: The file, for use in threads; it waits for the locks of others for a moment only.
        loop_database: The same, for short looks from the event loop.
        timeout: Seconds to wait for the locks of others.
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
        *,
        timeout: float,
        remember: float,
        on_event: Callable[[OutboxEvent], object] | None,
    ) -> None:
        self._database = database
        self._loop_database = loop_database
        self._timeout = timeout
        self._remember = remember
        self._forgets_at = -math.inf
        self._hurries_at = math.inf
        self._on_event = on_event
        self._name = f"{random.getrandbits(64):016x}"
        self._one_by_one = anyio.CapacityLimiter(1)
        self._trouble: str | None = None
        self._to_mark: deque[int] = deque()
        self._marked: set[int] = set()
        self._sending: set[int] = set()
        self.seconds_since_uncertain = math.inf

    def hurry(self, seconds: float) -> None:
        """Wait for no lock any more after so many seconds."""
        self._hurries_at = time.monotonic() + seconds

    async def close(self) -> None:
        """Close the file."""
        await self._in_thread(self._database.close)
        self._loop_database.close()

    async def begin(self) -> None:
        """Begin a pass: put aside what the last process left in doubt."""
        failures = await self._write(self._begin)
        self._to_mark.clear()
        self._marked.clear()
        self._sending.clear()
        self._tell_failures(failures)

    def _begin(self, connection: sqlite3.Connection) -> list[rows.Failure]:
        older_copy.refuse_older_copy(connection, self._database.file.path)
        failures = [
            rows.Failure(row, "uncertain", _DIED, 1) for row in rows.interrupted(connection)
        ]
        rows.note_failed(connection, failures, now=time.time())
        self.seconds_since_uncertain = rows.seconds_since_uncertain(
            connection, but_for=_DIED, now=time.time()
        )
        rows.note_drainer(connection, self._name)
        # It also shows whether anything can be written: if not, nothing must be sent.
        rows.note_trouble(connection, self._trouble)
        return failures

    async def is_empty(self) -> bool:
        """Return whether nothing waits."""
        return not await self._in_thread(
            lambda: self._database.read(lambda found: backlog.read(found, after=0, most=1)).rows
        )

    async def read(self, query: Callable[[sqlite3.Connection], backlog.Page]) -> backlog.Page:
        """Return what a query finds; requests that can't be read are put aside as dead."""
        page, unreadable = await self._in_thread(functools.partial(self._read, query))
        self._tell_failures(unreadable)
        if not page.last:
            await self.note_well()  # whatever was in the way of something, there is nothing
        return page

    def _read(
        self, query: Callable[[sqlite3.Connection], backlog.Page]
    ) -> tuple[backlog.Page, list[rows.Failure]]:
        page = self._database.read(query)
        failures = [
            rows.Failure(row, "dead", described(row.error), 0)
            for row in page.rows
            if row.error is not None
        ]
        if failures:
            self._database.write(
                lambda connection: rows.note_failed(connection, failures, now=time.time())
            )
        well = [row for row in page.rows if row.error is None]
        return backlog.Page(well, page.last), failures

    async def find_safe(self, *, after: int) -> rows.Row | None:
        """Return a request that is safe to repeat and the first about its contact.

        It is the first one behind a place, or the first one of all if none is behind it.
        """

        def find(connection: sqlite3.Connection) -> rows.Row | None:
            found = backlog.read_safe(connection, most=1, after=after)
            found = found or backlog.read_safe(connection, most=1)
            return found[0] if found else None

        return await self._in_thread(lambda: self._database.read(find))

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
        self._marked.add(row.id)
        self._to_mark.append(row.id)
        await self._in_thread(self._mark)
        self.check([row.id])  # somebody may have purged it while this was waited for

    def _mark(self) -> None:
        # All that wait at once, since they wait for the same disk; who comes later finds it done.
        places = [self._to_mark[index] for index in range(len(self._to_mark))]

        def mark_all(connection: sqlite3.Connection) -> None:
            for place in places:
                rows.note_under_way(connection, place, self._name, is_under_way=True)

        if places:
            self._database.write(mark_all)
            for _ in places:  # only now: if that failed, nobody may believe it done
                self._to_mark.popleft()

    def note_unsent(self, row: rows.Row) -> None:
        """Note that a request was certainly not applied; `unmark` writes it down."""
        self._sending.discard(row.id)

    async def unmark(self, row: rows.Row) -> None:
        """Write down that a request isn't about to be sent any more, if so it is by then.

        If that can't be written it stays marked, and is uncertain if this process dies.
        """
        if row.id in self._marked:
            try:
                await self._in_thread(functools.partial(self._unmark, row.id))
            except OutboxError as error:
                self.tell("paused", error=described(error))

    def _unmark(self, place: int) -> None:
        def unmark(connection: sqlite3.Connection) -> None:
            # In the time that this took to begin it may be sent again.
            if place not in self._sending:
                self._marked.discard(place)
                rows.note_under_way(connection, place, self._name, is_under_way=False)

        self._database.write(unmark)

    async def record(self, delivered: Sequence[rows.Row], failures: Sequence[rows.Failure]) -> None:
        """Write down what became of requests."""

        def record(connection: sqlite3.Connection) -> str:
            now = time.time()
            rows.note_delivered(connection, delivered, now=now)
            rows.note_failed(connection, failures, now=now)
            if now >= self._forgets_at:
                rows.forget_delivered(connection, before=now - self._remember)
                self._forgets_at = now + _SECONDS_BETWEEN_FORGETTING
            return older_copy.note_recorded(connection, now=now)

        def record_and_remember() -> None:
            older_copy.remember(self._database.file.path, self._database.write(record))

        await self._in_thread(record_and_remember)
        for row in delivered:
            self._marked.discard(row.id)
        self._tell_failures(failures)

    async def note_trouble(self, trouble: str | None) -> None:
        """Keep what the drainer can't get over by itself, for whoever looks; None if all is well.

        A file that can't be written is no reason to stop: whatever is wrong shows elsewhere.
        """
        self._trouble = trouble
        try:
            await self._write(lambda found: rows.note_trouble(found, trouble))
        except OutboxError as error:
            self.tell("paused", error=described(error))

    async def note_well(self) -> None:
        """Note that the trouble is over, if there was any."""
        if self._trouble is not None:
            await self.note_trouble(None)
            self.tell("resumed")

    def _tell_failures(self, failures: Iterable[rows.Failure]) -> None:
        for failure in failures:
            self._marked.discard(failure.row.id)
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

    async def _write(self, function: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        return await self._in_thread(lambda: self._database.write(function))

    async def _in_thread(self, function: Callable[[], ResultT]) -> ResultT:
        until = time.monotonic() + self._timeout
        while True:
            try:
                return await anyio.to_thread.run_sync(function, limiter=self._one_by_one)
            except OutboxError as error:
                # Others write. Between two tries this may be told to hurry.
                is_locked = getattr(error.__cause__, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY
                if not is_locked or time.monotonic() > min(until, self._hurries_at):
                    raise
