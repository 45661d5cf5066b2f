"""The reader of an outbox: its rows as a source of requests, which waits while there are none."""

import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import anyio
import attrs

from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox._statements import Row

_ROWS_IN_A_PAGE = 200
# In memory. A contact's requests are sent one after the other, so these keep it busy while more
# are read; a hundred such contacts fill the 2,000 that an outbox may read ahead.
_MOST_OF_A_CONTACT = 20
# As many rows as a page has, so that those behind and all others take turns.
_MOST_TO_CATCH_UP = _ROWS_IN_A_PAGE // _MOST_OF_A_CONTACT
_MOST_BEHIND = 1000  # contacts; then others have to wait, or they would fill the memory
_SECONDS_BETWEEN_LOOKS = 0.1  # at what other processes have put; this one's own is told of


class Arrival:
    """Wakes the drain loop of this process when something is put, if it waits for that."""

    def __init__(self) -> None:
        self._waiter: Callable[[], object] | None = None

    def expect(self, waiter: Callable[[], object] | None) -> None:
        """Have this called, at most once, in whatever thread something is put."""
        self._waiter = waiter

    def tell(self) -> None:
        """Wake whoever expects it."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            try:
                waiter()
            except RuntimeError:
                return  # its loop has ended


class ReadPage(Protocol):
    """Reads what a query finds."""

    def __call__(
        self, query: Callable[[sqlite3.Connection], backlog.Page]
    ) -> Awaitable[backlog.Page]: ...


@attrs.define
class _Behind:
    """How far a contact is behind: all else of it was read, up to where the others are.

    Attributes:
        after: The place up to which all about the contact was read.
        stopped_at: The place of a rename that has to wait for another contact to come up to it.
        stopped_by: That contact.
    """

    after: int
    stopped_at: int | None = None
    stopped_by: int | None = None


class RowSource:
    """An asynchronous iterator over the requests of an outbox, without an end.

    It gives each contact's requests in the order in which they were put. A contact that has many in
    memory is passed over: it is *behind*, and read by itself whenever half of those are finished.

    Args:
        read: Reads a page of rows.
        arrival: Tells that something was put.
        ends: Whether it comes to its end where there are no rows.

    Attributes:
        rows: The row of each request that was given, by its index, until `take_out`.
    """

    def __init__(self, read: ReadPage, arrival: Arrival, *, ends: bool) -> None:
        self._read = read
        self._arrival = arrival
        self._ends = ends
        self._queue: deque[Row] = deque()
        self._after = 0  # up to here all was read, but for those behind
        self._given = 0
        self._in_memory: Counter[int] = Counter()  # by contact
        self._behind: dict[int, _Behind] = {}
        self._woken = anyio.Event()
        self.rows: dict[int, Row] = {}

    def __aiter__(self) -> "RowSource":
        return self

    async def __anext__(self) -> Any:
        while not self._queue:
            self._woken = anyio.Event()
            self._arrival.expect(partial(run_soon_in_this_loop(), self._woken.set))
            has_moved = await self._catch_up()
            if len(self._behind) < _MOST_BEHIND:
                has_moved |= await self._go_on()
            if not has_moved:
                if self._ends and not self._behind:
                    raise StopAsyncIteration
                with anyio.move_on_after(_SECONDS_BETWEEN_LOOKS):
                    await self._woken.wait()
        row = self._queue.popleft()
        self.rows[self._given] = row
        self._given += 1
        return row.request

    def take_out(self, index: int) -> Row:
        """Take out the row of a request that is finished; more of its contact may then be read."""
        row = self.rows.pop(index)
        for contact in row.contacts:
            self._in_memory[contact] -= 1
            if not self._in_memory[contact]:
                del self._in_memory[contact]
            if self._is_due(contact):
                self._woken.set()
        return row

    def _put_in(self, row: Row) -> None:
        self._queue.append(row)
        self._in_memory.update(row.contacts)

    async def _go_on(self) -> bool:
        """Read on, for all contacts that aren't behind; return whether there was anything."""
        before = self._after
        page = await self._read(
            partial(backlog.read, after=before, most=_ROWS_IN_A_PAGE, passing=tuple(self._behind))
        )
        for row in page.rows:
            if any(
                contact in self._behind or self._in_memory[contact] >= _MOST_OF_A_CONTACT
                for contact in row.contacts
            ):
                # Nothing about any of them may overtake it.
                for contact in row.contacts:
                    self._behind.setdefault(contact, _Behind(row.id - 1))
            else:
                self._put_in(row)
        self._after = page.last
        return page.last > before

    async def _catch_up(self) -> bool:
        """Read more of some contacts that are behind; return whether there was anything."""
        due = [contact for contact in self._behind if self._is_due(contact)]
        has_moved = False
        for contact in due[:_MOST_TO_CATCH_UP]:
            has_moved |= await self._catch_up_with(contact)
        return has_moved

    def _is_due(self, contact: int) -> bool:
        behind = self._behind.get(contact)
        is_free = behind is not None and behind.stopped_at is None
        return is_free and 2 * self._in_memory[contact] <= _MOST_OF_A_CONTACT

    async def _catch_up_with(self, contact: int) -> bool:
        # To the end of them, so that all have their turn.
        behind = self._behind[contact] = self._behind.pop(contact)
        before = behind.after
        most = _MOST_OF_A_CONTACT - self._in_memory[contact]
        query = partial(backlog.read_contact, contact=contact, after=before, until=self._after)
        page = await self._read(partial(query, most=most))
        for row in page.rows:
            self._stop_if_early(contact, behind, row)
            if behind.stopped_at is not None:
                break
            self._put_in(row)
            for its in [self._behind[each] for each in row.contacts if each in self._behind]:
                its.after, its.stopped_at = row.id, None
        else:
            behind.after = page.last
            if page.last == self._after:
                del self._behind[contact]
        self._let_go_on(contact)
        return behind.after > before

    def _stop_if_early(self, contact: int, behind: _Behind, row: Row) -> None:
        """Stop a contact at a rename to which its other contact hasn't come up."""
        for other in row.contacts:
            its = self._behind.get(other) if other != contact else None
            if its is not None and its.stopped_at != row.id:
                behind.stopped_at, behind.stopped_by = row.id, other

    def _let_go_on(self, contact: int) -> None:
        """Let those go on that a contact had stopped, and whose rename was thrown away."""
        behind = self._behind.get(contact)
        for each in self._behind.values():
            at = each.stopped_at if each.stopped_by == contact else None
            if at is not None and (behind is None or at <= behind.after):
                each.stopped_at = None
