"""Runs something beside a ``with`` statement, and lets errors out of that as they are."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import anyio


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
