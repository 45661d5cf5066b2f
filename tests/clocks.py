"""Clocks by which pauses take no time and a slow machine changes nothing."""

import anyio
import anyio.lowlevel

from sendx_async import Clock


class StoppedClock(Clock):
    """A clock whose time passes only where somebody sleeps, and then at once.

    A source is read without a break by it, until there is no room for more.
    """

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.time += max(seconds, 0.0)


class HeldClock(StoppedClock):
    """A stopped clock by which nobody wakes up before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._is_held = True
        self._sleepers: list[anyio.Event] = []

    def release(self) -> None:
        """Let everybody sleep as by a stopped clock from now on."""
        self._is_held = False
        for sleeper in self._sleepers:
            sleeper.set()

    async def sleep(self, seconds: float) -> None:
        until = self.time + seconds
        if self._is_held:
            self._sleepers.append(anyio.Event())
            await self._sleepers[-1].wait()
        await anyio.lowlevel.checkpoint()
        self.time = max(self.time, until)
