"""Where a stream's requests come from: any iterable, read in the event loop or in a thread."""

import contextlib
import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any

import anyio

from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.locks import Latch, Lock
from sendx_async._core.operations import SINGLE_OPERATIONS
from sendx_async._core.wrong_types import rows_of_frame, type_name
from sendx_async._runtime.background import is_exiting

Source = Iterable[Any] | AsyncIterable[Any]


def check_source(source: object, *kinds: type) -> Any:
    """Return a source back if it is of one of these kinds, and no single request or text.

    Raises:
        InvalidRequestError: It isn't.
    """
    given: Any = source
    rows = rows_of_frame(source)
    if rows or not isinstance(given, kinds) or isinstance(given, (str, bytes, Mapping)):
        names = " or ".join(kind.__name__ for kind in kinds)
        problem = f"source must be an {names} of requests, got {type_name(source)}"
        if rows:
            problem += f": give {rows}"
        elif isinstance(source, AsyncIterable):
            problem += ": use AsyncTrackingClient"
        elif callable(source):
            problem += ": call it"
        elif isinstance(source, (Mapping, *(each.takes for each in SINGLE_OPERATIONS))):
            problem += ": put it in a list, or use send"
        del source, given  # tracebacks show the variables of a frame
        raise InvalidRequestError.of("send_many", [problem])
    return source


class ThreadedSource:
    """An asynchronous iterator over an iterable that is read in a daemon thread.

    The thread starts when the first item is asked for, and stops reading when it is told to, or
    when `limit` items wait to be taken.

    Args:
        iterable: What to read.
        call_soon: Has a function called in the event loop, without waiting for it.
        limit: How many items may be read ahead.
    """

    def __init__(
        self,
        iterable: Iterable[Any],
        call_soon: Callable[[Callable[[], object]], None],
        *,
        limit: int,
    ) -> None:
        self._iterable = iterable
        self._call_soon = call_soon
        self._limit = limit
        self._context = contextvars.copy_context()
        self._items: deque[Any] = deque()
        self._lock = Lock()
        self._arrived: anyio.Event | None = None
        self._room: Latch | None = None
        self._thread = threading.Thread(
            target=self._context.run, args=(self._read,), name="sendx_async source", daemon=True
        )
        self._iterator: Iterator[Any] | None = None  # where it is read without a thread
        self._error: BaseException | None = None
        self._is_done = False
        self._is_stopped = False

    def stop(self) -> None:
        """Read no more; an item that the iterable is about to give is kept all the same."""
        self._lock.run(self._stop)

    def _stop(self) -> None:
        self._is_stopped = True
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.open()
            self._room = None

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, but not for longer than so many seconds."""
        with contextlib.suppress(RuntimeError):  # it was never started
            self._thread.join(seconds)

    def rest(self) -> list[Any]:
        """Return the items that were read and not taken."""
        return list(self._items)

    def __aiter__(self) -> "ThreadedSource":
        return self

    async def __anext__(self) -> Any:
        if self._thread.ident is None and self._iterator is None:
            self._begin()
        if self._iterator is not None:
            return self._read_here(self._iterator)
        while (arrived := self._lock.run(self._lack_of_items)) is not None:
            await arrived.wait()
        if self._items:
            return self._lock.run(self._take)
        self._raise_error()
        raise StopAsyncIteration

    def _begin(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:
            if not is_exiting():
                raise
            self._iterator = iter(self._iterable)

    def _read_here(self, iterator: Iterator[Any]) -> Any:
        """Return the next item, where no thread can be started that could wait for it."""
        if self._is_stopped:
            raise StopAsyncIteration
        try:
            return self._context.run(next, iterator)
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - as one that a thread has met
            self._error = error
        self._raise_error()
        raise StopAsyncIteration

    def _lack_of_items(self) -> anyio.Event | None:
        """Return what is set when an item comes, or the end; None if that is here already."""
        if self._items or self._is_done:
            return None
        self._arrived = anyio.Event()
        return self._arrived

    def _take(self) -> Any:
        if len(self._items) == self._limit // 2 + 1:
            self._make_room()
        return self._items.popleft()

    def _raise_error(self) -> None:
        error = self._error
        if isinstance(error, Exception) and not isinstance(error, StopAsyncIteration):
            raise error
        if error is not None:
            # It would end the event loop that all synchronous clients share, or nothing but this.
            raise RuntimeError(f"the source raised {type(error).__name__}") from error

    def _read(self) -> None:
        try:
            for item in self._iterable:
                self._items.append(item)
                del item  # what the iterable raises has a traceback with this frame
                self._tell_arrival()
                room = self._lock.run(self._lack_of_room)
                if room is not None:
                    room.wait()
                if self._is_stopped:
                    break
        except BaseException as error:  # noqa: BLE001 - whoever reads the items gets it
            self._error = error
        finally:
            self._is_done = True
            self._tell_arrival()

    def _lack_of_room(self) -> Latch | None:
        """Return what opens when more may be read; None if it may already."""
        if len(self._items) >= self._limit and not self._is_stopped:
            self._room = Latch()
        return self._room

    def _tell_arrival(self) -> None:
        # Not while holding the lock: the loop, which may be waiting for it, has locks of its own.
        arrived = self._lock.run(self._take_arrival)
        if arrived is not None:
            # A loop that has ended has nobody who waits.
            with contextlib.suppress(RuntimeError):
                self._call_soon(arrived.set)

    def _take_arrival(self) -> anyio.Event | None:
        arrived, self._arrived = self._arrived, None
        return arrived
