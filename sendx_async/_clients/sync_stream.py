"""What `TrackingClient.send_many` gives: outcomes, taken in the caller's thread."""

import os
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from sendx_async._core.errors import ClientClosedError
from sendx_async._runtime.shared_loop import shared_loop
from sendx_async._streams.outcomes import Outcome
from sendx_async._streams.source import ThreadedSource
from sendx_async._streams.stream import AsyncOutcomeStream

_TAKEN_AT_A_TIME = 25
_SECONDS_FOR_THE_SOURCE = 1.0


class OutcomeStream:
    """Outcomes of the requests of a source, in order of completion; made by ``send_many``.

    As `AsyncOutcomeStream`, without ``await``: requests are sent in the event loop that all
    synchronous clients share, the source is read in a thread of its own, so that it may block, and
    outcomes are taken in the caller's.

    Args:
        stream: The asynchronous stream.
        source: Where it reads.
        run: Runs a coroutine function in the shared event loop, and waits for it.
    """

    __module__ = "sendx_async"

    def __init__(
        self,
        stream: AsyncOutcomeStream,
        *,
        source: ThreadedSource,
        run: Callable[[Callable[[], Awaitable[Any]]], Any],
    ) -> None:
        # Both streams are two faces of one dispatcher.
        self._dispatcher = stream._dispatcher  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        self._source = source
        self._run = run
        self._process: int | None = None
        self._handed_out = 0

    @property
    def unclaimed(self) -> tuple[Outcome, ...]:
        """As `AsyncOutcomeStream.unclaimed`.

        A source that blocks when the stream is left is waited for, for a second, and not
        interrupted; if it gives one more request after that, this has it once it has come. So give
        a source that may block for long, such as a queue, a timeout.
        """
        return tuple(self._dispatcher.unclaimed())

    @property
    def unsent(self) -> tuple[Outcome, ...]:
        """As `AsyncOutcomeStream.unsent`."""
        return tuple(self._dispatcher.unsent())

    def __enter__(self) -> Self:
        if self._process is not None:
            raise RuntimeError("a stream can be opened only once: call send_many again")
        self._process = os.getpid()
        try:
            self._run(self._open)
        except BaseException:
            # If it comes to run after all.
            shared_loop.call_soon(self._dispatcher.leave)
            raise
        return self

    async def _open(self) -> None:
        shared_loop.spawn(self._dispatcher.run)

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if os.getpid() == self._process and shared_loop.is_running():
            self._run(self._close)
            # What it is about to give belongs to what is left; it may also block for ever.
            self._source.join(_SECONDS_FOR_THE_SOURCE)

    async def _close(self) -> None:
        self._dispatcher.leave()
        await self._dispatcher.outcomes.end()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Outcome:
        """Return the next outcome, waiting for it; errors as `AsyncOutcomeStream.__anext__`."""
        if self._process is None:
            raise RuntimeError("open the stream first: with client.send_many(...) as outcomes")
        if self._process != os.getpid():
            raise ClientClosedError(
                "the stream was opened before the process was forked, and belongs to the parent"
            )
        outcomes = self._dispatcher.outcomes
        self._handed_out += 1
        if not self._handed_out % _TAKEN_AT_A_TIME:
            shared_loop.call_soon(outcomes.make_room)
        # Taken here, not in the event loop: an interrupted wait must not lose an outcome.
        outcome = outcomes.take()
        while outcome is None:
            if not self._run(outcomes.arrival):
                raise StopIteration
            outcome = outcomes.take()
        return outcome
