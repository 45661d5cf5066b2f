"""What can't be written for the moment is kept in memory, and written first when it can be."""

import itertools
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    Event,
    IdentifyRequest,
    OutboxError,
    TrackRequest,
)
from sendx_async.outbox import Outbox, OutboxEvent, _connection, _drain, _persistence, _schema
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import until_empty

pytestmark = pytest.mark.slow

MakeClient = Callable[..., AsyncTrackingClient]
SIGNUP = CustomEventRequest("jane@example.com", "signup")


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else, who can lock the file."""
    with Outbox(path):
        pass
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    yield connection
    connection.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it told at the first failure that nothing can be written."""
    monkeypatch.setattr(_persistence, "_SECONDS_BEFORE_TELLING", 0.0)


def once(function: Callable[[], object]) -> Callable[[], float]:
    """Call something when the server gets its first request."""
    left = [function]

    def call() -> float:
        while left:
            left.pop()()
        return 0.0

    return call


def kinds(events: list[OutboxEvent]) -> list[str]:
    """What an outbox has told, in order."""
    return [event.kind for event in events]


class TestLocked:
    """Somebody keeps the file locked, for longer than anybody waits."""

    def test_what_was_delivered_meanwhile_is_not_sent_again(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        events: list[OutboxEvent] = []
        fake_sendx.respond(200, path="track")
        fake_sendx.respond(200, path="custom", times=None)
        fake_sendx.latency = once(lambda: other.execute("BEGIN IMMEDIATE"))

        async def main() -> None:
            with Outbox(path, timeout=0.02, on_event=events.append) as outbox:
                outbox.put_sync(TrackRequest("first@example.com"))
                for number in range(50):
                    outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
                for number in range(5):
                    outbox.put_sync(CustomEventRequest(f"e{number}@example.com", "signup"))
                async with make_client() as client, outbox.draining(client):
                    await until(lambda: "paused" in kinds(events))
                    other.execute("ROLLBACK")
                    await until_empty(outbox)
                assert outbox.failed() == []

        anyio.run(main, backend=backend)
        assert kinds(events) == ["draining", "paused", "resumed", "stopped"]
        assert "locked" in (events[1].error or "")
        assert [len(each.json) for each in fake_sendx.requests if "bulk" in each.path] == [25, 25]
        assert len(fake_sendx.requests) == 1 + 2 + 5

    @pytest.mark.usefixtures("at_once")
    def test_nothing_new_is_begun_meanwhile(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        begun: list[Event] = []
        is_paused = threading.Event()
        arrived = itertools.count()
        fake_sendx.respond(200, path="track", times=None)

        def lock_and_wait() -> float:
            number = next(arrived)
            if number == 0:
                other.execute("BEGIN IMMEDIATE")
            elif number == 1:
                is_paused.wait(120)  # so that the third one is begun when nothing can be written
            return 0.0

        def note(event: Event) -> None:
            if event.kind == "call_started":
                begun.append(event)

        def note_pause(event: OutboxEvent) -> None:
            if event.kind == "paused":
                is_paused.set()

        async def main() -> None:
            with Outbox(path, on_event=note_pause) as outbox:
                for number in range(3):
                    outbox.put_sync(TrackRequest(f"c{number}@example.com"))
                async with (
                    make_client(on_event=note) as client,
                    outbox.draining(client, concurrency=1),
                ):
                    await until(lambda: len(begun) == 3)
                    # What was sent before this one has arrived before it.
                    await client.identify_contact(IdentifyRequest("jane@example.com"))
                    assert len(fake_sendx.requests) == 2 + 1
                    other.execute("ROLLBACK")
                    await until_empty(outbox)

        fake_sendx.latency = lock_and_wait
        anyio.run(main, backend=backend)
        assert len(fake_sendx.requests) == 3 + 1

    @pytest.mark.usefixtures("at_once")
    def test_draining_once_gives_up_in_time_and_what_it_knows_is_kept(
        self, *, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        other: sqlite3.Connection,
    ) -> None:  # fmt: skip
        fake_sendx.respond(200, path="custom")
        fake_sendx.latency = once(lambda: other.execute("BEGIN IMMEDIATE"))

        async def main() -> None:
            with Outbox(path, timeout=0.02) as outbox:
                outbox.put_sync(SIGNUP)
                async with make_client() as client:
                    with pytest.raises(OutboxError, match="another process keeps it locked"):
                        await outbox.drain(client)
                    other.execute("ROLLBACK")
                    await outbox.drain(client)
                assert (outbox.failed(), outbox.stats().pending) == ([], 0)

        anyio.run(main, backend=backend)
        assert len(fake_sendx.requests) == 1


class TestFull:
    """There is no room to write."""

    @pytest.mark.usefixtures("at_once")
    def test_a_full_database_forgets_no_answer(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        events: list[OutboxEvent] = []
        opened: list[sqlite3.Connection] = []
        open_outbox = _schema.open_outbox

        def open_and_note(path: str, **options: object) -> sqlite3.Connection:
            opened.append(open_outbox(path, **options))  # type: ignore[arg-type]
            return opened[-1]

        def limit(pages: int) -> None:
            for connection in opened:
                connection.execute(f"PRAGMA max_page_count={pages}")

        # What is put aside needs room of its own.
        large = IdentifyRequest("jane@example.com", company="x" * 50_000)
        fake_sendx.respond(422, path="identify")
        fake_sendx.latency = once(lambda: limit(1))

        async def main() -> None:
            with Outbox(path, on_event=events.append) as outbox:
                outbox.put_sync(large)
                monkeypatch.setattr(_connection, "open_outbox", open_and_note)
                async with make_client() as client, outbox.draining(client):
                    await until(lambda: "paused" in kinds(events))
                    limit(1_000_000)
                    await until(lambda: "dead" in kinds(events))
                assert [failed.kind for failed in outbox.failed()] == ["dead"]

        anyio.run(main, backend=backend)
        assert kinds(events) == ["draining", "paused", "resumed", "dead", "stopped"]
        assert "make room on its disk" in (events[1].error or "")
        assert len(fake_sendx.requests) == 1

    CHILD = """
import os, resource, sys
import anyio
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

key, url, path = sys.argv[1:]
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
told = []

def fill(event):
    if event.kind == "call_finished" and "paused" not in told:
        size = os.path.getsize(path + "-wal")  # nothing more goes in there
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))

def make_room(event):
    told.append(event.kind)
    if event.kind == "paused":
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

async def main():
    async with AsyncTrackingClient(key, base_url=url, on_event=fill, timeout=50) as client:
        with Outbox(path, on_event=make_room) as outbox:
            async with outbox.draining(client):
                while outbox.stats().pending:
                    await anyio.sleep(0.01)
            print(*told, len(outbox.failed()))

anyio.run(main)
"""

    @pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="files have no limit here")
    def test_a_file_that_cannot_grow_makes_no_event_uncertain(
        self, path: Path, fake_sendx: FakeSendX
    ) -> None:
        with Outbox(path) as outbox:
            for number in range(8):
                outbox.put_sync(CustomEventRequest(f"e{number}@example.com", "signup"))
                outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        fake_sendx.respond(200, path="custom", times=None)
        done = subprocess.run(
            [sys.executable, "-c", self.CHILD, fake_sendx.api_key, fake_sendx.url, str(path)],
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        assert done.stdout == "draining paused resumed stopped 0\n", done.stderr
        names = [each.json["identifier"] for each in fake_sendx.requests if "custom" in each.path]
        assert sorted(names) == [f"e{number}@example.com" for number in range(8)]
        assert sum(len(each.json) for each in fake_sendx.requests if "bulk" in each.path) == 8


class TestMovedAway:
    """The file is gone for a while, which ends a pass."""

    @pytest.fixture
    def put_back(self, path: Path, fake_sendx: FakeSendX) -> Callable[[], object]:
        """Put the file back, which is moved away when the server gets its first request."""
        moved = path.with_name("moved.db")
        fake_sendx.latency = once(lambda: path.rename(moved))
        return lambda: moved.rename(path)

    def test_the_next_pass_begins_with_what_is_known(
        self, *, path: Path, put_back: Callable[[], object], fake_sendx: FakeSendX,
        make_client: MakeClient, backend: str, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        events: list[OutboxEvent] = []
        fake_sendx.respond(200, path="custom")

        async def main() -> None:
            with Outbox(path, on_event=events.append) as outbox:
                outbox.put_sync(SIGNUP)
                async with make_client() as client, outbox.draining(client):
                    await until(lambda: kinds(events).count("halted") > 1)
                    put_back()
                    await until_empty(outbox)
                assert outbox.failed() == []

        anyio.run(main, backend=backend)
        assert "removed or replaced" in next(
            event.error or "" for event in events if event.kind == "halted"
        )
        assert len(fake_sendx.requests) == 1

    def test_an_event_that_was_refused_is_sent_by_the_next_draining(
        self, *, path: Path, put_back: Callable[[], object], fake_sendx: FakeSendX,
        make_client: MakeClient, backend: str,
    ) -> None:  # fmt: skip
        fake_sendx.respond(429, path="custom", retry_after=0)
        fake_sendx.respond(200, path="custom")

        async def main() -> None:
            with Outbox(path) as outbox:
                outbox.put_sync(SIGNUP)
                async with make_client() as client:
                    with pytest.raises(OutboxError, match="removed or replaced"):
                        await outbox.drain(client)
                    put_back()
                    await outbox.drain(client)
                assert (outbox.failed(), outbox.stats().pending) == ([], 0)

        anyio.run(main, backend=backend)
        assert [each.status for each in fake_sendx.requests] == [429, 200]
