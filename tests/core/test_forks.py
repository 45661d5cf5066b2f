"""Locks in forked children, where whoever held them is not."""

import os
import threading

import pytest

from sendx_async._core.forks import ForkSafeLock

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child() -> None:
    lock = ForkSafeLock()
    held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.current:
            held.set()
            may_end.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.current.acquire(timeout=20) else 1)
    _, status = os.waitpid(child, 0)
    may_end.set()
    thread.join(30)
    assert os.waitstatus_to_exitcode(status) == 0
