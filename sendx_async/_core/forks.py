"""What is to be done around forks, and a lock that no fork leaves held."""

import os
import threading
import weakref
from collections.abc import Callable


def around_forks(**hooks: Callable[[], object]) -> None:
    """Have functions called around each fork, as `os.register_at_fork` does, if there are forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)


class ForkSafeLock:
    """Holds a lock that is free in a forked child: ``with lock.current: ...``.

    Whoever held it in the parent is not in the child.

    It is no context manager itself: Ctrl-C in a method of its own would leave it held.
    """

    __slots__ = ("__weakref__", "current")

    def __init__(self) -> None:
        self.renew()
        _LOCKS.add(self)

    def hold(self) -> None:
        """Let nobody have it in the moment of a fork; a thread that forks calls this before."""
        self.current.acquire()

    def release(self) -> None:
        """Go on in the parent after a fork."""
        self.current.release()

    def renew(self) -> None:
        """Replace the lock by one that nobody holds."""
        self.current = threading.Lock()


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


around_forks(after_in_child=_renew_all)
