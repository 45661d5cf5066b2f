"""The clock that a client goes by, so that tests can bring one that doesn't make them wait."""

import time

import anyio


class Clock:
    """The time, in seconds that only grow, and waiting until it has passed.

    A client reads it for its rate, pauses, retries and deadlines, and waits by it. What has to wait
    for an answer is limited by the event loop's own clock. A test may bring a clock of its own, by
    overriding both methods.
    """

    __module__ = "sendx_async"

    def monotonic(self) -> float:
        """Return the time in seconds since some moment in the past."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until `monotonic` has grown by so many seconds.

        Args:
            seconds: How many; 0 or less means not at all.
        """
        await anyio.sleep(seconds)
