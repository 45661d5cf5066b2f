"""The event loop that the synchronous clients of a process share, in a thread of its own.

anyio's `BlockingPortal` makes the caller wait, with locks that the loop takes too, until the loop
has taken a call. Ctrl-C in that moment leaves a request running or stops the loop for good, and a
listener that blocks the loop keeps the interpreter from exiting. Here the loop waits for nobody,
and a caller only for the result; that also costs a quarter less CPU for each call.
"""

import atexit
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
from sendx_async._runtime.loops import run_soon_in_this_loop

ResultT = TypeVar("ResultT")

_SECONDS_TO_CLOSE = 1.0
_SECONDS_DEAF = 0.5  # that a caller may overlook Ctrl-C

# A module that is half imported at the moment of a fork is broken in the child for good. A fork
# waits for a portal's start, so that is when to import what a call would import later.
_IMPORTED_BY_A_FIRST_CALL = ("encodings.idna", "concurrent.futures.thread")


class _Portal:
    """A thread that runs an event loop, which other threads hand coroutine functions to.

    The thread is a daemon, or the interpreter would wait for it before it comes to closing it.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._started: Future[anyio.abc.TaskGroup] = Future()
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
            anyio.run(self._serve, backend=self._backend)
        except BaseException as error:  # noqa: BLE001 - whoever started the thread gets it
            self._started.set_exception(error)

    async def _serve(self) -> None:
        self._run_soon = run_soon_in_this_loop()
        async with anyio.create_task_group() as tasks:
            self._started.set_result(tasks)
            await anyio.sleep_forever()

    def is_current(self) -> bool:
        """Return whether it is this thread that asks."""
        return threading.current_thread() is self._thread

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        """Start a task, without waiting for the loop; the function must not raise."""
        self._run_soon(self._tasks.start_soon, function)

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
        self.cancel(self._tasks.cancel_scope)
        self._thread.join(_SECONDS_TO_CLOSE)


class _Crossing(Generic[ResultT]):
    """A coroutine function that is run in a portal, and can be abandoned at any moment."""

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

    def run_in(self, portal: _Portal) -> ResultT:
        """Run it, and wait for its result or error."""
        try:
            portal.start(self._run)
            # Ctrl-C in the instant before a thread blocks is noticed only when it wakes up.
            while not self._has_ended.acquire(timeout=_SECONDS_DEAF):
                pass
        except BaseException:
            # In this order, and that of _run, at least one side sees what the other has written.
            self._is_abandoned = True
            if self._scope is not None:
                portal.cancel(self._scope)
            raise
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
            # What loops cancel with, on trio also in groups: the portal is being closed.
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


class Portals:
    """The portals of this process, by anyio backend; each is started when it is first needed."""

    def __init__(self) -> None:
        # Reentrant, since a signal's handler may make calls, and fork, at any moment.
        self._lock = threading.RLock()
        self._running: dict[str, _Portal] = {}
        self._dead: list[_Portal] = []
        self._process = os.getpid()
        self._is_closed = False

    def run(self, backend: str, function: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run a coroutine function in the portal and give its result.

        If the wait is interrupted (Ctrl-C), the coroutine is cancelled.

        Raises:
            ClientClosedError: The interpreter is exiting, and the portals are closed.
            ConnectError: The portal can't be started.
            ResponseLost: The interpreter exits while a daemon thread waits here.
        """
        return _Crossing(function).run_in(self._get(backend))

    def spawn(self, backend: str, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task that outlives the call, from a coroutine that `run` runs.

        The task has the context variables of the call.
        """
        self._running[backend].spawn(function)

    def call_soon(self, backend: str, function: Callable[[], object]) -> None:
        """Have a function called in the portal's thread, without waiting for it.

        Raises:
            RuntimeError: The portal was closed.
        """
        self._get(backend).call_soon(function)

    def is_running(self, backend: str) -> bool:
        """Return whether this process has a portal of that kind already."""
        self._notice_fork()
        return backend in self._running

    def is_current(self, backend: str) -> bool:
        """Return whether this is the thread of that portal, which can't wait for itself."""
        self._notice_fork()
        portal = self._running.get(backend)
        return portal is not None and portal.is_current()

    def _get(self, backend: str) -> _Portal:
        self._notice_fork()
        return self._running.get(backend) or self._start(backend)

    def _start(self, backend: str) -> _Portal:
        with self._lock:
            if self._is_closed:
                raise ClientClosedError(
                    "the interpreter is exiting and has closed all synchronous clients: register "
                    "what has to be called at exit after the import of sendx_async"
                )
            if backend not in self._running:
                try:
                    self._running[backend] = _Portal(backend)
                except (OSError, RuntimeError) as error:
                    raise ConnectError(
                        f"the event loop of the synchronous clients can't be started: {error}"
                    ) from error
            return self._running[backend]

    def _notice_fork(self) -> None:
        # register_at_fork is not called for every way to fork (C extensions), so look as well.
        if os.getpid() != self._process:
            self.begin_anew()

    def hold(self) -> None:
        """Let no portal be starting, or closing, at the moment of a fork."""
        self._lock.acquire()

    def release(self) -> None:
        """Go on in the parent process after a fork."""
        self._lock.release()

    def begin_anew(self) -> None:
        """Forget the portals of the parent process after a fork: their threads are not here.

        They are kept, since collecting them would close sockets that the parent is using.
        """
        self._lock = threading.RLock()
        self._dead.extend(self._running.values())
        self._running = {}
        self._process = os.getpid()

    def close(self) -> None:
        """Close all portals; none can be started any more."""
        self._notice_fork()
        with self._lock:
            self._is_closed = True
            while self._running:
                _, portal = self._running.popitem()
                portal.close()


# One per process by design: each further loop would cost a thread, and every client can share it.
portals = Portals()
atexit.register(portals.close)
around_forks(
    before=portals.hold, after_in_parent=portals.release, after_in_child=portals.begin_anew
)
