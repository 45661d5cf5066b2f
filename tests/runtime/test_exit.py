"""Synchronous clients at the interpreter's exit, each in a process of its own with a limit."""

import subprocess
import sys

import pytest

from sendx_async.testing import FakeSendX

PRELUDE = """
import atexit, os, sys, threading
from sendx_async import SendXError, RetryPolicy, TrackingClient
key, url = sys.argv[1:]
def make(**options):
    return TrackingClient(key, base_url=url, **options)
def in_thread(function, daemon):
    threading.Thread(target=function, daemon=daemon).start()
def identify(client, name):
    try:
        client.identify_contact({"email": f"{name}@example.com"})
    except SendXError as error:
        print(name, type(error).__name__, error.maybe_delivered, error, flush=True)
    else:
        print(name, "identified", flush=True)
"""

pytestmark = pytest.mark.slow


def run(
    script: str, fake: FakeSendX, *, before_import: str = ""
) -> "subprocess.CompletedProcess[str]":
    code = before_import + PRELUDE + script
    return subprocess.run(
        [sys.executable, "-c", code, fake.api_key, fake.url],
        capture_output=True,
        text=True,
        timeout=150,  # what would keep the interpreter does so for longer
        check=False,
    )


def test_exit_without_close_is_quick(fake_sendx: FakeSendX) -> None:
    done = run("client = make(); identify(client, 'jane')", fake_sendx)
    assert done.returncode == 0
    assert done.stderr == ""
    fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0)


def test_exit_while_daemon_threads_hang_is_quick(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(path="track", times=None)
    script = """
def note(event):
    if event.kind == "call_started":
        begun.release()
client = make(deadline=None, timeout=1000, on_event=note)
begun = threading.Semaphore(0)
def hang():
    client.track_contact({"email": "jane@example.com", "add_tags": ["x"]})
for _ in range(5):
    in_thread(hang, daemon=True)
for _ in range(5):
    begun.acquire()
"""
    done = run(script, fake_sendx)
    assert done.returncode == 0
    fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0)


def test_a_call_cut_off_by_the_exit_says_so(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    script = """
begun, ended = threading.Event(), threading.Event()
client = make(on_event=lambda e: begun.set())
def hang():
    identify(client, "hanging")
    ended.set()
in_thread(hang, daemon=True)
begun.wait()
"""
    # What is registered before the package is imported runs after the package has closed.
    early = "import atexit\natexit.register(lambda: ended.wait(100))\n"
    done = run(script, fake_sendx, before_import=early)
    assert "hanging ResponseLost True the interpreter exits during the call" in done.stdout
    assert done.stderr == ""


def test_exit_while_daemon_threads_go_on_calling_is_clean(fake_sendx: FakeSendX) -> None:
    script = """
client = make()
begun = threading.Semaphore(0)
def repeat():
    while True:
        try:
            client.identify_contact({"email": "jane@example.com"})
        except SendXError:
            break
        begun.release()
for _ in range(10):
    in_thread(repeat, daemon=True)
for _ in range(50):
    begun.acquire()
"""
    done = run(script, fake_sendx)
    assert done.stderr == ""


def test_exit_waits_for_calls_in_other_threads_as_python_does(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(path="track", times=None)
    script = """
client = make(deadline=0.5, retry=RetryPolicy(0))
identify(client, "jane")
def hang():
    try:
        client.track_contact({"email": "jane@example.com", "add_tags": ["x"]})
    except SendXError as error:
        print(type(error).__name__, flush=True)
in_thread(hang, daemon=False)
"""
    done = run(script, fake_sendx)
    assert "DeadlineExceeded" in done.stdout
    assert done.stderr == ""


def test_a_listener_that_blocks_does_not_keep_the_interpreter(fake_sendx: FakeSendX) -> None:
    script = """
blocked = threading.Event()
def listener(event):
    blocked.set()
    threading.Event().wait()
client = make(on_event=listener)
in_thread(lambda: client.identify_contact({"email": "jane@example.com"}), daemon=True)
blocked.wait()
"""
    done = run(script, fake_sendx)
    assert done.returncode == 0


def test_calls_from_atexit_work_as_long_as_the_loop_is_open(fake_sendx: FakeSendX) -> None:
    script = """
client = make()
identify(client, "before")
atexit.register(client.close)
atexit.register(identify, client, "last")
"""
    done = run(script, fake_sendx)
    assert "last identified" in done.stdout
    assert done.stderr == ""


def test_calls_from_atexit_after_the_end_of_the_loop_are_refused(fake_sendx: FakeSendX) -> None:
    early = """
import atexit
def late():
    identify(client, "late")
    identify(never_used, "never")
    client.close()
    never_used.close()
    print("closed", client.is_closed, never_used.is_closed)
atexit.register(late)
"""
    script = "client, never_used = make(), make()\nidentify(client, 'before')"
    done = run(script, fake_sendx, before_import=early)
    assert "late ClientClosedError False the interpreter is exiting" in done.stdout
    assert "never ClientClosedError False the interpreter is exiting" in done.stdout
    assert "closed True True" in done.stdout
    assert done.stderr == ""


def test_closing_an_unused_client_starts_no_thread(fake_sendx: FakeSendX) -> None:
    script = """
with make() as client:
    pass
print(threading.active_count(), client.is_closed)
"""
    assert run(script, fake_sendx).stdout.strip() == "1 True"


def test_a_first_call_that_can_start_no_thread_says_so(fake_sendx: FakeSendX) -> None:
    # Python 3.12 refuses to start threads in atexit handlers, with this error.
    script = """
client = make()
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
start, threading.Thread.start = threading.Thread.start, refuse
identify(client, "early")
threading.Thread.start = start
identify(client, "later")
client.close()
"""
    done = run(script, fake_sendx)
    assert "early ConnectError False the event loop of the synchronous" in done.stdout
    assert "can't create new thread" in done.stdout
    assert "later identified" in done.stdout


def test_a_loop_that_gets_no_file_handles_says_so(fake_sendx: FakeSendX) -> None:
    pytest.importorskip("resource", reason="Windows has no limit of open files to set")
    script = """
import resource
client = make()
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
import anyio
async def nothing(): pass
anyio.run(nothing)  # imports need file handles too
resource.setrlimit(resource.RLIMIT_NOFILE, (4, limits[1]))
identify(client, "early")
resource.setrlimit(resource.RLIMIT_NOFILE, limits)
identify(client, "later")
client.close()
"""
    done = run(script, fake_sendx)
    assert "early ConnectError False the event loop of the synchronous" in done.stdout
    assert "later identified" in done.stdout


def test_the_first_call_may_come_from_atexit(fake_sendx: FakeSendX) -> None:
    script = """
client = make()
atexit.register(identify, client, "first")
"""
    done = run(script, fake_sendx)
    assert done.stdout == "first identified\n"
    assert done.stderr == ""


# In Python 3.12 none can be started in atexit handlers; others are made to refuse, too.
NO_THREADS = """
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
def at_exit(function):
    def call():
        threading.Thread.start = refuse
        function()
    atexit.register(call)
"""


def test_calls_from_atexit_run_where_they_are_made_if_no_thread_can_be_started(
    fake_sendx: FakeSendX,
) -> None:
    script = """
def listen(event):
    if event.kind == "attempt_finished" and not told:
        told.append(event)
        try:
            client.identify_contact({"email": "within@example.com"})
        except RuntimeError as error:
            print("within", error, flush=True)
told = []
client = make(on_event=listen)
@at_exit
def call():
    identify(client, "first")
    identify(client, "second")
    client.track_custom_event({"identifier": "first@example.com", "name": "exit"})
    client.close()
    identify(client, "closed")
"""
    done = run(NO_THREADS + script, fake_sendx, before_import="import atexit, threading\n")
    within, first, second, closed = done.stdout.splitlines()
    assert within.startswith("within ")
    assert "event loop" in within
    assert (first, second) == ("first identified", "second identified")
    assert closed.startswith("closed ClientClosedError")
    assert done.stderr == ""
    assert [event.name for event in fake_sendx.events] == ["exit"]
    assert fake_sendx.connections.accepted == 1


def test_a_stream_from_atexit_reads_its_source_where_it_is_taken(fake_sendx: FakeSendX) -> None:
    script = """
import contextvars, itertools
name = contextvars.ContextVar("name")
def contacts(count):
    for number in range(count):
        yield {"email": f"{name.get()}{number}@example.com"}
def broken():
    yield from contacts(1)
    raise ValueError("the source is broken")
def blown():
    raise KeyboardInterrupt
    yield
@at_exit
def send():
    client = make()
    name.set("c")
    with client.send_many(contacts(60)) as outcomes:
        print(sum(outcome.error is None for outcome in outcomes), flush=True)
    for source in broken, blown:
        with client.send_many(source()) as outcomes:
            try:
                for outcome in outcomes:
                    print("one")
            except Exception as error:
                print(type(error).__name__, error, flush=True)
    with client.send_many(map(dict, itertools.repeat({"email": "x@example.com"}))) as outcomes:
        next(outcomes)
    print("left", len(outcomes.unclaimed) > 0, flush=True)
"""
    done = run(NO_THREADS + script, fake_sendx, before_import="import atexit, threading\n")
    assert done.stdout.splitlines() == [
        "60", "one", "ValueError the source is broken",
        "RuntimeError the source raised KeyboardInterrupt", "left True",
    ]  # fmt: skip
    assert done.stderr == ""
    assert len(fake_sendx.contacts) == 61


def test_a_call_inside_a_loop_of_the_exit_that_can_start_no_thread_says_what_to_do(
    fake_sendx: FakeSendX,
) -> None:
    script = """
import asyncio, warnings
warnings.simplefilter("ignore")
client = make()
@at_exit
def call():
    async def main():
        identify(client, "early")
    asyncio.run(main())
"""
    done = run(NO_THREADS + script, fake_sendx, before_import="import atexit, threading\n")
    assert done.stdout.startswith("early ConnectError False the interpreter is exiting and can")
    assert done.stderr == ""
