"""The event loop of the synchronous clients where the interpreter exits and starts no threads."""

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sendx_async._core.errors import ConnectError
from sendx_async._core.locks import Lock
from sendx_async._runtime.loop_thread import CrossThreadCall
from sendx_async._runtime.loops import is_asyncio, keep_real_time

ResultT = TypeVar("ResultT")


class ExitLoop:
    """An event loop that runs in the threads that make calls, one call at a time.

    Attributes:
        is_running: True.
    """

    is_running = True

    def __init__(self) -> None:
        self._lock = Lock()
        self._runner = asyncio.Runner()
        self._tasks: set[asyncio.Task[None]] = set()
        keep_real_time(self._runner.get_loop())

    def is_current(self) -> bool:
        """Return whether it is this thread that runs it now."""
        return self._lock.is_mine

    def run(self, call: CrossThreadCall[ResultT]) -> ResultT:
        """Run a call, and whatever was spawned before until that ends; return its result.

        Raises:
            ConnectError: Another loop runs in this thread.
        """
        if is_asyncio():
            raise ConnectError(
                "the interpreter is exiting and can start no thread for a synchronous call inside "
                "an event loop: use AsyncTrackingClient there"
            )
        self._lock.run(lambda: self._runner.run(call.run(), context=contextvars.copy_context()))
        return call.result()

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task from within the loop; the function must not raise."""
        task = self._runner.get_loop().create_task(function())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called when the loop runs next."""
        self._runner.get_loop().call_soon_threadsafe(function)

    def close(self) -> None:
        """Cancel what was spawned, and close the loop."""
        with contextlib.suppress(RuntimeError):  # of an executor that can't be waited for
            self._lock.run(self._runner.close)
