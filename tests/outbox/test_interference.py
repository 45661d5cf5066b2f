"""What others do to an outbox meanwhile: signals, locks, lost files, purges at a bad moment."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    Event,
    IdentifyRequest,
    InvalidRequestError,
    OutboxError,
    RetryPolicy,
    TrackRequest,
)
from sendx_async.outbox import Outbox, OutboxEvent, _drain, _group_commit, _outbox, _statements
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox._connection import Database, OutboxFile
from sendx_async.outbox._entry import Entry
from sendx_async.outbox._journal import Journal
from sendx_async.outbox._notes import Notes
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import drain, until_empty

pytestmark = pytest.mark.slow

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com")
SIGNUP = CustomEventRequest("jane@example.com", "signup")
QUICK = RetryPolicy(2, base=0.001, cap=0.01)


def pending(path: Path) -> int:
    """Count what waits, as another process would see it."""
    with Outbox(path) as other:
        return other.stats().pending


@pytest.mark.slow
class TestSignals:
    def test_a_transaction_that_was_left_open_takes_no_other_put_with_it(self, path: Path) -> None:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
            connection = outbox._writer._database._connection
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")  # and an exception came in that moment
            connection.execute("DELETE FROM pending")
            outbox.put_sync(JANE)
            assert pending(path) == 2

    @pytest.mark.parametrize("what", ["put", "stats"])
    def test_use_in_a_handler_that_interrupts_a_use_is_refused(
        self, outbox: Outbox, what: str
    ) -> None:
        used: Database = outbox._writer._database if what == "put" else outbox._database
        use: Callable[[], object] = (
            (lambda: outbox.put_sync(JANE)) if what == "put" else outbox.stats
        )
        with pytest.raises(OutboxError, match="a signal handler has interrupted: in a handler set"):
            used.read(lambda _: use())
        outbox.put_sync(JANE)
        assert outbox.stats().pending == 1

    STORM = """
import random, signal, sys
from sendx_async import IdentifyRequest, OutboxError
from sendx_async.outbox import Outbox

class Interrupted(Exception):
    pass

def interrupt(*_):
    raise Interrupted

outbox = Outbox(sys.argv[1], synchronous="NORMAL", timeout=45)
outbox.put_sync(IdentifyRequest("warm@example.com"))
outbox.stats()
accepted = 1
signal.signal(signal.SIGALRM, interrupt)
number = interrupted = 0
most = 0.001  # seconds; it comes to be what lets some end and interrupts others, on any machine
operations = [
    lambda n: outbox.put_sync(IdentifyRequest("a@example.com")),
    lambda n: outbox.put_sync(IdentifyRequest("a@example.com"), delivery_id=f"given {n}"),
    lambda n: outbox.stats(),
    lambda n: outbox.retry(),
]
while interrupted < 1500 or accepted < 300:
    number += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00002, most))
        result = operations[number % 4](number)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:
        interrupted += 1
        most *= 1.02
        continue
    most = max(most / 1.03, 0.0001)
    if number % 4 < 2:
        accepted += 1
signal.setitimer(signal.ITIMER_REAL, 0)
print(accepted, outbox.stats().pending)
outbox.close()
"""

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
    @pytest.mark.usefixtures("children_unmeasured")
    def test_exceptions_at_any_moment_lose_nothing_and_hang_nothing(self, path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.STORM, str(path)],
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        accepted, seen = map(int, done.stdout.split())
        assert pending(path) == seen >= accepted

    STORM_BESIDE_OTHERS = """
import random, signal, sys, threading
from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox

class Interrupted(Exception):
    pass

def interrupt(*_):
    global has_come
    has_come = True
    raise Interrupted  # which is lost in a weak reference's callback

outbox = Outbox(sys.argv[1], synchronous="NORMAL", timeout=45)
accepted = [outbox.put_sync(IdentifyRequest("warm@example.com"))]
is_over = threading.Event()

def put_on():
    while not is_over.is_set():
        accepted.append(outbox.put_sync(IdentifyRequest("b@example.com")))

# A function, as the end of a loop is not always covered by the `try` around it.
def put_until_interrupted():
    while not has_come:
        accepted.append(outbox.put_sync(IdentifyRequest("a@example.com")))

others = [threading.Thread(target=put_on, daemon=True) for _ in range(2)]
for each in others:
    each.start()
signal.signal(signal.SIGALRM, interrupt)
for _ in range(1500):
    has_come = False
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00001, 0.002))
        put_until_interrupted()
    except Interrupted:
        pass
is_over.set()
for each in others:
    each.join()
outbox.close()  # what was interrupted may be stored, too
print(len(accepted))
"""

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
    @pytest.mark.usefixtures("children_unmeasured")
    def test_exceptions_in_one_thread_hold_up_no_puts_of_others(self, path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.STORM_BESIDE_OTHERS, str(path)],
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert pending(path) >= int(done.stdout)


class TestLocked:
    """Another process writes for longer than anybody waits."""

    @pytest.fixture
    def other(self, path: Path) -> sqlite3.Connection:
        with Outbox(path):
            pass
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def test_an_event_that_cannot_be_marked_is_kept_and_not_dead(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        events: list[OutboxEvent] = []
        begun: list[Event] = []

        def lock_at_first(event: Event) -> None:
            if event.kind == "call_started":
                begun.append(event)
                if len(begun) == 1:
                    other.execute("BEGIN IMMEDIATE")

        async def main() -> None:
            with Outbox(path, timeout=0.02, on_event=events.append) as outbox:
                outbox.put_sync(SIGNUP)
                async with make_client(on_event=lock_at_first) as client, outbox.draining(client):
                    await until(lambda: any(event.kind == "paused" for event in events))
                    assert len(fake_sendx.requests) == 0
                    other.execute("ROLLBACK")
                    await until_empty(outbox)
                assert outbox.failed() == []

        fake_sendx.respond(200, path="custom")
        anyio.run(main, backend=backend)
        other.close()
        assert len(fake_sendx.requests) == 1

    def test_an_event_that_was_refused_is_kept_though_that_cannot_be_noted(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        def lock_at_first(event: Event) -> None:
            if event.kind == "call_finished" and event.status_code == 429:
                other.execute("BEGIN IMMEDIATE")

        def unlock(event: OutboxEvent) -> None:
            if "locked" in (event.error or ""):
                other.execute("ROLLBACK")

        async def main() -> None:
            with Outbox(path, timeout=0.02, on_event=unlock) as outbox:
                outbox.put_sync(SIGNUP)
                async with (
                    make_client(on_event=lock_at_first) as client,
                    outbox.draining(client, retry=RetryPolicy(base=0.5, cap=1)),
                ):
                    await until_empty(outbox)
                assert outbox.failed() == []

        fake_sendx.respond(429, path="custom")
        fake_sendx.respond(200, path="custom")
        anyio.run(main, backend=backend)
        other.close()
        assert [each.status for each in fake_sendx.requests] == [429, 200]

    def test_a_lock_that_ends_in_time_disturbs_nothing(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_outbox, "_SECONDS_OF_A_TRY", 0.005)
        events: list[OutboxEvent] = []
        timers: list[threading.Timer] = []

        def lock_for_a_while(event: Event) -> None:
            if event.kind == "call_started":
                other.execute("BEGIN IMMEDIATE")
                timers.append(threading.Timer(0.1, other.execute, ["ROLLBACK"]))
                timers[0].start()

        with Outbox(path, on_event=events.append) as outbox:
            outbox.put_sync(SIGNUP)
            fake_sendx.respond(200, path="custom")
            drain(outbox, make_client(on_event=lock_for_a_while), backend)
            assert outbox.failed() == []
        timers[0].join()
        other.close()
        assert [event.kind for event in events] == ["draining", "stopped"]

    def test_leaving_waits_no_longer_than_the_grace(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        async def main() -> None:
            async with Outbox(path, timeout=1000) as outbox, make_client() as client:
                outbox.put_sync(SIGNUP)
                with anyio.fail_after(20):
                    async with outbox.draining(client, grace=0.05):
                        await fake_sendx.until(lambda: fake_sendx.requests, 25)
                        other.execute("BEGIN IMMEDIATE")
                other.execute("ROLLBACK")

        fake_sendx.black_hole()
        anyio.run(main, backend=backend)
        other.close()


class TestTwoDrainers:
    def test_without_the_locks_file_no_event_is_sent_twice(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.respond(200, path="custom", times=None)
        fake_sendx.latency = 0.005

        async def main() -> None:
            with Outbox(path) as one, Outbox(path) as other:
                for number in range(60):
                    one.put_sync(CustomEventRequest(f"c{number}@example.com", "signup"))
                async with make_client() as client, one.draining(client):
                    await fake_sendx.until(lambda: fake_sendx.requests, 25)
                    path.with_name("outbox.db-drainer").unlink()
                    async with other.draining(client):
                        await until_empty(one)

        anyio.run(main, backend=backend)
        names = [each.json["identifier"] for each in fake_sendx.requests]
        assert len(names) == len(set(names))

    def test_draining_once_ends_when_another_has_done_it(
        self, path: Path, outbox: Outbox, make_client: MakeClient, backend: str
    ) -> None:
        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until(lambda: outbox.stats().is_draining)
                await outbox.put(JANE)
                with anyio.fail_after(20):
                    await outbox.drain(client)
                with Outbox(path) as other, anyio.fail_after(20):
                    await other.drain(client)
                assert outbox.stats().pending == 0

        anyio.run(main, backend=backend)


class TestPurge:
    def test_a_request_that_is_purged_at_the_last_moment_is_not_sent(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        def purge(event: Event) -> None:
            if event.kind == "call_started":
                outbox.purge("jane@example.com")

        for request in (SIGNUP, JANE):
            outbox.put_sync(request)
            drain(outbox, make_client(on_event=purge), backend)
        assert fake_sendx.requests == []
        assert outbox.failed() == []

    def test_a_delivered_request_is_gone_from_the_file(
        self, path: Path, outbox: Outbox, make_client: MakeClient
    ) -> None:
        for number in range(300):
            outbox.put_sync(IdentifyRequest(f"jane{number}@example.com"))
        drain(outbox, make_client())
        assert outbox.purge("jane0@example.com") == 0
        for file in path.parent.iterdir():
            assert b"jane" not in file.read_bytes(), file

    def test_a_purge_tells_of_a_reader_that_keeps_the_log(self, path: Path) -> None:
        with Outbox(path, timeout=0.05) as outbox:
            outbox.put_sync(JANE)
            reader = sqlite3.connect(path, isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM pending").fetchall()
            with pytest.raises(
                OutboxError, match="1 requests were thrown away, but somebody keeps"
            ):
                outbox.purge("jane@example.com")
            reader.close()
            assert outbox.purge("jane@example.com") == 0
        for file in path.parent.iterdir():
            assert b"jane" not in file.read_bytes(), file

    def test_a_purge_finds_requests_that_are_put_meanwhile(
        self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = Database.write

        def put_and_write(self: Database, function: Callable[..., object]) -> object:
            monkeypatch.setattr(Database, "write", write)
            outbox.put_sync(JANE)
            outbox.put_sync(IdentifyRequest("bob@example.com"))
            return self.write(function)

        outbox.put_sync(JANE)
        monkeypatch.setattr(Database, "write", put_and_write)
        assert outbox.purge("jane@example.com") == 2
        assert outbox.stats().pending == 1


class TestTrouble:
    def test_a_key_that_is_refused_costs_one_request_a_try(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        events: list[OutboxEvent] = []
        fake_sendx.respond(401, times=3)

        async def main() -> None:
            with Outbox(path, on_event=events.append) as outbox:
                for number in range(20):
                    outbox.put_sync(TrackRequest(f"c{number}@example.com"))
                async with make_client() as client, outbox.draining(client):
                    await until_empty(outbox)

        fake_sendx.respond(200, path="track", times=None)
        anyio.run(main)
        assert sum(event.kind == "halted" for event in events) == 3
        assert len(fake_sendx.requests) == 3 + 20

    def test_trouble_is_over_when_the_last_request_is_dead(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        fake_sendx.respond(401)
        fake_sendx.respond(422)
        outbox.put_sync(JANE)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until_empty(outbox)
                await until(lambda: outbox.stats().trouble is None)

        anyio.run(main)
        assert outbox.stats().dead == 1

    def test_trouble_is_over_when_nothing_is_left(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.2)
        fake_sendx.respond(401, times=None)
        outbox.put_sync(JANE)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until(lambda: "halted" in (outbox.stats().trouble or ""))
                outbox.purge("jane@example.com")
                await until(lambda: outbox.stats().trouble is None)

        anyio.run(main)

    def test_requests_about_a_contact_that_is_not_known_hold_up_no_others(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for _ in range(30):
            outbox.put_sync(TrackRequest("nobody@example.com"))
        drain(outbox, make_client(), retry=QUICK)
        assert outbox.stats().dead == 30
        assert len(fake_sendx.requests) == 2 + 30


def test_a_mark_stays_while_its_request_is_sent(path: Path, backend: str) -> None:
    def under_way(connection: sqlite3.Connection) -> list[object]:
        return connection.execute("SELECT is_under_way FROM pending").fetchall()

    async def main() -> None:
        database = Database(OutboxFile(str(path)), timeout=30)
        in_loop = Database(OutboxFile(str(path)), timeout=30)
        journal = Journal(database, in_loop, Notes(), timeout=30, remember=1, on_event=None)
        await journal.begin()
        (row,) = (await journal.read(partial(backlog.read, after=0, most=1))).rows
        await journal.mark(row)
        journal.note_unsent(row)
        await journal.mark(row)  # before that was written: it is being sent again
        await journal.write_down()
        assert database.read(under_way) == [(1,)]
        journal.note_unsent(row)
        await journal.write_down()
        assert database.read(under_way) == [(None,)]
        await journal.close()

    with Outbox(path) as outbox:
        outbox.put_sync(SIGNUP)
    anyio.run(main, backend=backend)


class TestThread:
    """The one that commits for others."""

    def test_the_committing_thread_ends_when_idle_and_begins_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
    ) -> None:
        monkeypatch.setattr(_group_commit, "_SECONDS_IDLE", 0.01)

        async def main() -> None:
            async with Outbox(path) as outbox:
                for number in range(1, 4):
                    await outbox.put(JANE)
                    await until(lambda: outbox._writer._group._runs_in is None)
                    assert outbox.stats().pending == number

        anyio.run(main, backend=backend)

    def test_a_thread_that_can_not_be_started_is_told_and_tried_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
    ) -> None:
        start = threading.Thread.start

        def refuse(_: threading.Thread) -> None:
            monkeypatch.setattr(threading.Thread, "start", start)
            raise RuntimeError("can't start new thread")

        async def main() -> None:
            async with Outbox(path) as outbox:
                monkeypatch.setattr(threading.Thread, "start", refuse)
                with pytest.raises(OutboxError, match=r"needs to store this: can't start new thr"):
                    await outbox.put(JANE)
                await outbox.put(JANE)
                assert outbox.stats().pending == 1

        anyio.run(main, backend=backend)

    def test_an_interrupt_while_the_thread_starts_holds_up_no_later_put(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
    ) -> None:
        monkeypatch.setattr(_group_commit, "_SECONDS_IDLE", 0.01)
        start = threading.Thread.start
        begun: list[threading.Thread] = []

        def start_and_interrupt(thread: threading.Thread) -> None:
            monkeypatch.setattr(threading.Thread, "start", start)
            start(thread)
            begun.append(thread)
            raise InterruptedError

        async def main() -> None:
            async with Outbox(path) as outbox:
                monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
                with pytest.raises(InterruptedError):
                    await outbox.put(JANE)
                await outbox.put(JANE)
                assert outbox.stats().pending == 1
                await until(lambda: not begun[0].is_alive())
                await outbox.put(JANE)
                assert outbox.stats().pending == 2

        anyio.run(main, backend=backend)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_thread_that_ends_unforeseen_leaves_nobody_waiting(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
    ) -> None:
        insert: Callable[..., str] = _statements.insert
        outcomes: dict[str, str] = {}
        is_ending, has_more = threading.Event(), threading.Event()

        def insert_or_end(connection: sqlite3.Connection, entry: Entry, *rest: Any) -> str:
            if entry.given_id == "ends it":
                is_ending.set()
                has_more.wait(120)
                raise SystemExit
            return insert(connection, entry, *rest)

        async def put(outbox: Outbox, delivery_id: str) -> None:
            try:
                outcomes[delivery_id] = await outbox.put(SIGNUP, delivery_id=delivery_id)
            except OutboxError as error:
                outcomes[delivery_id] = str(error)
            except InvalidRequestError:
                outcomes[delivery_id] = "refused"

        async def main() -> None:
            other = sqlite3.connect(path, isolation_level=None)
            async with Outbox(path) as outbox, anyio.create_task_group() as tasks:
                outbox.put_sync(JANE, delivery_id="taken")
                other.execute("BEGIN IMMEDIATE")
                # The first one is alone, and the others are together, so each is tried by itself.
                for delivery_id in ("first", "good", "taken", "ends it", "with it"):
                    tasks.start_soon(put, outbox, delivery_id)
                    await anyio.wait_all_tasks_blocked()
                other.execute("ROLLBACK")
                other.close()
                await until(is_ending.is_set)
                tasks.start_soon(put, outbox, "after it")
                await anyio.wait_all_tasks_blocked()
                has_more.set()
                await until(lambda: len(outcomes) == 6)
                await put(outbox, "later")
                assert outbox.stats().pending == 4

        monkeypatch.setattr(_statements, "insert", insert_or_end)
        anyio.run(main, backend=backend)
        for delivery_id in ("ends it", "with it", "after it"):
            assert "ended by something unforeseen" in outcomes.pop(delivery_id)
        assert outcomes.pop("taken") == "refused"
        assert outcomes == {each: each for each in ("first", "good", "later")}

    def test_draining_goes_on_when_no_thread_could_be_started(
        self, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, make_client: MakeClient,
        backend: str,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        start = threading.Thread.start
        refused: list[threading.Thread] = []

        def refuse_once(thread: threading.Thread) -> None:
            if thread.name == "sendx_async outbox" and not refused:
                refused.append(thread)
                raise RuntimeError("can't start new thread")
            start(thread)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until_empty(outbox)

        outbox.put_sync(JANE)
        monkeypatch.setattr(threading.Thread, "start", refuse_once)
        anyio.run(main, backend=backend)
        assert refused

    def test_a_put_that_comes_too_late_is_refused(self, path: Path, backend: str) -> None:
        async def main() -> None:
            async with Outbox(path) as outbox:
                outbox._writer.close()  # in the moment before the put
                with pytest.raises(OutboxError, match="is closed"):
                    await outbox.put(JANE)

        anyio.run(main, backend=backend)


FORKS = """
import os, sys, threading, time
from sendx_async.outbox import Outbox, _connection

_connection._SECONDS_BEFORE_A_FORK = 0.1
outbox = Outbox(sys.argv[1], timeout=45)
together = threading.Barrier(3)
outbox.put_sync({"email": "jane@example.com"})
holding, release = threading.Event(), threading.Event()

def hold():
    def use(connection):
        holding.set()
        release.wait(20)
    outbox._database.read(use)

def fork():
    together.wait()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)

threads = [threading.Thread(target=hold)]
threads[0].start()
holding.wait(20)
threads += [threading.Thread(target=fork) for _ in range(3)]
for thread in threads[1:]:
    thread.start()
for thread in threads[1:]:
    thread.join()
release.set()
threads[0].join()
outbox.put_sync({"email": "jane@example.com"})
print(outbox.stats().pending)
outbox.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_forks_of_several_threads_leave_no_lock_held(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(path)],
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.stdout == "2\n", done.stderr
