"""Draining: the order, what comes of each failure, and what everything waits for."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from sendx_async import (
    AsyncTrackingClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    CustomEventRequest,
    IdentifyRequest,
    OutboxError,
    PermissionDeniedError,
    Rate,
    RetryPolicy,
    TrackRequest,
)
from sendx_async.outbox import Outbox, OutboxEvent, _drain, _journal, _notes
from sendx_async.testing import FakeSendX, InstantClock
from tests.waiting import until

from .waiting import drain, until_empty

pytestmark = pytest.mark.slow

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com", first_name="Jane")
SIGNUP = CustomEventRequest("jane@example.com", "signup")
QUICK = RetryPolicy(2, base=0.001, cap=0.01)


class Clock:
    """The time, as a test has it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


def run(backend: str, main: Callable[[], Any]) -> None:
    anyio.run(main, backend=backend)


class TestOrder:
    def test_a_contacts_requests_in_order_and_others_together(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        for number in range(100):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        for number in range(10):
            outbox.put_sync(IdentifyRequest("Jane@example.com", first_name=str(number)))
            outbox.put_sync(TrackRequest("jane@EXAMPLE.com", add_tags=[str(number)]))

        drain(outbox, make_client(), backend)
        jane = fake_sendx.contact("jane@example.com")
        assert jane.first_name == "9"
        assert jane.tags == set("0123456789")
        bulks = [each for each in fake_sendx.requests if each.path.endswith("bulk")]
        assert max(len(each.json) for each in bulks) == 25
        subjects = [
            (each["email"].casefold(), each.get("firstName"), each.get("addTags"))
            for request in fake_sendx.requests
            for each in (request.json if isinstance(request.json, list) else [request.json])
        ]
        of_jane = [each for each in subjects if each[0] == "jane@example.com"]
        expected: list[Any] = []
        for number in range(10):
            expected += [
                ("jane@example.com", str(number), None),
                ("jane@example.com", None, [str(number)]),
            ]
        assert of_jane == expected

    def test_a_busy_contact_holds_up_no_others(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for number in range(1500):
            outbox.put_sync(TrackRequest("busy@example.com", add_tags=[str(number)]))
        outbox.put_sync(JANE)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, grace=0.01):
                await fake_sendx.until(lambda: fake_sendx.contacts, 25)
                await until(lambda: outbox.stats().pending == 1499)

        fake_sendx.respond(200, path="track")  # the first one goes alone
        fake_sendx.black_hole(path="track")
        anyio.run(main)
        assert len(fake_sendx.requests) == 3


class TestFailures:
    """What SendX refuses, fails at, or may have applied."""

    @pytest.mark.parametrize("status", [400, 409, 413, 422])
    def test_a_request_that_can_never_succeed_is_dead_with_the_servers_words(
        self,
        *,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        status: int,
    ) -> None:
        delivery_id = outbox.put_sync(JANE)
        outbox.put_sync(TrackRequest("jane@example.com", add_tags=["vip"]))
        fake_sendx.respond(status, message="No, jane@example.com is odd", path="identify")
        fake_sendx.respond(200, path="track")

        drain(outbox, make_client(), backend)
        (failed,) = outbox.failed()
        assert failed == outbox.failed("dead")[0]
        assert outbox.failed("uncertain") == []
        assert (failed.delivery_id, failed.kind, failed.request) == (delivery_id, "dead", JANE)
        assert f"HTTP {status}: No, j***@ is odd" in failed.error.replace("example.com", "")
        assert failed.attempts == 1
        assert failed.put_at <= failed.failed_at
        assert "jane@example.com" not in repr(failed)
        assert (outbox.stats().pending, outbox.stats().dead) == (0, 1)

    def test_only_the_bad_request_of_a_batch_is_dead(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for number in range(5):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        bad = outbox.put_sync(IdentifyRequest("bad@example.com", extra={"birthday": "never"}))

        drain(outbox, make_client())
        assert [each.delivery_id for each in outbox.failed()] == [bad]
        assert len(fake_sendx.contacts) == 5

    def test_a_contact_that_is_not_known_yet_is_asked_for_again(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        outbox.put_sync(JANE)
        outbox.put_sync(TrackRequest("jane@example.com", add_tags=["vip"]))
        outbox.put_sync(TrackRequest("nobody@example.com", add_tags=["vip"]))
        fake_sendx.respond(404, path="track", times=2)

        drain(outbox, make_client(), retry=QUICK)
        assert fake_sendx.contact("jane@example.com").tags == {"vip"}
        (failed,) = outbox.failed()
        assert failed.request == TrackRequest("nobody@example.com", add_tags=["vip"])
        assert failed.attempts == 3
        assert failed.error.startswith("NotFoundError: SendX answered with HTTP 404")

    def test_a_request_that_keeps_failing_is_dead_in_the_end(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        fake_sendx.respond(500, path="track", times=None)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, retry=QUICK):
                await outbox.put(JANE)
                await until_empty(outbox)  # so SendX is known to be well
                await outbox.put(TrackRequest("jane@example.com", add_tags=["vip"]))
                with anyio.fail_after(120):
                    while not outbox.failed():
                        await outbox.put(IdentifyRequest("joe@example.com"))  # others succeed
                        await until(lambda: outbox.stats().pending <= 1)

        anyio.run(main)
        (failed,) = outbox.failed()
        assert failed.kind == "dead"
        assert failed.attempts >= 3
        assert "HTTP 500" in failed.error

    def test_a_request_that_fails_alone_waits_for_an_outage_of_minutes(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        """As on a quiet service, where nothing else is sent that could succeed."""
        clock = InstantClock()
        began = clock.monotonic()
        troubles: list[str | None] = []

        def recover(event: OutboxEvent) -> None:
            # Here, since such a clock doesn't wait for a test that looks at it.
            if event.kind == "paused" and clock.monotonic() > began + 240 and not troubles:
                troubles.append(outbox.stats().trouble)
                fake_sendx.recover()

        async def main() -> None:
            async with make_client(clock=clock) as client, outbox.draining(client):
                await until_empty(outbox)  # so SendX is known to be well
                fake_sendx.respond(500, times=None)
                await outbox.put(TrackRequest("jane@example.com", add_tags=["vip"]))
                await until_empty(outbox)

        outbox._on_event = recover
        outbox.put_sync(JANE)
        anyio.run(main, backend=backend)
        assert "SendX is in trouble" in (troubles[0] or "")
        assert outbox.failed() == []
        assert fake_sendx.contact("jane@example.com").tags == {"vip"}

    def test_a_listener_that_asks_for_a_cancelled_result_stops_nothing(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        def ask(event: OutboxEvent) -> None:
            if event.kind == "dead":
                raise asyncio.CancelledError

        outbox._on_event = ask
        for number in range(2):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        fake_sendx.respond(400, times=None)
        drain(outbox, make_client(), batch_size=1)
        assert [failed.kind for failed in outbox.failed()] == ["dead"] * 2

    def test_sendx_is_not_said_to_be_well_when_it_fails_at_a_request_for_good(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        kinds: list[str] = []
        outbox._on_event = lambda event: kinds.append(event.kind)
        outbox.put_sync(JANE)
        outbox.put_sync(IdentifyRequest("joe@example.com"))
        fake_sendx.respond(500, times=None)
        drain(outbox, make_client(clock=InstantClock()), backend, batch_size=1)
        first, second = (place for place, kind in enumerate(kinds) if kind == "dead")
        assert "resumed" not in kinds[first:second]

    @pytest.mark.parametrize("fault", ["drop", "500"])
    def test_an_event_that_may_have_been_applied_is_uncertain(
        self,
        *,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        fault: str,
    ) -> None:
        events: list[OutboxEvent] = []
        outbox._on_event = events.append
        outbox.put_sync(JANE)
        delivery_id = outbox.put_sync(SIGNUP)
        outbox.put_sync(TrackRequest("jane@example.com", add_tags=["vip"]))
        if fault == "drop":
            fake_sendx.drop(applied=True, path="custom")
        else:
            fake_sendx.respond(500, applied=True, path="custom")

        drain(outbox, make_client(), backend)
        (failed,) = outbox.failed()
        assert (failed.kind, failed.delivery_id) == ("uncertain", delivery_id)
        assert len(fake_sendx.events) == 1
        assert fake_sendx.contact("jane@example.com").tags == {"vip"}
        assert outbox.stats().uncertain == 1
        (told,) = (each for each in events if each.kind == "uncertain")
        assert (told.delivery_id, told.operation) == (delivery_id, "track_custom_event")

    def test_an_event_that_was_not_sent_is_sent_again(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        outbox.put_sync(JANE)
        outbox.put_sync(SIGNUP)
        fake_sendx.respond(429, path="custom", times=2)

        drain(outbox, make_client(), backend, retry=QUICK)
        assert len(fake_sendx.events) == 1
        assert outbox.failed() == []

    @pytest.mark.parametrize("applied", [False, True])
    def test_an_event_that_something_else_has_answered_is_uncertain_and_the_rest_waits(
        self,
        *,
        path: Path,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        applied: bool,
    ) -> None:
        events: list[OutboxEvent] = []
        fake_sendx.html(200, applied=applied, path="custom")
        with Outbox(path, on_event=events.append) as outbox:
            outbox.put_sync(JANE)
            delivery_id = outbox.put_sync(SIGNUP)
            outbox.put_sync(SIGNUP)
            # The second one waits for five minutes.
            drain(outbox, make_client(clock=InstantClock()), backend, retry=QUICK)
            (failed,) = outbox.failed()
        assert (failed.kind, failed.delivery_id) == ("uncertain", delivery_id)
        assert "HTTP 200 can't be SendX" in (failed.error or "")
        assert len(fake_sendx.events) == 1 + applied
        kinds = [event.kind for event in events]
        assert kinds.count("paused") == kinds.count("uncertain") == kinds.count("resumed") == 1

    def test_a_report_of_a_failure_is_put_aside_with_the_words_of_sendx(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.respond(200, body={"status": "error", "message": "is full"}, times=2)
        for request in (JANE, SIGNUP, SIGNUP):
            outbox.put_sync(request)
        drain(outbox, make_client(), backend)
        dead, uncertain = sorted(outbox.failed(), key=lambda failed: failed.kind)
        assert (dead.kind, dead.request) == ("dead", JANE)
        assert uncertain.kind == "uncertain"  # SendX doesn't say that it has not counted it
        for failed in (dead, uncertain):
            assert "ReportedFailureError: SendX answered with HTTP 200: is full" in failed.error
            assert failed.attempts == 1
        assert len(fake_sendx.requests) == 3
        assert outbox.stats().trouble is None

    def test_contacts_that_share_a_report_of_a_failure_are_sent_one_by_one(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        fake_sendx.respond(207, path="identify/bulk", applied=False)
        for number in range(50):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        drain(outbox, make_client())
        assert outbox.failed() == []
        assert len(fake_sendx.contacts) == 50


class TestOutage:
    @pytest.mark.parametrize("trouble", ["503", "429", "down", "307", "page"])
    def test_an_outage_is_waited_out_and_shown(
        self,
        *,
        path: Path,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        trouble: str,
    ) -> None:
        events: list[OutboxEvent] = []
        if trouble == "down":
            fake_sendx.stop()
        elif trouble == "page":
            fake_sendx.html(200, applied=False, times=None)
        else:
            fake_sendx.respond(int(trouble), times=None, retry_after=0)

        async def main() -> None:
            async with (
                Outbox(path, on_event=events.append) as outbox,
                make_client() as client,
                outbox.draining(client, retry=RetryPolicy(1, base=0.01, cap=0.02)),
            ):
                for number in range(200):
                    await outbox.put(IdentifyRequest(f"c{number}@example.com"))
                await outbox.put(TrackRequest("c0@example.com", add_tags=["vip"]))
                await until(lambda: sum(event.kind == "paused" for event in events) >= 5)
                await until(lambda: "SendX" in (outbox.stats().trouble or ""))
                assert (outbox.stats().trouble or "").startswith("SendX is in trouble: ")
                if trouble == "down":
                    fake_sendx.start()
                else:
                    fake_sendx.recover()
                await until_empty(outbox)
                await until(lambda: outbox.stats().trouble is None)
                assert outbox.failed() == []

        run(backend, main)
        assert len(fake_sendx.contacts) == 200
        assert fake_sendx.contact("c0@example.com").tags == {"vip"}
        kinds = [event.kind for event in events]
        assert kinds[0] == "draining"
        assert kinds[-1] == "stopped"
        assert kinds.count("resumed") == 1
        assert all(event.delay is not None for event in events if event.kind == "paused")

    def test_draining_keeps_the_rate_of_the_client(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for number in range(6):
            outbox.put_sync(TrackRequest(f"c{number}@example.com"))
        fake_sendx.respond(200, path="track", times=None)

        async def main() -> None:
            async with make_client(rate=Rate(20)) as client:
                await outbox.drain(client)

        begun = time.monotonic()
        anyio.run(main)
        assert time.monotonic() - begun > 5 / 20


class TestHalted:
    @pytest.mark.parametrize("status", [401, 403])
    def test_a_key_that_is_not_accepted_keeps_everything(
        self,
        *,
        path: Path,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        status: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.05)
        events: list[OutboxEvent] = []
        fake_sendx.respond(status, times=None)

        async def main() -> None:
            async with Outbox(path, on_event=events.append) as outbox, make_client() as client:
                await outbox.put(JANE)
                await outbox.put(SIGNUP)
                async with outbox.draining(client):
                    await until(lambda: sum(event.kind == "halted" for event in events) >= 2)
                    stats = outbox.stats()
                    assert (stats.pending, stats.dead, stats.uncertain) == (2, 0, 0)
                    assert (stats.trouble or "").startswith("halted: ")
                    assert f"HTTP {status}" in (stats.trouble or "")
                    fake_sendx.recover()
                    await until_empty(outbox)
                    assert outbox.stats().trouble is None

        run(backend, main)
        assert len(fake_sendx.events) == 1
        assert [event.kind for event in events if event.kind in {"resumed", "stopped"}] == [
            "resumed", "stopped",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "status,kind", [(401, AuthenticationError), (403, PermissionDeniedError)]
    )
    def test_drain_raises_when_the_key_is_not_accepted(
        self,
        *,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        backend: str,
        status: int,
        kind: type[Exception],
    ) -> None:
        outbox.put_sync(JANE)
        fake_sendx.respond(status)

        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(kind):
                    await outbox.drain(client)
                stats = outbox.stats()
                assert not stats.is_draining
                assert f"; halted: {kind.__name__}: " in (stats.trouble or "")
                await outbox.drain(client)
                assert outbox.stats().trouble is None

        run(backend, main)
        assert fake_sendx.contact("jane@example.com").first_name == "Jane"

    def test_drain_raises_when_the_client_is_closed(
        self, outbox: Outbox, make_client: MakeClient
    ) -> None:
        outbox.put_sync(JANE)

        async def main() -> None:
            client = make_client()
            await client.aclose()
            with pytest.raises(ClientClosedError):
                await outbox.drain(client)

        anyio.run(main)
        assert outbox.stats().pending == 1

    def test_stopping_ends_the_wait_for_an_accepted_key(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.respond(401, times=None)

        async def main() -> None:
            async with make_client() as client:
                with anyio.fail_after(_drain._SECONDS_HALTED / 2):
                    async with outbox.draining(client):
                        await outbox.put(JANE)
                        await until(lambda: "SendX" in (outbox.stats().trouble or ""))

        run(backend, main)
        assert outbox.stats().pending == 1

    def test_an_unforeseen_error_is_logged_and_draining_tried_again(
        self,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
        failures = iter([ZeroDivisionError("a bug")])
        ask = AsyncTrackingClient._make_dispatcher

        def fail_once(self: AsyncTrackingClient, *args: Any, **options: Any) -> Any:
            for failure in failures:
                raise failure
            return ask(self, *args, **options)

        monkeypatch.setattr(AsyncTrackingClient, "_make_dispatcher", fail_once)
        outbox.put_sync(JANE)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until_empty(outbox)

        anyio.run(main)
        assert "in a way that was not foreseen" in caplog.text
        assert (
            "halted, all is kept and tried again in 0.0 s, ZeroDivisionError: a bug" in caplog.text
        )


class TestClock:
    """How long ids are remembered that callers gave, whatever the clock does."""

    DAY = 86400.0

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> "Clock":
        clock = Clock()
        for module in (_journal, _notes):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(_journal, "monotonic", clock.time)
        return clock

    @staticmethod
    def deliver(outbox: Outbox, make_client: MakeClient, *delivery_ids: str) -> int:
        """Put the same contact under these ids, and return how many of them are not known."""
        for delivery_id in delivery_ids:
            outbox.put_sync(JANE, delivery_id=delivery_id)
        count = outbox.stats().pending
        drain(outbox, make_client())
        return count

    def test_a_jump_of_the_clock_makes_no_id_old(
        self, outbox: Outbox, make_client: MakeClient, clock: "Clock"
    ) -> None:
        assert self.deliver(outbox, make_client, "hook-1") == 1
        for number, jump in enumerate((30, 0, -60, 0, 30, 0)):
            clock.now += jump * self.DAY
            assert self.deliver(outbox, make_client, f"jump {number}", "hook-1") == 1

    def test_ids_grow_old_day_by_day(
        self, outbox: Outbox, make_client: MakeClient, clock: "Clock"
    ) -> None:
        assert self.deliver(outbox, make_client, "hook-1") == 1
        for day in range(8):
            assert self.deliver(outbox, make_client, f"day {day}") == 1
            clock.now += self.DAY
        assert self.deliver(outbox, make_client) == 0
        assert self.deliver(outbox, make_client, "day 7", "hook-1") == 1


class TestOptions:
    @pytest.mark.parametrize(
        "options,problem",
        [
            ({"concurrency": 0}, "concurrency must be"),
            ({"batch_size": 26}, "batch_size must be"),
            ({"retry": 3}, "retry must be a RetryPolicy, got int"),
            ({"grace": -1}, "grace must be a number of seconds"),
        ],
    )
    def test_draining_refuses_a_bad_option(
        self, outbox: Outbox, make_client: MakeClient, options: Any, problem: str
    ) -> None:
        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(ConfigurationError, match=problem):
                    async with outbox.draining(client, **options):
                        pass

        anyio.run(main)

    def test_drain_refuses_a_bad_client(self, outbox: Outbox, backend: str) -> None:
        async def main() -> None:
            with pytest.raises(ConfigurationError, match="must be an AsyncTrackingClient, got str"):
                await outbox.drain("client")  # type: ignore[arg-type]

        run(backend, main)

    def test_drain_refuses_a_closed_outbox(self, outbox: Outbox, make_client: MakeClient) -> None:
        outbox.close()

        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(OutboxError, match="is closed"):
                    await outbox.drain(client)

        anyio.run(main)


class TestStoredForms:
    """Rows that this version didn't write."""

    @staticmethod
    def change(path: Path, place: int, payload: str) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE pending SET payload = ? WHERE id = ?", (payload, place))
        connection.close()

    @pytest.mark.parametrize(
        "payload,problem",
        [
            ("{", "can't be read: JSONDecodeError"),
            ("[" * 100_000, "can't be read: RecursionError"),
            ("{}", "version must be 1, got None"),
            ('{"version": 1, "operation": ["x"]}', "operation must be one of"),
            ('{"version": 1, "operation": "\\ud800"}', "operation must be one of"),
            (
                '{"version": 1, "operation": "identify_contact", "request": {"email": "x"}}',
                "email must",
            ),
        ],
        ids=["cut", "deep", "empty", "list", "surrogate", "invalid"],
    )
    def test_an_unreadable_request_is_dead_and_the_rest_delivered(
        self,
        *,
        path: Path,
        outbox: Outbox,
        fake_sendx: FakeSendX,
        make_client: MakeClient,
        payload: str,
        problem: str,
    ) -> None:
        for number in range(3):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        self.change(path, 2, payload)

        drain(outbox, make_client())
        assert set(fake_sendx.contacts) == {"c0@example.com", "c2@example.com"}
        (failed,) = outbox.failed()
        assert failed.request is None
        assert problem in failed.error

    def test_a_damaged_request_is_dead_and_its_address_shown_to_nobody(
        self, path: Path, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient,
        caplog: pytest.LogCaptureFixture,
    ) -> None:  # fmt: skip
        outbox.put_sync(JANE)
        outbox.put_sync(IdentifyRequest("bob@example.com"))
        with sqlite3.connect(path) as connection:
            connection.execute(
                "UPDATE pending SET payload = CAST(replace(CAST(payload AS BLOB), 'Jane', X'FF') "
                "AS TEXT) WHERE id = 1"
            )
        connection.close()
        drain(outbox, make_client())
        assert set(fake_sendx.contacts) == {"bob@example.com"}
        (failed,) = outbox.failed()
        assert failed.request is None
        assert "jane" not in failed.error + caplog.text

    def test_a_whole_page_of_unreadable_requests_holds_up_no_others(
        self, path: Path, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for number in range(301):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE pending SET payload = 'x' WHERE id <= 300")
        connection.close()

        drain(outbox, make_client())
        assert set(fake_sendx.contacts) == {"c300@example.com"}
        assert outbox.stats().dead == 300

    def test_a_request_of_a_later_form_is_kept_and_told(
        self, path: Path, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        for number in range(3):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        self.change(path, 2, json.dumps({"version": 2}))

        async def main() -> None:
            async with make_client() as client:
                with pytest.raises(OutboxError, match=r"form 2, and this version .* upgrade it"):
                    await outbox.drain(client)

        anyio.run(main)
        assert set(fake_sendx.contacts) == {"c0@example.com"}
        assert outbox.stats().pending == 2
        assert outbox.failed() == []
