"""Which event loop runs here, and how another thread reaches it."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import anyio.lowlevel

from sendx_async._runtime.real_time import monotonic


def is_asyncio() -> bool:
    """Return whether the running event loop is asyncio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_loop() -> Any:
    """Return what stands for the running event loop: asyncio's loop, or trio's token."""
    if is_asyncio():
        return asyncio.get_running_loop()
    import trio.lowlevel  # noqa: PLC0415 - an optional dependency

    return trio.lowlevel.current_trio_token()


def keep_real_time(loop: asyncio.AbstractEventLoop) -> None:
    """Let a loop's timers end also where a test has frozen the time, by which asyncio's own go.

    uvloop's go by a clock that nobody can freeze.
    """
    if isinstance(loop, asyncio.BaseEventLoop):
        vars(loop)["time"] = monotonic


def run_soon_in_this_loop() -> Callable[..., object]:
    """Return what has a function called in the loop, from any thread, without waiting for it."""
    loop = current_loop()
    if not is_asyncio():
        run_sync_soon: Callable[..., object] = loop.run_sync_soon
        return run_sync_soon
    context = contextvars.copy_context()
    # The caller's own context may say that it runs in another kind of loop.
    return lambda *call: loop.call_soon_threadsafe(*call, context=context)


def is_in_a_loop() -> bool:
    """Return whether the code that asks is run by an event loop."""
    try:
        anyio.lowlevel.current_token()
    except RuntimeError:
        return False
    return True
