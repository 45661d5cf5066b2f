"""Locks that neither a signal's exception nor a fork leaves held."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from sendx_async._core.locks import Latch, Lock

needs_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no forks")
needs_a_timer = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="Windows has no such timer"
)

SECONDS = 30


@contextmanager
def held_by_a_thread(lock: Lock) -> Generator[None]:
    held, may_end = threading.Event(), threading.Event()

    def hold() -> bool:
        held.set()
        return may_end.wait(SECONDS)

    thread = threading.Thread(target=lock.run, args=(hold,))
    thread.start()
    assert held.wait(SECONDS)
    try:
        yield
    finally:
        may_end.set()
        thread.join(SECONDS)


def exit_code_of_a_child(function: Callable[[], bool]) -> int:
    """Fork, and tell what became of a function there: 0 if it returned True."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if function() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_one_thread_at_a_time_has_it_and_the_same_one_again_within() -> None:
    lock = Lock()
    assert (lock.is_held, lock.is_mine) == (False, False)
    assert lock.run(lambda: lock.run(lambda: (lock.is_held, lock.is_mine))) == (True, True)
    assert (lock.is_held, lock.is_mine) == (False, False)
    with held_by_a_thread(lock):
        assert (lock.is_held, lock.is_mine) == (True, False)
        assert not lock.hold(0.0)
        lock.release()  # as after a fork for which it couldn't be held
        assert lock.is_held


def test_an_error_gives_it_back() -> None:
    lock = Lock()
    with pytest.raises(ValueError, match="none"):
        lock.run(lambda: int("none"))
    assert lock.run(lambda: "free") == "free"


def test_who_forks_while_having_it_goes_on_having_it() -> None:
    lock = Lock()

    def fork_in_a_handler() -> bool:
        assert not lock.hold()
        lock.release()
        return lock.is_mine

    assert lock.run(fork_in_a_handler)
    assert lock.hold()
    assert lock.is_mine
    lock.release()
    assert not lock.is_held


@needs_forks
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child() -> None:
    lock = Lock()
    with held_by_a_thread(lock):
        assert exit_code_of_a_child(lambda: lock.run(lambda: lock.is_mine)) == 0


@needs_forks
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_child_that_is_forked_within_gives_nobody_elses_lock_back() -> None:
    lock = Lock()

    def fork_within() -> bool:
        def goes_on() -> bool:
            with held_by_a_thread(lock):
                return lock.is_held and not lock.is_mine

        return exit_code_of_a_child(goes_on) == 0

    assert lock.run(fork_within)
    assert not lock.is_held


@needs_a_timer
def test_nothing_runs_without_it_whatever_a_handler_raises() -> None:
    def interrupt(*_: object) -> None:
        raise StopIteration  # which ends iterators

    lock, ran = Lock(), []
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with held_by_a_thread(lock):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            with pytest.raises((StopIteration, ValueError)):
                lock.run(lambda: ran.append("ran"))
            assert ran == []
            assert lock.is_held
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_latch_is_opened_once_for_all() -> None:
    latch = Latch()
    assert not latch.wait(0.0)
    latch.open()
    latch.open()
    assert latch.wait()


STORM = """
import random, signal, sys, threading
from sendx_async._core.locks import Lock

class Interrupted(Exception):
    pass

def soon():
    return random.uniform(0.00002, 0.0002)

def interrupt(*_):
    if random.random() < 0.5:
        lock.run(body)  # and goes on
        signal.setitimer(signal.ITIMER_REAL, soon())
    else:
        raise Interrupted

seed, interrupts = map(int, sys.argv[1:])
random.seed(seed)
lock = Lock()
count = 0
is_over = False

def body():
    global count
    count += 1

def compete():
    while not is_over:
        lock.run(body)

sys.setswitchinterval(0.00005)
signal.signal(signal.SIGALRM, interrupt)
rival = threading.Thread(target=compete, daemon=True)
rival.start()
interrupted = left_held = 0
while interrupted < interrupts:
    try:
        signal.setitimer(signal.ITIMER_REAL, soon())
        while True:
            lock.run(body)
    except Interrupted:
        interrupted += 1
        left_held += lock.is_mine
is_over = True
rival.join(60)
free = threading.Thread(target=lock.run, args=(body,), daemon=True)
free.start()
free.join(60)
print(left_held, rival.is_alive(), free.is_alive())
"""


@needs_a_timer
@pytest.mark.slow
@pytest.mark.usefixtures("children_unmeasured")
def test_exceptions_at_any_moment_leave_it_free() -> None:
    seed = random.randrange(1_000_000)
    print("the seed:", seed)  # noqa: T201 - pytest shows it where the test fails
    done = subprocess.run(
        [sys.executable, "-c", STORM, str(seed), "3000"],
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("0 False False\n", "", 0)
