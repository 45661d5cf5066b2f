"""Reads the requests of a source, no faster than their outcomes are taken."""

from collections.abc import AsyncIterable, Callable

import anyio.lowlevel

from sendx_async._core.errors import InvalidRequestError
from sendx_async._policy.ordering import Message, OrderedQueue
from sendx_async._runtime.clock import Clock
from sendx_async._streams.outcomes import Outcome, OutcomeQueue, outcomes_of_the_unread
from sendx_async._streams.source import Source, ThreadedSource

_SECONDS_TO_READ = 0.005  # at a stretch, then others may run


class Reader:
    """Puts what a source gives into the queue of what is to be sent.

    Args:
        source: Where the requests come from: models or mappings.
        queue: Takes those that can be sent.
        outcomes: Takes the outcomes of the others, and says when there is room for more.
        clock: The time.

    Attributes:
        is_done: Whether the source has ended, or raised an error.
        error: What it raised.
    """

    def __init__(
        self, source: Source, queue: OrderedQueue, outcomes: OutcomeQueue, clock: Clock
    ) -> None:
        self._source = source
        self._queue = queue
        self._outcomes = outcomes
        self._clock = clock
        self.is_done = False
        self.error: Exception | None = None

    async def read(self, dispatch: Callable[[], object]) -> None:
        """Read until the source has ended.

        Args:
            dispatch: Called when there may be something to send.
        """
        try:
            if isinstance(self._source, AsyncIterable):
                async for request in self._source:
                    self._accept(request)
                    del request  # what the source raises has a traceback with this frame
                    await self._make_room(dispatch)
            else:
                until = self._clock.monotonic() + _SECONDS_TO_READ
                for request in self._source:
                    self._accept(request)
                    del request
                    if self._outcomes.is_full or self._clock.monotonic() > until:
                        await self._make_room(dispatch)
                        await anyio.lowlevel.checkpoint()
                        until = self._clock.monotonic() + _SECONDS_TO_READ
        except Exception as error:  # noqa: BLE001 - whoever takes the outcomes gets it
            self.error = error
        self.is_done = True
        dispatch()

    def stop(self) -> None:
        """Have a thread that reads the source read no more."""
        if isinstance(self._source, ThreadedSource):
            self._source.stop()

    def unread(self) -> list[Outcome]:
        """Return the outcomes of what a thread has read from the source, and nobody from it."""
        given = self._source.rest() if isinstance(self._source, ThreadedSource) else []
        return outcomes_of_the_unread(given, first_index=self._outcomes.read)

    def _accept(self, given: object) -> None:
        index = self._outcomes.read
        self._outcomes.read += 1
        try:
            message = Message.of(index, given)
        except InvalidRequestError as error:
            self._outcomes.put(Outcome(index, given, error=error.with_traceback(None)))
            self._outcomes.tell()
        else:
            self._queue.add(message)

    async def _make_room(self, dispatch: Callable[[], object]) -> None:
        """Have what was read sent, and wait until more may be read."""
        dispatch()
        if self._outcomes.is_full:
            await self._outcomes.wait_for_room()
