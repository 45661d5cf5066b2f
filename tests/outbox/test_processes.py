"""One file and several processes: forks of every kind, and processes that begin together."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="Windows can't fork")


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", script,
         *arguments],
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def check(path: Path, *, pending: int) -> None:
    with Outbox(path) as outbox:
        assert outbox.stats().pending == pending
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


FORK = """
import anyio, os, sys
from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox

outbox = Outbox(sys.argv[1], synchronous=sys.argv[2], timeout=45)

def put(name):
    for number in range(10):
        outbox.put_sync(IdentifyRequest(f"{name}{number}@example.com"))

    async def main():
        for number in range(10):
            await outbox.put(IdentifyRequest(f"{name}-{number}@example.com"))

    anyio.run(main)
    outbox.stats()

put("before")
children = []
for number in range(3):
    child = os.fork()
    if not child:
        put(f"child{number}")
        outbox.close()
        sys.exit()
    children.append(child)
    put(f"parent{number}")
for child in children:
    assert os.waitpid(child, 0)[1] == 0
put("after")
outbox.close()
"""


@needs_fork
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_parent_and_children_put_after_a_fork(path: Path, synchronous: str) -> None:
    run(FORK, str(path), synchronous)
    check(path, pending=20 * 8)


BUSY = """
import os, sys, threading, time
from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox

outbox = Outbox(sys.argv[1], timeout=45)
count = 0
go, stop = threading.Event(), threading.Event()

def put_all_the_time():
    global count
    while go.wait() and not stop.is_set():
        outbox.put_sync(IdentifyRequest("jane@example.com"))
        count += 1

thread = threading.Thread(target=put_all_the_time)
thread.start()
for number in range(10):
    before = count
    go.set()
    while count < before + 3:  # in the midst of its puts
        time.sleep(0.0001)
    child = os.fork()
    if not child:
        for _ in range(5):
            outbox.put_sync(IdentifyRequest("child@example.com"))
        outbox.close()
        os._exit(0)
    go.clear()  # SQLite lets a child wait long for a parent that puts all the time
    assert os.waitpid(child, 0)[1] == 0
stop.set()
go.set()
thread.join()
print(count + 50)
outbox.close()
"""


@needs_fork
def test_forks_while_a_thread_puts(path: Path) -> None:
    check(path, pending=int(run(BUSY, str(path))))


HELD = """
import os, sys, threading
from sendx_async import IdentifyRequest, OutboxError
from sendx_async.outbox import Outbox, _connection

_connection._SECONDS_BEFORE_A_FORK = 0.01
outbox = Outbox(sys.argv[1], timeout=45)
outbox.put_sync(IdentifyRequest("jane@example.com"))
holding, release = threading.Event(), threading.Event()

def hold():
    def use(connection):
        holding.set()
        release.wait(20)
    outbox._writer._database.read(use)

thread = threading.Thread(target=hold)
thread.start()
holding.wait(20)
child = os.fork()
if not child:
    for use in (outbox, Outbox(sys.argv[1])):
        try:
            use.put_sync(IdentifyRequest("child@example.com"))
        except OutboxError as error:
            assert "can't be used in this process" in str(error)
        else:
            os._exit(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
release.set()
thread.join()
outbox.put_sync(IdentifyRequest("parent@example.com"))
outbox.close()
"""


@needs_fork
def test_a_fork_doesnt_wait_for_ever_for_who_uses_the_file(path: Path) -> None:
    # And what would be lost there is refused.
    run(HELD, str(path))
    check(path, pending=2)


DRAIN = """
import anyio, os, sys
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

outbox = Outbox(sys.argv[3], timeout=45)

async def drain():
    async with AsyncTrackingClient(sys.argv[1], base_url=sys.argv[2]) as client:
        await outbox.drain(client)

anyio.run(drain)
child = os.fork()
if not child:
    outbox.put_sync({"email": "late@example.com"})
    anyio.run(drain)
    outbox.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
outbox.close()
"""


@needs_fork
def test_a_child_can_drain_what_its_parent_drained(
    path: Path, outbox: Outbox, fake_sendx: FakeSendX
) -> None:
    outbox.put_sync(IdentifyRequest("jane@example.com"))
    run(DRAIN, fake_sendx.api_key, fake_sendx.url, str(path))
    assert set(fake_sendx.contacts) == {"jane@example.com", "late@example.com"}


WHILE_DRAINING = """
import anyio, os, sys
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox, _leader

outbox = Outbox(sys.argv[3], timeout=45)

async def main():
    async with AsyncTrackingClient(sys.argv[1], base_url=sys.argv[2]) as client:
        async with outbox.draining(client):
            with anyio.fail_after(20):
                while not outbox.stats().is_draining:
                    await anyio.sleep(0.01)
            read, write = os.pipe()
            child = os.fork()
            if not child:
                os.close(write)
                os.read(read, 1)  # until the parent is dead
                stats = outbox.stats()
                lock = _leader.LeaderLock(sys.argv[3])
                print(stats.is_draining, lock.acquire(), flush=True)
                os._exit(0)
            print(outbox.stats().is_draining, flush=True)
            os.kill(os.getpid(), 9)

anyio.run(main)
"""


@needs_fork
def test_the_lock_ends_with_its_process_though_a_child_lives(
    path: Path, outbox: Outbox, fake_sendx: FakeSendX
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WHILE_DRAINING, fake_sendx.api_key, fake_sendx.url, str(path)],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        said, _ = process.communicate(timeout=150)
    assert said.split() == ["True", "False", "True"]
    assert process.returncode == -9


TOGETHER = """
import sys
from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox

with Outbox(sys.argv[1], synchronous=sys.argv[2]) as outbox:
    sys.stdin.readline()
    for number in range(20):
        outbox.put_sync(IdentifyRequest(f"c{number}@example.com"), delivery_id=f"{number}")
        outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
"""


def test_processes_that_begin_together_make_one_file(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", TOGETHER, str(path), synchronous],
            stdin=subprocess.PIPE, text=True,
        )
        for synchronous in ("FULL", "NORMAL", "FULL", "NORMAL")
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        with process:
            process.communicate(timeout=150)
        assert process.returncode == 0
    check(path, pending=20 + 4 * 20)
