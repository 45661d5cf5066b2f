"""The thread of the synchronous clients' event loop, when it ends while calls are handed to it."""

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from sendx_async import ClientClosedError, ResponseLost
from sendx_async._runtime.loop_thread import CrossThreadCall, LoopThread, SharedLoop


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


def test_a_call_handed_to_a_thread_that_has_ended_is_refused() -> None:
    thread = LoopThread()
    CrossThreadCall(nothing).run_in(thread)
    thread.close()
    with pytest.raises(ClientClosedError, match="the interpreter is exiting"):
        CrossThreadCall(nothing).run_in(thread)
    thread.close()  # again, which does nothing


def test_a_call_handed_to_a_loop_that_takes_no_more_tasks_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A loop that is ending runs what it is handed after its tasks were cancelled.
    thread, handed_over = LoopThread(), threading.Event()
    start = thread.start

    def start_and_let_it_end(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        start(function)
        handed_over.set()

    monkeypatch.setattr(thread, "_takes_tasks", False)
    monkeypatch.setattr(thread, "start", start_and_let_it_end)
    thread.call_soon(lambda: handed_over.wait(20))
    thread.call_soon(lambda: thread.cancel(thread._tasks.cancel_scope))
    with pytest.raises(ClientClosedError, match="the interpreter is exiting"):
        CrossThreadCall(nothing).run_in(thread)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_a_task_has_ended_is_replaced_at_the_next_call() -> None:
    shared = SharedLoop()

    async def fail() -> None:
        raise RuntimeError("a fault of the library")

    async def spawn() -> None:
        shared.spawn(fail)

    shared.run(nothing)
    ended = shared._thread
    assert ended is not None
    with contextlib.suppress(ResponseLost, ClientClosedError):
        shared.run(spawn)
    ended._thread.join(20)
    shared.run(nothing)
    assert shared._thread is not ended
    assert shared.is_running()
    shared.close()
