"""Being told to stop: Ctrl-C and SIGTERM, for commands that run an event loop."""

import asyncio
import contextlib
import signal
from collections.abc import Callable


def call_when_told_to_stop(function: Callable[[int], object]) -> None:
    """Have this called in the running loop at each Ctrl-C and SIGTERM from now on.

    Args:
        function: What to call, with the signal's number.
    """
    loop = asyncio.get_running_loop()

    def stop(number: int, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(function, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
