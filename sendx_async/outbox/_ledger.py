"""The outbox's file as its drainer sees it: read and written in a thread, one thing at a time."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import anyio
import anyio.to_thread

from sendx_async._errors import OutboxError
from sendx_async._protocol import operation_for
from sendx_async.outbox import _rows as rows
from sendx_async.outbox._database import Database
from sendx_async.outbox._events import OutboxEvent, OutboxEventKind, tell

ResultT = TypeVar("ResultT")

_ROWS_IN_A_PAGE = 200
_SECONDS_BETWEEN_FORGETTING = 3600.0
_DIED = "the process that was sending it ended before it was known whether it was applied"


def described(error: BaseException) -> str:
    """Give an error as people are shown it: its kind and its text, without addresses."""
    return f"{type(error).__name__}: {error}"


class Ledger:
    """Reads what has to be delivered, and writes down what became of it.

    Args:
        database: The file; for use in threads.
        gauge: The same, for short looks from the event loop.
        remember: Seconds for which the ids are remembered that callers gave.
        on_event: Called when something happens that people want to know of.
    """

    def __init__(
        self,
        database: Database,
        gauge: Database,
        *,
        remember: float,
        on_event: Callable[[OutboxEvent], object] | None,
    ) -> None:
        self._database = database
        self._gauge = gauge
        self._remember = remember
        self._forgets_at = -math.inf
        self._on_event = on_event
        self._one_by_one = anyio.CapacityLimiter(1)
        self._trouble: str | None = None
        self._to_mark: deque[int] = deque()
        self._marked: set[int] = set()
        self._sending: set[int] = set()

    async def begin(self) -> None:
        """Take over: put aside what the last drainer left in doubt."""
        failures = await self._in_thread(self._begin)
        self._to_mark.clear()
        self._marked.clear()
        self._sending.clear()
        self._tell_failures(failures)

    def _begin(self) -> list[rows.Failure]:
        now = time.time()
        with self._database.writing() as connection:
            failures = [
                rows.Failure(row, "uncertain", _DIED, 1) for row in rows.interrupted(connection)
            ]
            rows.note_failed(connection, failures, now=now)
            # It also shows whether anything can be written: if not, nothing must be sent.
            rows.note_trouble(connection, self._trouble)
        return failures

    async def read(self, after: int) -> list[rows.Row]:
        """Give the rows behind a place; those that can't be read are put aside as dead."""
        while True:
            page, unreadable = await self._in_thread(self._read, after)
            self._tell_failures(unreadable)
            if page or not unreadable:
                return page
            after = unreadable[-1].row.id

    def _read(self, after: int) -> tuple[list[rows.Row], list[rows.Failure]]:
        with self._database.reading() as connection:
            page = rows.read(connection, after=after, most=_ROWS_IN_A_PAGE)
        failures = [
            rows.Failure(row, "dead", described(row.error), 0)
            for row in page
            if row.error is not None
        ]
        if failures:
            with self._database.writing() as connection:
                rows.note_failed(connection, failures, now=time.time())
        return [row for row in page if row.error is None], failures

    def purges(self) -> int:
        """Tell how often something was purged."""
        with self._gauge.reading() as connection:
            return rows.purges(connection)

    async def mark(self, row: rows.Row) -> None:
        """Note that a request is about to be sent that must not be sent twice."""
        self._sending.add(row.id)
        self._marked.add(row.id)
        self._to_mark.append(row.id)
        await self._in_thread(self._mark)

    def _mark(self) -> None:
        # All that wait at once, since they wait for the same disk; who comes later finds it done.
        places = [self._to_mark[index] for index in range(len(self._to_mark))]
        if places:
            with self._database.writing() as connection:
                for place in places:
                    rows.note_under_way(connection, place, is_under_way=True)
            for _ in places:  # only now: if that failed, nobody may believe it done
                self._to_mark.popleft()

    def note_unsent(self, row: rows.Row) -> None:
        """Note that a request was certainly not applied; `unmark` writes it down."""
        self._sending.discard(row.id)

    async def unmark(self, row: rows.Row) -> None:
        """Write down that a request isn't about to be sent any more, if so it is by then."""
        if row.id in self._marked:
            await self._in_thread(self._unmark, row.id)

    def _unmark(self, place: int) -> None:
        # In the time that this took to begin it may be sent again.
        if place not in self._sending:
            with self._database.writing() as connection:
                rows.note_under_way(connection, place, is_under_way=False)
            self._marked.discard(place)

    async def record(self, delivered: Sequence[rows.Row], failures: Sequence[rows.Failure]) -> None:
        """Write down what became of requests."""
        await self._in_thread(self._record, delivered, failures)
        self._tell_failures(failures)

    def _record(self, delivered: Sequence[rows.Row], failures: Sequence[rows.Failure]) -> None:
        now = time.time()
        with self._database.writing() as connection:
            rows.note_delivered(connection, delivered, now=now)
            rows.note_failed(connection, failures, now=now)
            if now >= self._forgets_at:
                rows.forget_delivered(connection, before=now - self._remember)
                self._forgets_at = now + _SECONDS_BETWEEN_FORGETTING
        for row in delivered:
            self._marked.discard(row.id)

    async def note_trouble(self, trouble: str | None) -> None:
        """Keep what the drainer can't get over by itself, for whoever looks; None if all is well.

        A file that can't be written is no reason to stop: whatever is wrong shows elsewhere.
        """
        self._trouble = trouble
        try:
            await self._in_thread(self._note_trouble, trouble)
        except OutboxError as error:
            self.tell("paused", error=described(error))

    def _note_trouble(self, trouble: str | None) -> None:
        with self._database.writing() as connection:
            rows.note_trouble(connection, trouble)

    async def note_well(self) -> None:
        """Note that the trouble is over, if there was any."""
        if self._trouble is not None:
            await self.note_trouble(None)
            self.tell("resumed")

    def _tell_failures(self, failures: Iterable[rows.Failure]) -> None:
        for failure in failures:
            self._marked.discard(failure.row.id)
            request = failure.row.request
            tell(
                self._on_event,
                OutboxEvent(
                    kind=failure.kind,
                    path=self._database.path,
                    delivery_id=failure.row.delivery_id,
                    operation=None if request is None else operation_for(request).name,
                    error=failure.error,
                ),
            )

    def tell(
        self, kind: OutboxEventKind, *, error: str | None = None, delay: float | None = None
    ) -> None:
        """Tell of something that isn't about one delivery."""
        event = OutboxEvent(kind=kind, path=self._database.path, error=error, delay=delay)
        tell(self._on_event, event)

    async def _in_thread(self, function: Callable[..., ResultT], *arguments: object) -> ResultT:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._one_by_one)
