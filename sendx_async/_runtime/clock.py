"""The clock that a client goes by, so that tests can bring one that doesn't make them wait."""

import anyio

from sendx_async._runtime.real_time import monotonic


class Clock:
    """The time, in seconds that only grow, and waiting until it has passed.

    A client reads it for its rate, pauses, retries, deadlines and a stream's patience, and waits by
    it. What has to wait for an answer is limited by the event loop's own clock. A test may bring a
    clock of its own, by overriding both methods; one that clients of several threads share has to
    be safe for that.
    """

    __module__ = "sendx_async"

    def monotonic(self) -> float:
        """Return the time in seconds since some moment in the past, whatever a test has frozen."""
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until `monotonic` has grown by so many seconds, and let others run meanwhile.

        Args:
            seconds: How many; 0 or less means not at all.
        """
        await anyio.sleep(seconds)
