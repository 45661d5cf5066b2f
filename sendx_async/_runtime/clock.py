"""The clock that a client goes by, so that tests can bring one that doesn't make them wait."""

import time

import anyio


class Clock:
    """The time, in seconds that only grow, and waiting until it has passed.

    A client reads it for rates, pauses, retries, deadlines and patience, and waits by it. A timeout
    of the network goes by the event loop's own clock, as it waits for something real.
    """

    def monotonic(self) -> float:
        """Return the time in seconds since some moment in the past."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await anyio.sleep(seconds)
