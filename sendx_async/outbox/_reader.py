"""The reader of an outbox: its rows as a source of requests, which waits while there are none."""

import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import anyio

from sendx_async._runtime.loops import run_soon_in_this_loop
from sendx_async.outbox._statements import Row

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
    """Reads the rows behind a place, in order; none if there are none."""

    def __call__(self, after: int) -> Awaitable[list[Row]]: ...


class RowSource:
    """An asynchronous iterator over the requests of an outbox, without an end.

    Args:
        read: Reads a page of rows.
        arrival: Tells that something was put.
        ends: Whether it comes to its end where there are no rows.

    Attributes:
        rows: The row of each request that was given, by its index, until its user takes it out.
    """

    def __init__(self, read: ReadPage, arrival: Arrival, *, ends: bool) -> None:
        self._read = read
        self._arrival = arrival
        self._ends = ends
        self._page: deque[Row] = deque()
        self._after = 0
        self._given = 0
        self.rows: dict[int, Row] = {}

    def __aiter__(self) -> "RowSource":
        return self

    async def __anext__(self) -> Any:
        while not self._page:
            arrived = anyio.Event()
            self._arrival.expect(functools.partial(run_soon_in_this_loop(), arrived.set))
            self._page.extend(await self._read(self._after))
            if not self._page:
                if self._ends:
                    raise StopAsyncIteration
                with anyio.move_on_after(_SECONDS_BETWEEN_LOOKS):
                    await arrived.wait()
        row = self._page.popleft()
        self._after = row.id
        self.rows[self._given] = row
        self._given += 1
        return row.request
