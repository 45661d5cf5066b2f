"""Stopping, and taking over: what is under way ends, goes back or is put aside."""

import functools
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    Event,
    IdentifyRequest,
    OutboxError,
    RetryPolicy,
    TrackRequest,
)
from sendx_async.outbox import Outbox, OutboxEvent, _drain, _leader
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import DRAINER, drain, until_empty

pytestmark = pytest.mark.slow

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com")
FIRST = TrackRequest("first@example.com")  # goes alone, as nobody knows yet how SendX is
SIGNUP = CustomEventRequest("jane@example.com", "signup")


class TestStopping:
    def test_a_request_under_way_may_end(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.latency = 0.2
        outbox.put_sync(JANE)
        for _ in range(5):
            outbox.put_sync(TrackRequest("jane@example.com", add_tags=["vip"]))

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, grace=30):
                await fake_sendx.until(lambda: fake_sendx.requests, 25)

        anyio.run(main, backend=backend)
        # One was under way: its answer was waited for, and no other begun.
        assert [request.status for request in fake_sendx.requests] == [200]
        assert outbox.stats().pending == 5
        assert outbox.failed() == []

    def test_after_the_grace_requests_go_back_or_are_put_aside(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        outbox.put_sync(FIRST)
        outbox.put_sync(IdentifyRequest("bob@example.com"))
        event = outbox.put_sync(SIGNUP)
        fake_sendx.respond(200, path="track")
        fake_sendx.black_hole(times=2)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, grace=0.01):
                await fake_sendx.until(lambda: len(fake_sendx.requests) == 3, 25)

        anyio.run(main, backend=backend)
        (failed,) = outbox.failed()
        assert (failed.kind, failed.delivery_id) == ("uncertain", event)
        assert failed.error.startswith("ResponseLost: ")
        assert outbox.stats().pending == 1  # an identify may be sent twice

    def test_an_event_that_waits_to_be_sent_again_is_kept(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.respond(429, times=None, retry_after=60)

        async def main() -> None:
            with Outbox(path) as outbox:
                async with make_client() as client, outbox.draining(client, grace=0.01):
                    await outbox.put(SIGNUP)
                    await until(lambda: "SendX" in (outbox.stats().trouble or ""))

        anyio.run(main, backend=backend)
        fake_sendx.recover()
        fake_sendx.respond(200, path="custom")

        async def later() -> None:
            with Outbox(path) as outbox:
                async with make_client() as client:
                    await outbox.drain(client)
                assert outbox.failed() == []

        anyio.run(later, backend=backend)

    def test_the_grace_holds_though_draining_is_halted(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        outbox.put_sync(FIRST)
        outbox.put_sync(IdentifyRequest("bob@example.com"))
        outbox.put_sync(SIGNUP)
        fake_sendx.respond(200, path="track")
        fake_sendx.black_hole(path="identify")
        fake_sendx.respond(401, path="custom", times=None)
        finished: list[Event] = []

        def note(event: Event) -> None:
            if event.kind == "call_finished":
                finished.append(event)

        async def main() -> None:
            async with make_client(timeout=1000, on_event=note) as client:
                with anyio.fail_after(20):
                    async with outbox.draining(client, grace=0.01):
                        await until(lambda: len(finished) == 2)
                        await anyio.wait_all_tasks_blocked()

        anyio.run(main, backend=backend)
        assert outbox.stats().pending == 2

    def test_an_error_inside_draining_comes_out_as_it_is(
        self, outbox: Outbox, make_client: MakeClient, backend: str
    ) -> None:
        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(ZeroDivisionError):
                    async with outbox.draining(client):
                        raise ZeroDivisionError

        anyio.run(main, backend=backend)
        assert not outbox.stats().is_draining

    def test_cancellation_writes_down_what_is_certain(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        outbox.put_sync(SIGNUP)
        fake_sendx.black_hole()

        async def main() -> None:
            async with make_client() as client, anyio.create_task_group() as tasks:
                tasks.start_soon(outbox.drain, client)
                await fake_sendx.until(lambda: fake_sendx.requests, 25)
                tasks.cancel_scope.cancel()

        anyio.run(main, backend=backend)
        assert [failed.kind for failed in outbox.failed()] == ["uncertain"]

    def test_cancellation_writes_down_what_was_answered(
        self, path: Path, fake_sendx: FakeSendX, backend: str
    ) -> None:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        answered: list[Event] = []

        def note(event: Event) -> None:
            if event.kind == "call_finished":
                answered.append(event)
                if len(answered) == 1:
                    other.execute("BEGIN IMMEDIATE")  # so that it can't be written down for now

        async def main() -> None:
            with Outbox(path) as outbox:
                for number in range(3):
                    outbox.put_sync(TrackRequest(f"c{number}@example.com"))
                async with (
                    AsyncTrackingClient(
                        fake_sendx.api_key, base_url=fake_sendx.url, on_event=note
                    ) as client,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(functools.partial(outbox.drain, client, concurrency=1))
                    await until(lambda: len(answered) == 3)
                    await anyio.wait_all_tasks_blocked()
                    tasks.cancel_scope.cancel()
                    other.execute("ROLLBACK")
                assert outbox.stats().pending == 0

        fake_sendx.respond(200, path="track", times=None)
        anyio.run(main, backend=backend)
        other.close()
        assert len(fake_sendx.requests) == 3

    def test_cancellation_though_nothing_can_be_written_down(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        events: list[OutboxEvent] = []
        other = sqlite3.connect(path, isolation_level=None)

        async def main() -> None:
            with Outbox(path, timeout=0.02, on_event=events.append) as outbox:
                delivery_id = outbox.put_sync(SIGNUP)
                fake_sendx.black_hole()
                async with make_client() as client:
                    with anyio.CancelScope() as scope:
                        async with outbox.draining(client, grace=0.01):
                            await fake_sendx.until(lambda: fake_sendx.requests, 25)
                            other.execute("BEGIN IMMEDIATE")
                            scope.cancel()
                            await anyio.sleep_forever()
                    other.execute("ROLLBACK")
                    assert scope.cancelled_caught
                    assert "halted" in [event.kind for event in events]
                    await outbox.drain(client)
                (failed,) = outbox.failed()
                assert (failed.delivery_id, failed.kind) == (delivery_id, "uncertain")

        anyio.run(main, backend=backend)
        other.close()
        assert len(fake_sendx.requests) == 1

    def test_stopping_leaves_another_draining(
        self, path: Path, outbox: Outbox, make_client: MakeClient, backend: str
    ) -> None:
        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until(lambda: outbox.stats().is_draining)
                with Outbox(path) as other:
                    async with other.draining(client):
                        await anyio.lowlevel.checkpoint()
                assert outbox.stats().is_draining

        anyio.run(main, backend=backend)


class TestOneDrains:
    def test_of_two_one_drains_and_the_other_takes_over(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        said: list[tuple[str, str]] = []

        async def drain(name: str, stop: anyio.Event, client: AsyncTrackingClient) -> None:
            def note(event: OutboxEvent) -> None:
                said.append((name, event.kind))

            with Outbox(path, on_event=note) as outbox:
                async with outbox.draining(client):
                    await stop.wait()

        async def main() -> None:
            stops = {"one": anyio.Event(), "other": anyio.Event()}
            with Outbox(path) as outbox:
                async with make_client() as client, anyio.create_task_group() as tasks:
                    for name, stop in stops.items():
                        tasks.start_soon(drain, name, stop, client)
                    await until(lambda: said)
                    first = said[0][0]
                    await outbox.put(JANE)
                    await until_empty(outbox)
                    assert said == [(first, "draining")]
                    stops.pop(first).set()
                    await outbox.put(TrackRequest("jane@example.com", add_tags=["vip"]))
                    await until_empty(outbox)
                    (second,) = stops
                    assert said == [(first, "draining"), (first, "stopped"), (second, "draining")]
                    stops[second].set()

        anyio.run(main, backend=backend)
        assert fake_sendx.contact("jane@example.com").tags == {"vip"}

    def test_a_lock_that_cannot_be_used_is_told(
        self, path: Path, outbox: Outbox, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        lock = path.with_name("outbox.db-drainer")
        lock.mkdir()
        outbox.put_sync(JANE)

        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(OutboxError, match="the outbox's lock can't be used"):
                    await outbox.drain(client)
                async with outbox.draining(client):
                    await until(lambda: "lock" in _trouble_in(path))
                    lock.rmdir()
                    await until_empty(outbox)

        anyio.run(main)

    def test_a_lock_file_that_is_no_database_is_told(
        self, path: Path, outbox: Outbox, make_client: MakeClient
    ) -> None:
        path.with_name("outbox.db-drainer").write_text("mine " * 1000)

        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(OutboxError, match="file is not a database"):
                    await outbox.drain(client)

        anyio.run(main)


def _trouble_in(path: Path) -> str:
    """Give what the drainer wrote of its trouble, without asking whether there is one."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT value FROM about WHERE name = 'trouble'").fetchone()
    connection.close()
    return found[0] or "" if found else ""


@pytest.mark.slow
class TestKilled:
    def test_requests_of_a_killed_process_are_sent_again_or_put_aside(
        self,
        path: Path,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
    ) -> None:
        outbox.put_sync(FIRST)
        outbox.put_sync(IdentifyRequest("bob@example.com"))
        outbox.put_sync(TrackRequest("bob@example.com", add_tags=["vip"]))
        event = outbox.put_sync(SIGNUP)
        later = outbox.put_sync(CustomEventRequest("jane@example.com", "later"))
        fake_sendx.respond(200, path="track")
        fake_sendx.black_hole(times=2)
        with subprocess.Popen(
            [sys.executable, "-c", DRAINER, fake_sendx.api_key, fake_sendx.url, str(path)]
        ) as process:
            try:
                fake_sendx.wait_for(lambda: len(fake_sendx.requests) == 3, 25)
                assert outbox.stats().is_draining
            finally:
                process.kill()
        fake_sendx.respond(200, path="custom")

        drain(outbox, make_client(), backend)
        assert fake_sendx.contact("bob@example.com").tags == {"vip"}
        (failed,) = outbox.failed()
        assert (failed.kind, failed.delivery_id) == ("uncertain", event)
        assert "draining ended before it was written down whether this was applied" in failed.error
        names = [each.json["name"] for each in fake_sendx.requests if "custom" in each.path]
        assert names == ["signup", "later"]
        assert later != event


def test_a_listener_that_raises_stops_nothing(
    path: Path, fake_sendx: FakeSendX, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    def listener(event: OutboxEvent) -> None:
        raise RuntimeError(event.kind)

    async def main() -> None:
        with Outbox(path, on_event=listener) as outbox:
            await outbox.put(JANE)
            async with make_client() as client:
                await outbox.drain(client)

    anyio.run(main)
    assert "on_event of the outbox raised" in caplog.text


def test_without_a_lock_file_nobody_drains(path: Path) -> None:
    assert _leader.silence_of_leader(str(path)) is None


def test_a_request_with_few_failures_is_sent_again(
    outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
) -> None:
    outbox.put_sync(JANE)
    outbox.put_sync(TrackRequest("jane@example.com", add_tags=["vip"]))
    fake_sendx.respond(500, path="track")

    async def main() -> None:
        async with make_client() as client:
            await outbox.drain(client, retry=RetryPolicy(3, base=0.001))

    anyio.run(main)
    assert fake_sendx.contact("jane@example.com").tags == {"vip"}
