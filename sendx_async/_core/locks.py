"""A lock that no exception of a signal's handler and no fork leaves held, and a latch to wait at.

A handler raises (Ctrl-C, Celery's soft time limit) where CPython looks for signals: as a function
in Python begins, at a jump back, and after a call. Python 3.14 also looks after a ``with``
statement has taken its lock and before its body, and then nobody gives it back
(python/cpython#148874).
"""

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import TypeVar

from sendx_async._core.forks import around_forks

ResultT = TypeVar("ResultT")


class _Mutex:
    """A lock of the interpreter, and which thread has it."""

    __slots__ = ("forking", "identify", "lock", "owner")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        # Together with the lock: what gevent patches later would tell greenlets apart that this
        # lock doesn't.
        self.identify = threading.get_ident
        self.owner = self.forking = 0


class Lock:
    """Lets one thread at a time run something, and the same thread anything within that.

    Nobody holds it in a forked child, since whoever did is not there.

    What is taken and what is noted of it belong together: between the two there is no call, no jump
    back and no function that begins, so nothing can raise. It is taken by unpacking an iterator for
    that reason, not by a call. What an application puts in the place of the interpreter's lock, as
    gevent does, is a call like any other.
    """

    __slots__ = ("__weakref__", "_mutex")

    def __init__(self) -> None:
        self.renew()
        _LOCKS.add(self)

    @property
    def is_held(self) -> bool:
        """Whether any thread has it."""
        return self._mutex.owner != 0

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it: a signal's handler asks for what it has interrupted."""
        mutex = self._mutex
        return mutex.owner == mutex.identify()

    def run(self, function: Callable[[], ResultT]) -> ResultT:
        """Return what a function returns that nobody else runs meanwhile."""
        mutex = self._mutex  # the same to the end: in a child that a handler forks it is another
        thread = mutex.identify()
        if mutex.owner == thread:
            return function()
        is_taken = False
        try:
            (is_taken,) = map(mutex.lock.acquire, (True,))
            mutex.owner = thread
            return function()
        finally:
            if is_taken:
                mutex.owner = 0
                mutex.lock.release()

    def hold(self, timeout: float = -1.0) -> bool:
        """Let nobody have it at the moment of a fork; a thread that forks calls this before.

        Args:
            timeout: Seconds to wait for whoever has it; -1 for as long as it takes.

        Returns:
            Whether it was free, so that nobody is in the middle of anything.
        """
        mutex = self._mutex
        thread = mutex.identify()
        if mutex.owner == thread:
            return False
        (is_taken,) = map(mutex.lock.acquire, (True,), (timeout,))
        if is_taken:
            mutex.owner = mutex.forking = thread
        return is_taken

    def release(self) -> None:
        """Go on in the parent after a fork, if it was held for that."""
        mutex = self._mutex
        if mutex.forking == mutex.identify():
            mutex.owner = mutex.forking = 0
            mutex.lock.release()

    def renew(self) -> None:
        """Be free, as in a child that was forked."""
        self._mutex = _Mutex()


class Latch:
    """Opened once, from anywhere; one thread waits for that.

    Whoever opens it takes no lock, as it would for a `threading.Event`: Ctrl-C in the thread that
    waits could leave that lock held.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let go on whoever waits; more than once does nothing more."""
        with contextlib.suppress(RuntimeError):  # of a lock that was released
            self._lock.release()

    def wait(self, timeout: float = -1.0) -> bool:
        """Wait until it is open, and return whether it is.

        Args:
            timeout: Seconds; -1 for as long as it takes.
        """
        return self._lock.acquire(timeout=timeout)


_LOCKS: weakref.WeakSet[Lock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


around_forks(after_in_child=_renew_all)
