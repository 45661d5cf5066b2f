"""The event loop that the synchronous clients of a process share, in a thread of its own."""

import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

import anyio
import anyio.from_thread

ResultT = TypeVar("ResultT")

_SECONDS_TO_CLOSE = 1.0


class _PortalThread:
    """A thread that runs an anyio portal.

    anyio's own `start_blocking_portal` is a context manager whose thread, in several versions,
    keeps the interpreter from exiting; this one is a daemon and is closed with a limit.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._started: Future[anyio.from_thread.BlockingPortal] = Future()
        self._thread = threading.Thread(target=self._run, name="sendx_async", daemon=True)
        self._thread.start()
        self.portal = self._started.result()

    def _run(self) -> None:
        try:
            anyio.run(self._serve, backend=self._backend)
        except BaseException as error:  # noqa: BLE001 - whoever started the thread gets it
            if not self._started.done():
                self._started.set_exception(error)

    async def _serve(self) -> None:
        async with anyio.from_thread.BlockingPortal() as portal:
            self._started.set_result(portal)
            await portal.sleep_until_stopped()

    def close(self) -> None:
        """Cancel what is running and end the thread, within a limit."""
        self.portal.start_task_soon(self.portal.stop, True)  # noqa: FBT003 - anyio's signature
        self._thread.join(_SECONDS_TO_CLOSE)


class Portals:
    """The portals of this process, by anyio backend; each is started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, _PortalThread] = {}
        self._dead: list[_PortalThread] = []
        self._process = os.getpid()

    def run(self, backend: str, function: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Run a coroutine function in the portal and give its result.

        If the wait is interrupted (Ctrl-C), the coroutine is cancelled.
        """
        future = self._get(backend).start_task_soon(function)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def is_running(self, backend: str) -> bool:
        """Tell whether this process has a portal of that kind already."""
        self._notice_fork()
        return backend in self._running

    def _get(self, backend: str) -> anyio.from_thread.BlockingPortal:
        self._notice_fork()
        with self._lock:
            thread = self._running.get(backend)
            if thread is None:
                thread = self._running[backend] = _PortalThread(backend)
            return thread.portal

    def _notice_fork(self) -> None:
        # register_at_fork is not called for every way to fork (C extensions), so look as well.
        if os.getpid() != self._process:
            self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the portals of the parent process after a fork: their threads are not here.

        They are kept, since collecting them would close sockets that the parent is using.
        """
        self._lock = threading.Lock()
        self._dead.extend(self._running.values())
        self._running = {}
        self._process = os.getpid()

    def close(self) -> None:
        """Close all portals."""
        self._notice_fork()
        with self._lock:
            while self._running:
                _, thread = self._running.popitem()
                thread.close()


# One per process by design: each further loop would cost a thread, and every client can share it.
portals = Portals()
atexit.register(portals.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=portals.begin_anew)
