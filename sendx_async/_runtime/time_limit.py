"""Limits of time that let the event loop read what has arrived before they end anything.

If a loop was blocked, or its process stopped, its timers come together with all that was received
meanwhile. The limits of asyncio and trio then throw away what takes more than one turn to read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import anyio.lowlevel

from sendx_async._runtime.loops import is_asyncio

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType


# How many turns of the loop an answer may take that has arrived in time. One is enough for most;
# five are the most that were seen, on trio with TLS.
_TURNS = 10


def time_limit(
    seconds: float, *, may_have_ended: Callable[[], bool]
) -> AbstractContextManager[object]:
    """Return what limits the time of its ``with`` statement, in either kind of event loop.

    When the time is over the loop has ten more turns. They are counted, so nothing that goes on
    arriving holds it up.

    Args:
        seconds: The limit; it is over at once if that is 0 or less.
        may_have_ended: Asked when the time is over: whether anything can have arrived that is
            worth more turns.

    Returns:
        A context manager; it raises `TimeoutError` if the time was over first.
    """
    if is_asyncio():
        return AsyncioTimeLimit(seconds, may_have_ended=may_have_ended)
    return _TrioTimeLimit(seconds, may_have_ended)


async def read_what_arrived(is_missing: Callable[[], bool], *, steps: int = 1) -> None:
    """Let the loop read what has arrived, as long as something is missing; ten turns at most.

    Args:
        is_missing: Whether there is anything to be waited for.
        steps: How many tasks hand it on, each of which needs as many turns. Default 1.
    """
    for _ in range(steps * _TURNS):
        if not is_missing():
            return
        await anyio.lowlevel.checkpoint()


class AsyncioTimeLimit:
    """The same as `time_limit` on asyncio, without asking which loop runs.

    Args:
        seconds: See there; None for no limit.
        may_have_ended: See there. Default: always.
    """

    __slots__ = (
        "_cancelled_before", "_handle", "_is_over", "_loop", "_may_have_ended", "_seconds",
        "_task", "_turns",
    )  # fmt: skip

    _handle: asyncio.Handle | None
    _task: asyncio.Task[object]

    def __init__(
        self, seconds: float | None, *, may_have_ended: Callable[[], bool] = lambda: True
    ) -> None:
        self._seconds = seconds
        self._may_have_ended = may_have_ended

    def __enter__(self) -> None:
        """Begin to count."""
        self._handle = None
        if self._seconds is None:
            return
        loop = self._loop = asyncio.get_running_loop()
        task = self._task = cast("asyncio.Task[object]", asyncio.current_task(loop))
        self._cancelled_before = task.cancelling()
        self._turns = _TURNS
        self._is_over = False
        self._handle = loop.call_at(loop.time() + self._seconds, self._turn)

    def _turn(self) -> None:
        if self._turns and self._may_have_ended():
            self._turns -= 1
            self._handle = self._loop.call_soon(self._turn)
        else:
            self._is_over = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End; as `asyncio.timeout` does, tell being over from being cancelled."""
        if self._handle is None:
            return
        self._handle.cancel()
        if (
            self._is_over
            and self._task.uncancel() <= self._cancelled_before
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error


class _TrioTimeLimit:
    """The same on trio, where nobody but a task can wait for anything."""

    def __init__(self, seconds: float, may_have_ended: Callable[[], bool]) -> None:
        import trio  # noqa: PLC0415 - an optional dependency

        self._seconds = seconds
        self._may_have_ended = may_have_ended
        self._limited = trio.CancelScope()
        self._watching = trio.CancelScope()

    def __enter__(self) -> None:
        import trio.lowlevel  # noqa: PLC0415 - an optional dependency

        # First, since trio refuses it when it is about to end.
        trio.lowlevel.spawn_system_task(self._watch)
        self._limited.__enter__()

    async def _watch(self) -> None:
        import trio  # noqa: PLC0415 - an optional dependency

        with self._watching:
            await trio.sleep(max(0.0, self._seconds))
            await read_what_arrived(self._may_have_ended)
            self._limited.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._watching.cancel()
        is_handled = self._limited.__exit__(kind, error, traceback)
        if self._limited.cancelled_caught:
            raise TimeoutError
        return is_handled
