"""The event loop that the synchronous clients of a process share, in a thread of its own.

anyio's `BlockingPortal` makes the caller wait, with locks that the loop takes too, until the loop
has taken a call. Ctrl-C in that moment leaves a request running or stops the loop for good, and a
listener that blocks the loop keeps the interpreter from exiting. Here the loop waits for nobody,
and a caller only for the result; that also costs a quarter less CPU for each call.
"""

import asyncio
import atexit
import contextlib
import contextvars
import importlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

import anyio
import anyio.abc

from sendx_async._core.errors import ClientClosedError, ConnectError, ResponseLost
from sendx_async._core.forks import around_forks
from sendx_async._core.locks import Lock
from sendx_async._runtime.loops import keep_real_time, run_soon_in_this_loop

ResultT = TypeVar("ResultT")

_IS_CLOSED = (
    "the interpreter is exiting and has closed all synchronous clients: register what has to be "
    "called at exit after the import of sendx_async"
)
_SECONDS_TO_CLOSE = 1.0
_SECONDS_DEAF = 0.5  # that a caller may overlook Ctrl-C

# A module that is half imported at the moment of a fork is broken in the child for good. A fork
# waits for the thread's start, so that is when to import what a call would import later.
_IMPORTED_BY_A_FIRST_CALL = ("encodings.idna", "concurrent.futures.thread")


class LoopThread:
    """A thread that runs an event loop, which other threads hand coroutine functions to.

    The thread is a daemon, or the interpreter would wait for it before it comes to closing it.

    Attributes:
        is_running: Whether what was started may still be running. `threading.Thread.is_alive` can't
            be asked: up to Python 3.12, Ctrl-C in it makes a thread look dead for good.
    """

    def __init__(self) -> None:
        self._started: Future[anyio.abc.TaskGroup] = Future()
        self._takes_tasks = self.is_running = True
        # In a context of its own: where threads inherit one, as free-threaded Pythons let them, all
        # calls would otherwise keep what the first caller's context says, such as its trace.
        self._thread = threading.Thread(
            target=contextvars.Context().run, args=(self._run,), name="sendx_async", daemon=True
        )
        self._thread.start()
        self._tasks = self._started.result()

    def _run(self) -> None:
        try:
            for name in _IMPORTED_BY_A_FIRST_CALL:
                importlib.import_module(name)
            anyio.run(self._serve)
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)  # whoever started the thread gets it
        finally:
            self.is_running = False

    async def _serve(self) -> None:
        keep_real_time(asyncio.get_running_loop())
        self._run_soon = run_soon_in_this_loop()
        try:
            async with anyio.create_task_group() as tasks:
                self._started.set_result(tasks)
                await anyio.sleep_forever()
        finally:
            self._takes_tasks = False

    def is_current(self) -> bool:
        """Return whether it is this thread that asks."""
        return threading.current_thread() is self._thread

    def start(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, without waiting for the loop; the function must not raise.

        A thread that is about to end may never start it, nor one that has ended.
        """
        with contextlib.suppress(RuntimeError):  # which a closed loop raises
            self._run_soon(self._start_unless_ending, function)

    def _start_unless_ending(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._takes_tasks:
            self._tasks.start_soon(function)

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task from within the loop; the function must not raise."""
        self._tasks.start_soon(function)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called in the loop, without waiting for it."""
        self._run_soon(function)

    def cancel(self, scope: anyio.CancelScope) -> None:
        """Cancel what runs in a scope, without waiting for the loop."""
        self._run_soon(scope.cancel)

    def close(self) -> None:
        """Cancel what is running and end the thread, within a limit."""
        with contextlib.suppress(RuntimeError):  # which a closed loop raises
            self.cancel(self._tasks.cancel_scope)
        self._thread.join(_SECONDS_TO_CLOSE)


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
            thread.start(self._run)
            # Ctrl-C in the instant before a thread blocks is noticed only when it wakes up.
            has_ended = False
            while not has_ended and thread.is_running:
                has_ended = self._has_ended.acquire(timeout=_SECONDS_DEAF)
        except BaseException:
            # In this order, and that of _run, at least one side sees what the other has written.
            self._is_abandoned = True
            if self._scope is not None:
                thread.cancel(self._scope)
            raise
        if not has_ended and not self._has_ended.acquire(blocking=False):
            raise ClientClosedError(_IS_CLOSED)
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback leads back to here
        return cast("ResultT", self._result)

    async def _run(self) -> None:
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


class SharedLoop:
    """The event-loop thread of this process, which is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: LoopThread | None = None
        self._dead: list[LoopThread] = []
        self._process = os.getpid()
        self._is_closed = False

    def run(self, function: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run a coroutine function in the loop and return its result.

        If the wait is interrupted (Ctrl-C), the coroutine is cancelled.

        Raises:
            ClientClosedError: The interpreter is exiting, and the loop is closed.
            ConnectError: The thread can't be started.
            ResponseLost: The interpreter exits while a daemon thread waits here.
        """
        return CrossThreadCall(function).run_in(self._running())

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task that outlives the call, from a coroutine that `run` runs.

        The task has the context variables of the call.
        """
        cast("LoopThread", self._thread).spawn(function)  # which is where this runs

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called in the loop, without waiting for it.

        Raises:
            RuntimeError: The loop was closed.
        """
        self._running().call_soon(function)

    def is_running(self) -> bool:
        """Return whether this process has the thread already."""
        self._notice_fork()
        return self._thread is not None

    def is_current(self) -> bool:
        """Return whether this is the loop's thread, which can't wait for itself."""
        self._notice_fork()
        return self._thread is not None and self._thread.is_current()

    def _running(self) -> LoopThread:
        self._notice_fork()
        thread = self._thread
        if thread is not None and thread.is_running:
            return thread
        return self._lock.run(self._start)

    def _start(self) -> LoopThread:
        if self._is_closed:
            raise ClientClosedError(_IS_CLOSED)
        if self._thread is None or not self._thread.is_running:
            try:
                self._thread = LoopThread()
            except (OSError, RuntimeError) as error:
                raise ConnectError(
                    f"the event loop of the synchronous clients can't be started: {error}"
                ) from error
        return self._thread

    def _notice_fork(self) -> None:
        # register_at_fork is not called for every way to fork (C extensions), so look as well.
        if os.getpid() != self._process:
            self.begin_anew()

    def hold(self) -> None:
        """Let the thread be neither starting nor closing at the moment of a fork."""
        self._lock.hold()

    def release(self) -> None:
        """Go on in the parent process after a fork."""
        self._lock.release()

    def begin_anew(self) -> None:
        """Forget the thread of the parent process after a fork: it is not here.

        The object is kept, since collecting it would close sockets that the parent is using.
        """
        self._lock.renew()
        if self._thread is not None:
            self._dead.append(self._thread)
            self._thread = None
        self._process = os.getpid()

    def close(self) -> None:
        """End the thread; none can be started any more."""
        self._notice_fork()
        self._lock.run(self._close)

    def _close(self) -> None:
        self._is_closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.close()


# One per process by design: each further loop would cost a thread, and every client can share it.
shared_loop = SharedLoop()
atexit.register(shared_loop.close)
around_forks(
    before=shared_loop.hold,
    after_in_parent=shared_loop.release,
    after_in_child=shared_loop.begin_anew,
)
