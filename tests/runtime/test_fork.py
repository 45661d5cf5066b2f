"""Synchronous clients and fork: each scenario in a process of its own, with a limit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX

PRELUDE = """
import os, signal, sys, threading, traceback
from sendx_async import Rate, RetryPolicy, SendXError, TrackingClient
key, url = sys.argv[1:]
def make(**options):
    return TrackingClient(key, base_url=url, **options)
def identify(client, name):
    client.identify_contact({"email": f"{name}@example.com"})
def fork(function):
    pid = os.fork()
    if pid == 0:
        signal.alarm(30)  # ends a child that hangs
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid
def wait(pid):
    status = os.waitpid(pid, 0)[1]
    if status:
        sys.exit(f"a child ended with status {status}")
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]


def run(script: str, fake: FakeSendX, *, before_import: str = "") -> None:
    code = before_import + PRELUDE + script
    done = subprocess.run(
        [sys.executable, "-c", code, fake.api_key, fake.url],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_first_call_in_the_child_works_and_parent_keeps_its_connection(
    fake_sendx: FakeSendX,
) -> None:
    script = """
with make() as client:
    identify(client, "parent")
    wait(fork(lambda: identify(client, "child")))
    identify(client, "parent-again")
"""
    run(script, fake_sendx)
    assert list(fake_sendx.contacts) == [
        "parent@example.com",
        "child@example.com",
        "parent-again@example.com",
    ]
    assert fake_sendx.connections.accepted == 2


@pytest.mark.parametrize("end", ["client.close()", "", "identify(client, 'child')"])
def test_child_that_ends_as_a_program_leaves_the_parent_its_connection(
    fake_sendx: FakeSendX, end: str
) -> None:
    script = f"""
client = make()
identify(client, "parent")
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    {end or "pass"}
    sys.exit(0)  # with all that Python does at exit, collecting the parent's loop included
wait(pid)
identify(client, "parent-again")
client.close()
"""
    run(script, fake_sendx)
    assert "parent-again@example.com" in fake_sendx.contacts
    assert fake_sendx.connections.accepted == 1 + ("identify" in end)


def test_prefork_server(fake_sendx: FakeSendX) -> None:
    script = """
with make() as client:
    identify(client, "parent")
    def serve(worker):
        threads = [
            threading.Thread(target=identify, args=(client, f"w{worker}-{n}")) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
    pids = [fork(lambda: serve(worker)) for worker in range(4)]
    for n in range(20):
        identify(client, f"parent-{n}")
    for pid in pids:
        wait(pid)
    identify(client, "parent-last")
"""
    run(script, fake_sendx)
    assert len(fake_sendx.contacts) == 1 + 4 * 8 + 20 + 1
    assert fake_sendx.connections.accepted <= 1 + 4 * 8


def test_forks_in_the_middle_of_calls_never_hang(fake_sendx: FakeSendX) -> None:
    script = """
with make(rate=Rate(100_000, burst=1000)) as client:
    stop = threading.Event()
    def repeat(worker):
        while not stop.is_set():
            identify(client, f"thread{worker}")
    threads = [threading.Thread(target=repeat, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for n in range(40):
        wait(fork(lambda: identify(client, f"child{n}")))
    stop.set()
    for thread in threads:
        thread.join()
"""
    run(script, fake_sendx)
    assert {f"child{n}@example.com" for n in range(40)} <= set(fake_sendx.contacts)


def test_forks_while_the_first_call_starts_the_loop_never_hang(fake_sendx: FakeSendX) -> None:
    script = """
def first_call(round):
    client = make()
    thread = threading.Thread(target=identify, args=(client, f"parent{round}"))
    thread.start()
    wait(fork(lambda: identify(client, f"child{round}")))
    thread.join()
    client.close()
for round in range(20):
    wait(fork(lambda: first_call(round)))
"""
    run(script, fake_sendx)
    assert len(fake_sendx.contacts) == 40


def test_a_first_call_imports_nothing_once_its_loop_runs(fake_sendx: FakeSendX) -> None:
    # A fork waits for the start of the loop; a module half imported would be broken in the child.
    script = """
before = []
with make(on_event=lambda _: before or before.append(set(sys.modules))) as client:
    identify(client, "jane")
    new = set(sys.modules) - before[0]
    assert not new, new
"""
    run("url = url.replace('127.0.0.1', 'localhost')" + script, fake_sendx)


def test_locks_that_a_thread_holds_at_the_fork_are_free_in_the_child(fake_sendx: FakeSendX) -> None:
    script = """
with make(rate=Rate(1000), retry=RetryPolicy(base=0, cap=0)) as client:
    shared = client._client._shared
    held, done = threading.Event(), threading.Event()
    def hold():
        held.set()
        done.wait()
    thread = threading.Thread(
        target=lambda: shared.rate_limiter._lock.run(lambda: shared.budget._lock.run(hold))
    )
    thread.start()
    held.wait()
    pid = fork(lambda: identify(client, "child"))
    done.set()
    thread.join()
    wait(pid)
"""
    fake_sendx.respond(500)  # a retry takes one from the budget
    run(script, fake_sendx)
    assert "child@example.com" in fake_sendx.contacts


def test_fork_in_a_thread_and_in_the_child_of_a_fork(fake_sendx: FakeSendX) -> None:
    script = """
with make() as client:
    identify(client, "parent")
    def child():
        identify(client, "child")
        wait(fork(lambda: identify(client, "grandchild")))
        identify(client, "child-again")
    statuses = []
    thread = threading.Thread(
        target=lambda: statuses.append(os.waitpid(fork(child), 0)[1])
    )
    thread.start()
    thread.join()
    assert statuses == [0]
"""
    run(script, fake_sendx)
    assert len(fake_sendx.contacts) == 4
    assert fake_sendx.connections.accepted == 3


def test_fork_that_the_library_is_not_told_of(fake_sendx: FakeSendX) -> None:
    # As when something in C forks without calling what is registered.
    before_import = """
import os
import asyncio, httpx  # these need to be told all the same
register = os.register_at_fork
del os.register_at_fork
import sendx_async._core.forks, sendx_async._runtime.shared_loop
os.register_at_fork = register
"""
    script = """
with make() as client:
    identify(client, "parent")
    wait(fork(lambda: identify(client, "child")))
    wait(fork(client.close))
    identify(client, "parent-again")
"""
    run(script, fake_sendx, before_import=before_import)
    assert len(fake_sendx.contacts) == 3
    assert fake_sendx.connections.accepted == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(fake_sendx: FakeSendX, method: str, tmp_path: Path) -> None:
    # What is spawned imports the script, so it has to be a file.
    script = tmp_path / "program.py"
    work = """
client = make()
def work(n):
    identify(client, f"work{n}")
if __name__ == "__main__":
    import multiprocessing
    identify(client, "parent")
    with multiprocessing.get_context(METHOD).Pool(3) as pool:
        pool.map(work, range(12))
        pool.close()
        pool.join()
    identify(client, "parent-again")
    client.close()
"""
    script.write_text(PRELUDE + work.replace("METHOD", repr(method)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script, fake_sendx.api_key, fake_sendx.url],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(fake_sendx.contacts) == 14


def test_borrowed_client_that_the_parent_used_is_refused_in_the_child(
    fake_sendx: FakeSendX,
) -> None:
    script = """
import httpx
used, fresh = (make(http_client=httpx.AsyncClient()) for _ in range(2))
copy = used.with_options(timeout=20)
identify(used, "parent")
def child():
    for client in used, copy:
        try:
            identify(client, "refused")
        except SendXError as error:
            assert "make an http_client and a TrackingClient in each process" in str(error)
        else:
            sys.exit("not refused")
    identify(fresh, "child")
wait(fork(child))
identify(copy, "parent-again")
"""
    run(script, fake_sendx)
    assert list(fake_sendx.contacts) == [
        "parent@example.com",
        "child@example.com",
        "parent-again@example.com",
    ]
