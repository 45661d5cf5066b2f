"""What runs beside a ``with`` statement, and whether threads may be started beside anything."""

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

import anyio
import anyio.to_thread

ResultT = TypeVar("ResultT")


def is_exiting() -> bool:
    """Return whether the interpreter is exiting, when Python 3.12 starts no threads."""
    return not threading.main_thread().is_alive()


def start_thread(function: Callable[[], object], *, name: str) -> threading.Thread | None:
    """Return the thread in which a function runs that must not hold up the interpreter's exit.

    It is a daemon, since an interpreter that exits would wait for any other.

    Args:
        function: What to run. It is run here where no thread can be started: the interpreter is
            exiting, so nobody minds waiting.
        name: The thread's name.

    Returns:
        The thread; None if the function was run here.
    """
    thread = threading.Thread(target=function, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        function()
        return None
    return thread


async def in_thread(
    function: Callable[[], ResultT], *, limiter: anyio.CapacityLimiter | None = None
) -> ResultT:
    """Return what a function returns that may block, and runs in a thread of anyio's.

    Args:
        function: What to run. It is run here where the interpreter is exiting and starts no thread.
        limiter: How many may run at once. Default: as many as anyio lets.
    """
    has_begun = False

    def begin() -> ResultT:
        nonlocal has_begun
        has_begun = True
        return function()

    try:
        return await anyio.to_thread.run_sync(begin, limiter=limiter)
    except RuntimeError:
        if has_begun or not is_exiting():
            raise
    return function()


@contextlib.asynccontextmanager
async def in_background(
    function: Callable[[], Coroutine[Any, Any, None]], *, stop: Callable[[], object] | None = None
) -> AsyncGenerator[None]:
    """Run a function while this is open, and wait for its end.

    Args:
        function: What runs beside.
        stop: Called when this is left, to let the function end. Default: it is cancelled.
    """
    tasks = anyio.create_task_group()
    await tasks.__aenter__()
    tasks.start_soon(function)
    try:
        yield
    finally:
        (stop or tasks.cancel_scope.cancel)()
        # Without the error, which the task group would wrap in a group.
        await tasks.__aexit__(None, None, None)
