"""The thread of the synchronous clients' event loop, when it ends while calls are handed to it."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import anyio
import pytest

from sendx_async import ClientClosedError, ConnectError, ResponseLost
from sendx_async._runtime.loop_thread import CrossThreadCall, LoopThread
from sendx_async._runtime.shared_loop import SharedLoop


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


def test_a_call_handed_to_a_thread_that_has_ended_is_refused() -> None:
    thread = LoopThread()
    thread.begin()
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
    thread.begin()
    CrossThreadCall(nothing).run_in(thread)
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
    assert isinstance(ended, LoopThread)
    with contextlib.suppress(ResponseLost, ClientClosedError):
        shared.run(spawn)
    ended._thread.join(20)
    shared.run(nothing)
    assert shared._thread is not ended
    assert shared.is_running()
    shared.close()


def test_what_is_handed_over_before_the_loop_runs_is_done_then() -> None:
    thread, done = LoopThread(), threading.Event()
    thread.call_soon(done.set)
    thread.wait_for_start(0.01)  # it was not begun
    assert not done.is_set()
    thread.begin()
    assert done.wait(20)
    thread.close()


def test_what_is_handed_over_as_the_loop_begins_to_run_is_done() -> None:
    thread, done = LoopThread(), threading.Event()

    class Early(deque[Callable[[], object]]):
        def append(self, function: Callable[[], object], /) -> None:
            super().append(function)
            thread._run_soon = lambda call: call()

    thread._early = Early()
    thread.call_soon(done.set)
    assert done.is_set()


def test_a_start_that_is_interrupted_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedLoop()

    def interrupt(thread: LoopThread) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LoopThread, "begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.run(nothing)
        given_up = shared._thread
        assert isinstance(given_up, LoopThread)
        with pytest.raises(ConnectError, match="can't be started"):
            CrossThreadCall(nothing).run_in(given_up)
    shared.run(nothing)
    assert shared._thread is not given_up
    shared.close()


def test_a_thread_that_runs_is_kept_though_its_start_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, begin, calls = SharedLoop(), LoopThread.begin, list[str]()

    async def call() -> None:
        calls.append("made")

    def interrupt(thread: LoopThread) -> NoReturn:
        begin(thread)
        CrossThreadCall(call).run_in(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(LoopThread, "begin", interrupt)
    with pytest.raises(KeyboardInterrupt):
        shared.run(nothing)
    begun = shared._thread
    assert isinstance(begun, LoopThread)
    CrossThreadCall(call).run_in(begun)  # as a thread that was there first
    shared.run(call)
    assert calls == ["made"] * 3
    assert shared._thread is begun
    shared.close()


def test_a_thread_that_was_given_up_runs_nothing() -> None:
    thread = LoopThread()
    thread.give_up(KeyboardInterrupt())
    thread.begin()
    thread._thread.join(100)
    with pytest.raises(ConnectError, match="can't be started"):
        CrossThreadCall(nothing).run_in(thread)
    assert thread._run_soon is None


def test_a_thread_that_another_has_started_meanwhile_is_kept() -> None:
    shared, made = SharedLoop(), list[LoopThread]()
    shared.run(nothing)
    assert shared._replace(made) is shared._begin_here() is shared._thread
    assert made == []
    shared.close()
