"""The event loop that the synchronous clients of a process share, and who starts and ends it."""

import atexit
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from sendx_async._core.errors import ClientClosedError
from sendx_async._core.forks import around_forks
from sendx_async._core.locks import Lock
from sendx_async._runtime.background import is_exiting
from sendx_async._runtime.exit_loop import ExitLoop
from sendx_async._runtime.loop_thread import IS_CLOSED, CrossThreadCall, LoopThread, can_not_start

ResultT = TypeVar("ResultT")

_SECONDS_TO_START = 1.0


class SharedLoop:
    """The event-loop thread of this process, which is started when it is first needed.

    Where the interpreter is exiting and starts no threads any more, calls run in those that make
    them.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._thread: LoopThread | ExitLoop | None = None
        self._dead: list[object] = []
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
        return self._running().run(CrossThreadCall(function))

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task that outlives the call, from a coroutine that `run` runs.

        The task has the context variables of the call.
        """
        cast("LoopThread | ExitLoop", self._thread).spawn(function)  # which is where this runs

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

    def _running(self) -> LoopThread | ExitLoop:
        self._notice_fork()
        thread = self._thread
        if thread is not None and thread.is_running:
            return thread
        made: list[LoopThread] = []
        try:
            thread = self._lock.run(lambda: self._replace(made))
            # Not with the lock, which doesn't keep greenlets of one thread apart (gevent): others
            # may run meanwhile, and hand it their calls.
            for each in made:
                each.begin()
        except BaseException as error:
            for each in made:
                each.give_up(error)
            if not made or not isinstance(error, RuntimeError):
                raise
            if not is_exiting():
                raise can_not_start(error) from error
            thread = self._lock.run(self._begin_here)
        return thread

    def _replace(self, made: list[LoopThread]) -> LoopThread | ExitLoop:
        """Return the thread that runs; if there is none make one, and add it to these first."""
        if self._is_closed:
            raise ClientClosedError(IS_CLOSED)
        another = LoopThread()  # first, so that no greenlet comes between the look and the change
        thread = self._thread
        if thread is None or not thread.is_running:
            made += [another]
            self._thread = thread = another
        return thread

    def _begin_here(self) -> LoopThread | ExitLoop:
        if self._thread is None or not self._thread.is_running:
            self._thread = ExitLoop()
        return self._thread

    def _notice_fork(self) -> None:
        # register_at_fork is not called for every way to fork (C extensions), so look as well.
        if os.getpid() != self._process:
            self.begin_anew()

    def hold(self) -> None:
        """Let the thread be neither starting nor closing at the moment of a fork."""
        self._lock.hold()
        if isinstance(self._thread, LoopThread):
            self._thread.wait_for_start(_SECONDS_TO_START)

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
