"""The event loop that the synchronous clients of a process share, in a thread of its own."""

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import anyio
import anyio.from_thread

from sendx_async._errors import ClientClosedError, ConnectError, ResponseLost

ResultT = TypeVar("ResultT")

_SECONDS_TO_CLOSE = 1.0

_RunSoon = Callable[[Callable[[], object]], object]


class _PortalThread:
    """A thread that runs an anyio portal.

    anyio's own `start_blocking_portal` is a context manager whose thread, in several versions,
    keeps the interpreter from exiting; this one is a daemon and is closed with a limit.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._started: Future[tuple[anyio.from_thread.BlockingPortal, _RunSoon]] = Future()
        self._scope = anyio.CancelScope()
        self._thread = threading.Thread(target=self._run, name="sendx_async", daemon=True)
        self._thread.start()
        self.portal, self.run_soon = self._started.result()

    def _run(self) -> None:
        try:
            anyio.run(self._serve, backend=self._backend)
        except BaseException as error:  # noqa: BLE001 - whoever started the thread gets it
            self._started.set_exception(error)

    async def _serve(self) -> None:
        with self._scope:
            async with anyio.from_thread.BlockingPortal() as portal:
                self._started.set_result((portal, _run_soon_in_this_loop(self._backend)))
                await portal.sleep_until_stopped()

    def is_current(self) -> bool:
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancel what is running and end the thread, within a limit."""
        self.run_soon(self._scope.cancel)
        self._thread.join(_SECONDS_TO_CLOSE)


def _run_soon_in_this_loop(backend: str) -> _RunSoon:
    """Give what hands a function to the loop from any thread, without waiting for the loop.

    anyio's functions for that wait until the loop has taken it, which a listener that blocks the
    loop would make as long as it likes.
    """
    if backend == "trio":
        import trio.lowlevel  # noqa: PLC0415 - an optional dependency

        return trio.lowlevel.current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


class _Crossing(Generic[ResultT]):
    """A coroutine function that is run in the portal, and can be abandoned at any moment."""

    def __init__(self, function: Callable[[], Awaitable[ResultT]]) -> None:
        self._function = function
        self._result: Future[ResultT] = Future()
        self._scope: anyio.CancelScope | None = None
        self._is_abandoned = False

    def run_in(self, thread: _PortalThread) -> ResultT:
        try:
            thread.portal.start_task_soon(self._run)
            return self._result.result()
        except BaseException:
            # Ctrl-C can come before start_task_soon has returned, so its future is of no use. This
            # order and that in _run make sure that at least one side sees what the other wrote.
            self._is_abandoned = True
            if self._scope is not None:
                thread.run_soon(self._scope.cancel)
            raise

    async def _run(self) -> None:
        try:
            with anyio.CancelScope() as self._scope:
                if not self._is_abandoned:
                    self._result.set_result(await self._function())
        except anyio.get_cancelled_exc_class():
            self._result.set_exception(
                ResponseLost("the interpreter exits during the call", maybe_delivered=True)
            )
            raise
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and mustn't end the loop
            self._result.set_exception(error)


class Portals:
    """The portals of this process, by anyio backend; each is started when it is first needed."""

    def __init__(self) -> None:
        # Reentrant, since a signal's handler may make calls, and fork, at any moment.
        self._lock = threading.RLock()
        self._running: dict[str, _PortalThread] = {}
        self._dead: list[_PortalThread] = []
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

    def is_running(self, backend: str) -> bool:
        """Tell whether this process has a portal of that kind already."""
        self._notice_fork()
        return backend in self._running

    def is_current(self, backend: str) -> bool:
        """Tell whether this is the thread of that portal, which can't wait for itself."""
        self._notice_fork()
        thread = self._running.get(backend)
        return thread is not None and thread.is_current()

    def _get(self, backend: str) -> _PortalThread:
        self._notice_fork()
        return self._running.get(backend) or self._start(backend)

    def _start(self, backend: str) -> _PortalThread:
        with self._lock:
            if self._is_closed:
                raise ClientClosedError(
                    "the interpreter is exiting and has closed all synchronous clients: register "
                    "what has to be called at exit after the import of sendx_async"
                )
            if backend not in self._running:
                try:
                    self._running[backend] = _PortalThread(backend)
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
                _, thread = self._running.popitem()
                thread.close()


# One per process by design: each further loop would cost a thread, and every client can share it.
portals = Portals()
atexit.register(portals.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=portals.hold,
        after_in_parent=portals.release,
        after_in_child=portals.begin_anew,
    )
