"""A clock for tests on which nobody waits."""

import math

import anyio.lowlevel

from sendx_async._core.locks import Lock
from sendx_async._runtime.clock import Clock


class InstantClock(Clock):
    """A clock on which nobody waits: sleeping moves its time on at once.

    A client that goes by it decides as any other, and a test of its pauses, retries and rate takes
    no time: ``AsyncTrackingClient(clock=InstantClock())``. In between its time passes as any does.

    All who share it have one time. What one of them skips has passed for the others too, so it
    counts for the deadlines of calls that are under way. It may be shared by threads. A server goes
    by real time, so what it counts itself, such as `FakeSendX.rate_limit`, needs an ordinary clock.
    """

    __module__ = "sendx_async.testing"

    def __init__(self) -> None:
        self._lock = Lock()
        self._skipped = 0.0

    def monotonic(self) -> float:
        """Return the time in seconds since some moment in the past, skipped ones included."""
        return super().monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        """Let others run once, then move on to the end of the wait, unless it is over.

        Args:
            seconds: By how much the time moves on.
        """
        if seconds == math.inf:
            await anyio.sleep_forever()
        end = self.monotonic() + seconds
        await anyio.lowlevel.checkpoint()
        self._lock.run(lambda: self._skip_to(end))

    def _skip_to(self, end: float) -> None:
        self._skipped += max(0.0, end - self.monotonic())
