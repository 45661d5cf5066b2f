"""What runs beside a ``with`` statement, and whether threads may be started beside anything."""

import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import anyio


def is_exiting() -> bool:
    """Return whether the interpreter is exiting, when Python 3.12 starts no threads."""
    return not threading.main_thread().is_alive()


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
