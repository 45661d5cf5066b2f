"""A lock that a fork can't leave held: whoever held it in the parent is not in the child."""

import os
import threading
import weakref


class ForkSafeLock:
    """Holds a lock that is free in a forked child: ``with lock.current: ...``.

    It is no context manager itself: Ctrl-C in a method of its own would leave it held.
    """

    __slots__ = ("__weakref__", "current")

    def __init__(self) -> None:
        self.renew()
        _LOCKS.add(self)

    def renew(self) -> None:
        """Take a new lock, which nobody holds."""
        self.current = threading.Lock()


_LOCKS: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in list(_LOCKS):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
