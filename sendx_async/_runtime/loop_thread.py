"""An event loop in a thread of its own, and a call that another thread makes in it.

anyio's `BlockingPortal` makes the caller wait, with locks that the loop takes too, until the loop
has taken a call. Ctrl-C in that moment leaves a request running or stops the loop for good, and a
listener that blocks the loop keeps the interpreter from exiting. Here the loop waits for nobody,
and a caller only for the result; that also costs a quarter less CPU for each call.
"""

import asyncio
import contextlib
import contextvars
import importlib
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar, cast

import anyio

from sendx_async._core.errors import ClientClosedError, ConnectError, ResponseLost, SendXError
from sendx_async._runtime.loops import keep_real_time, run_soon_in_this_loop
from sendx_async._runtime.real_time import monotonic

ResultT = TypeVar("ResultT")

IS_CLOSED = (
    "the interpreter is exiting and has closed all synchronous clients: register what has to be "
    "called at exit after the import of sendx_async"
)
_SECONDS_TO_CLOSE = 1.0
_SECONDS_BETWEEN_LOOKS = 0.001
_SECONDS_DEAF = 0.5  # that a caller may overlook Ctrl-C

# A module that is half imported at the moment of a fork is broken in the child for good. A fork
# waits for the thread's start, so that is when to import what a call would import later.
_IMPORTED_BY_A_FIRST_CALL = ("encodings.idna", "concurrent.futures.thread")


def can_not_start(failure: BaseException) -> ConnectError:
    """Return the error of a call for which there is no event loop."""
    return ConnectError(f"the event loop of the synchronous clients can't be started: {failure}")


class LoopThread:
    """A thread that runs an event loop, which other threads hand coroutine functions to.

    The thread is a daemon, or the interpreter would wait for it before it comes to closing it. What
    it is handed before its loop runs is kept for then, so that nobody has to wait for its start.

    Attributes:
        is_running: Whether what was started may still be running. `threading.Thread.is_alive` can't
            be asked: up to Python 3.12, Ctrl-C in it makes a thread look dead for good.
    """

    def __init__(self) -> None:
        self._early: deque[Callable[[], object]] = deque()
        self._run_soon: Callable[..., object] | None = None
        self._failure: BaseException | None = None
        self._takes_tasks = self.is_running = True
        self._undecided = [True]
        # In a context of its own: where threads inherit one, as free-threaded Pythons let them, all
        # calls would otherwise keep what the first caller's context says, such as its trace.
        self._thread = threading.Thread(
            target=contextvars.Context().run, args=(self._run,), name="sendx_async", daemon=True
        )

    def begin(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: It can't be started.
        """
        self._thread.start()

    def give_up(self, failure: BaseException) -> None:
        """Let the thread not run, so that nobody waits for it, unless it has begun to.

        What interrupts its start, such as Ctrl-C, doesn't say whether it runs; another thread's
        call may be under way in it.
        """
        if self._is_first():
            self._failure, self.is_running = failure, False

    def _is_first(self) -> bool:
        """Return whether nobody has decided before whether the thread runs."""
        with contextlib.suppress(IndexError):
            return self._undecided.pop()
        return False

    def refusal(self) -> SendXError:
        """Return the error of a call that the thread will not run any more."""
        if self._failure is None:
            return ClientClosedError(IS_CLOSED)
        return can_not_start(self._failure)

    def _run(self) -> None:
        if not self._is_first():
            return
        try:
            for name in _IMPORTED_BY_A_FIRST_CALL:
                # Python 3.11 refuses one of them at its exit, where nobody needs it.
                with contextlib.suppress(RuntimeError):
                    importlib.import_module(name)
            anyio.run(self._serve)
        except BaseException as error:
            if self._run_soon is not None:
                raise
            self._failure = error  # whoever waits for it gets it
        finally:
            self.is_running = False

    async def _serve(self) -> None:
        keep_real_time(asyncio.get_running_loop())
        try:
            async with anyio.create_task_group() as self._tasks:
                self._run_soon = run_soon_in_this_loop()
                self._call_early()
                await anyio.sleep_forever()
        finally:
            self._takes_tasks = False

    def _call_early(self) -> None:
        while self._early:
            self._early.popleft()()

    def wait_for_start(self, seconds: float) -> None:
        """Wait until the loop runs, or will not, but not for longer than so many seconds."""
        until = monotonic() + seconds
        while self._run_soon is None and self.is_running and monotonic() < until:
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def is_current(self) -> bool:
        """Return whether it is this thread that asks."""
        return threading.current_thread() is self._thread

    def run(self, call: "CrossThreadCall[ResultT]") -> ResultT:
        """Run a call, and return its result or raise its error."""
        return call.run_in(self)

    def start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, without waiting for the loop; the function must not raise.

        A thread that is about to end may never start it, nor one that has ended.
        """
        with contextlib.suppress(RuntimeError):  # which a closed loop raises
            self.call_soon(partial(self._start_unless_ending, function))

    def _start_unless_ending(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._takes_tasks:
            self._tasks.start_soon(function)

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task from within the loop; the function must not raise."""
        self._tasks.start_soon(function)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called in the loop, without waiting for it."""
        run_soon = self._run_soon
        if run_soon is None:
            self._early.append(function)
            run_soon, function = self._run_soon, self._call_early
        if run_soon is not None:
            run_soon(function)

    def cancel(self, scope: anyio.CancelScope) -> None:
        """Cancel what runs in a scope, without waiting for the loop."""
        self.call_soon(scope.cancel)

    def close(self) -> None:
        """Cancel what is running and end the thread, within a limit."""
        with contextlib.suppress(RuntimeError):  # which a closed loop raises
            self.call_soon(self._end)
        self._thread.join(_SECONDS_TO_CLOSE)

    def _end(self) -> None:
        self._tasks.cancel_scope.cancel()


class CrossThreadCall(Generic[ResultT]):
    """A coroutine function that another thread's loop runs; it can be abandoned at any moment."""

    def __init__(self, function: Callable[[], Awaitable[ResultT]]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        # A bare lock that the loop only ever releases: a Future has a lock that both sides take,
        # and Ctrl-C at the wrong moment would leave it with the caller.
        self._has_ended = threading.Lock()
        self._has_ended.acquire()
        self._result: ResultT | None = None
        self._error: BaseException | None = None
        self._scope: anyio.CancelScope | None = None
        self._is_abandoned = False

    def run_in(self, thread: LoopThread) -> ResultT:
        """Run it, and wait for its result or error."""
        try:
            thread.start(self.run)
            # Ctrl-C in the instant before a thread blocks is noticed only when it wakes up.
            has_ended = False
            while not has_ended and thread.is_running:
                has_ended = self._has_ended.acquire(timeout=_SECONDS_DEAF)
        except BaseException:
            # In this order, and that of `run`, at least one side sees what the other has written.
            self._is_abandoned = True
            if self._scope is not None:
                thread.cancel(self._scope)
            raise
        if not has_ended and not self._has_ended.acquire(blocking=False):
            raise thread.refusal()
        return self.result()

    def result(self) -> ResultT:
        """Return the result, or raise the error, of a call that has ended."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback leads back to here
        return cast("ResultT", self._result)

    async def run(self) -> None:
        """Run it in this loop; `result` tells what came of it."""
        self._take_over_context()
        try:
            with anyio.CancelScope() as self._scope:
                if not self._is_abandoned:
                    self._result = await self._function()
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - the caller's
            self._error = error
        except BaseException:
            # What loops cancel with: the thread is being closed.
            self._error = ResponseLost(
                "the interpreter exits during the call", maybe_delivered=True
            )
            raise
        finally:
            self._has_ended.release()

    def _take_over_context(self) -> None:
        """Let the caller's context variables (traces, logging) hold in the call."""
        own = contextvars.copy_context()
        variable: contextvars.ContextVar[Any]
        for variable, value in self._context.items():
            if variable not in own:
                variable.set(value)
