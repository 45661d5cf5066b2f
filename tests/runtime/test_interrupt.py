"""Ctrl-C during a synchronous call: a real SIGINT to a process whose call hangs."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from sendx_async.testing import FakeSendX

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send a SIGINT"),
]

LIMIT = 120.0

INTERRUPTED = """
import signal, sys
from sendx_async import TrackingClient

# A test runner in the background may have had SIGINT ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
key, url = sys.argv[1:]
with TrackingClient(key, base_url=url, timeout=60, deadline=None) as client:
    client.identify_contact({"email": "before@example.com"})
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        client.identify_contact({"email": "hanging@example.com"})
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    sys.stdin.readline()
    client.identify_contact({"email": "after@example.com"})
    print("done", flush=True)
    sys.stdin.readline()
"""

# The loop is kept busy by a listener, so it takes the interrupted call only after the interrupt.
BUSY = """
import signal, sys, threading
from sendx_async import TrackingClient

signal.signal(signal.SIGINT, signal.default_int_handler)
key, url = sys.argv[1:]
is_busy, go_on = threading.Event(), threading.Event()
main = threading.get_ident()

def keep_busy(event):
    is_busy.set()
    go_on.wait()

def interrupt_when_main_waits():
    seen = 0
    while seen < 5:  # looks in a row at a thread that nothing else keeps there
        seen = seen + 1 if sys._current_frames()[main].f_code.co_name == "run_in" else 0
        go_on.wait(0.01)
    signal.raise_signal(signal.SIGINT)

with TrackingClient(key, base_url=url, on_event=keep_busy) as client:
    call = {"email": "before@example.com"}
    first = threading.Thread(target=client.identify_contact, args=[call])
    first.start()
    is_busy.wait()
    threading.Thread(target=interrupt_when_main_waits).start()
    try:
        client.identify_contact({"email": "interrupted@example.com"})
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    go_on.set()
    first.join()
    client.identify_contact({"email": "after@example.com"})
    print("done", flush=True)
    sys.stdin.readline()
"""

# An alarm raises what Ctrl-C raises, at moments spread over the first part of a call.
STORM = """
import random, signal, sys, time
from sendx_async import TrackingClient

def interrupt(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
key, url = sys.argv[1:]
with TrackingClient(key, base_url=url) as client:
    began = time.monotonic()
    for _ in range(30):
        client.identify_contact({"email": "before@example.com"})
    one_call = (time.monotonic() - began) / 30
    print("ready", flush=True)
    sys.stdin.readline()
    random.seed(1)
    for number in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 2 * one_call))
            client.identify_contact({"email": f"hanging{number}@example.com"})
        except KeyboardInterrupt:
            continue
    print("interrupted", flush=True)
    sys.stdin.readline()
    client.identify_contact({"email": "after@example.com"})
    print("done", flush=True)
    sys.stdin.readline()
"""


class Child:
    """A process that runs a script, told to go on and listened to line by line."""

    def __init__(self, script: str, fake: FakeSendX) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", script, fake.api_key, fake.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._killer = threading.Timer(LIMIT, self.process.kill)
        self._killer.start()

    def says(self, expected: str) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if line != expected:
            self.process.kill()
            assert self.process.stderr is not None
            pytest.fail(f"{line!r} instead of {expected!r}; {self.process.stderr.read()}")

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ends_well(self) -> None:
        self.says("done")
        self.close()
        assert self.process.returncode == 0

    def close(self) -> None:
        self.process.communicate()
        self._killer.cancel()
        self._killer.join()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for child in children:
        child.process.kill()
        child.close()


def left_over(fake: FakeSendX) -> list[object]:
    """Give the requests that hang on the server's side."""
    return [r for r in fake.requests if r.status is None and not r.disconnected]


def test_ctrl_c_ends_the_call_and_its_request(fake_sendx: FakeSendX, children: list[Child]) -> None:
    child = Child(INTERRUPTED, fake_sendx)
    children.append(child)
    child.says("ready")
    fake_sendx.black_hole()
    child.go_on()
    fake_sendx.wait_for(lambda: len(fake_sendx.requests) == 2, LIMIT)
    os.kill(child.process.pid, signal.SIGINT)
    child.says("interrupted")
    # The child is alive and does nothing: only the interrupted call can have hung up.
    fake_sendx.wait_for(lambda: not left_over(fake_sendx))
    assert fake_sendx.requests[-1].disconnected
    child.go_on()
    child.ends_well()
    assert "after@example.com" in fake_sendx.contacts


def test_a_call_interrupted_before_the_loop_takes_it_is_never_made(
    fake_sendx: FakeSendX, children: list[Child]
) -> None:
    child = Child(BUSY, fake_sendx)
    children.append(child)
    child.says("interrupted")
    child.ends_well()
    assert set(fake_sendx.contacts) == {"before@example.com", "after@example.com"}


@pytest.mark.usefixtures("children_unmeasured")
def test_interrupts_at_any_moment_leave_no_request_running(
    fake_sendx: FakeSendX, children: list[Child]
) -> None:
    child = Child(STORM, fake_sendx)
    children.append(child)
    child.says("ready")
    fake_sendx.black_hole(times=None)
    child.go_on()
    child.says("interrupted")
    fake_sendx.wait_for(lambda: not left_over(fake_sendx))
    assert len(fake_sendx.requests) > 30 + 5
    fake_sendx.recover()
    child.go_on()
    child.ends_well()
    assert "after@example.com" in fake_sendx.contacts
