"""Trouble of all: a stream pauses, tries again, and ends when its patience does."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    CustomEventRequest,
    DeadlineExceeded,
    Event,
    IdentifyRequest,
    NotSentError,
    OutageError,
    Outcome,
    PermissionDeniedError,
    Rate,
    RateLimitError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    ServerError,
    TrackRequest,
)
from sendx_async._runtime.clock import Clock
from sendx_async.testing import FakeSendX
from tests.clocks import HeldClock, StoppedClock

from .sources import contacts

pytestmark = pytest.mark.slow

RunStream = Callable[..., list[Outcome]]
QUICK = RetryPolicy(base=0.001, cap=0.01)


class Stopped:
    """A stream that ended with an error, and what it had given until then."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.outcomes: list[Outcome] = []
        self.unclaimed: tuple[Outcome, ...] = ()
        self.unsent: tuple[Outcome, ...] = ()

    async def run(self, client: AsyncTrackingClient, source: Any, **options: Any) -> "Stopped":
        stream = client.send_many(source, **options)
        try:
            async with stream:
                async for outcome in stream:
                    self.outcomes.append(outcome)
        except Exception as error:  # noqa: BLE001 - the tests look at it
            self.error = error
        self.unclaimed, self.unsent = stream.unclaimed, stream.unsent
        return self


def stop(fake: FakeSendX, backend: str, source: Any, **options: Any) -> Stopped:
    of_client = {
        name.removeprefix("client_"): value
        for name, value in options.items()
        if name.startswith("client_")
    }
    of_stream = {name: value for name, value in options.items() if f"client_{name}" not in options}
    of_stream = {name: each for name, each in of_stream.items() if not name.startswith("client_")}
    stopped = Stopped()

    async def main() -> None:
        given: dict[str, Any] = {"retry": QUICK, "clock": StoppedClock(), **of_client}
        async with AsyncTrackingClient(fake.api_key, base_url=fake.url, **given) as client:
            await stopped.run(client, source, **of_stream)

    anyio.run(main, backend=backend)
    return stopped


@pytest.mark.parametrize(
    "break_it",
    [
        lambda fake: fake.respond(429, times=20),
        lambda fake: fake.respond(429, retry_after=0, times=20),
        lambda fake: fake.respond(500, times=20),
        lambda fake: fake.respond(503, times=20),
        lambda fake: fake.respond(503, retry_after=0, times=20),
        lambda fake: fake.redirect("https://login.example.com", times=20),
        lambda fake: fake.html(200, applied=False, times=20),
        lambda fake: fake.respond(200, body=[], times=20),
        lambda fake: fake.drop(times=20),
        lambda fake: fake.drop(applied=True, reset=True, times=20),
    ],
    ids=[
        "429",
        "429-retry-after",
        "500",
        "503",
        "503-retry-after",
        "redirect",
        "page",
        "array",
        "drop",
        "reset",
    ],
)
def test_an_outage_is_waited_out_and_told(
    fake_sendx: FakeSendX, run_stream: RunStream, break_it: Callable[[FakeSendX], None]
) -> None:
    break_it(fake_sendx)
    events: list[Event] = []
    outcomes = run_stream(contacts(300), client_on_event=events.append)
    assert all(outcome.error is None for outcome in outcomes)
    assert len(fake_sendx.contacts) == 300
    own = [event for event in events if event.operation == "send_many"]
    assert {event.kind for event in own} == {"paused", "resumed"}
    assert own[0].kind == "paused"
    assert own[-1].kind == "resumed"
    assert len({event.call_id for event in own}) == 1
    for event in own:
        assert (event.delay is None) == (event.kind == "resumed")
        assert (event.error is None) == (event.kind == "resumed")
        assert 0 < event.attempt <= len(fake_sendx.requests)


def test_what_something_else_answers_for_longer_than_the_patience_ends_the_stream(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.html(200, applied=False, times=None)
    events: list[Event] = []
    stopped = stop(fake_sendx, backend, contacts(60), patience=1, client_on_event=events.append)
    assert isinstance(stopped.error, OutageError)
    assert isinstance(stopped.error.last, ResponseDecodeError)
    assert "HTTP 200 can't be SendX" in str(stopped.error)
    assert "0 were delivered, 0 failed" in str(stopped.error)
    assert stopped.error.maybe_delivered
    assert stopped.outcomes == []
    assert len(stopped.unclaimed) == 60
    assert all(outcome.is_retryable for outcome in stopped.unclaimed)
    own = [event for event in events if event.operation == "send_many"]
    assert {(event.status_code, event.error) for event in own} == {(200, "ResponseDecodeError")}


def test_an_event_that_something_else_has_answered_fails_and_what_follows_waits(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    event = CustomEventRequest("c0@example.com", "bought")
    fake_sendx.respond(200, path="identify")
    fake_sendx.html(200, applied=False, path="custom")
    kinds: list[str] = []
    source = [IdentifyRequest("c0@example.com"), event, event]
    outcomes = run_stream(
        source, batch_size=1, client_on_event=lambda each: kinds.append(each.kind)
    )
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None), ResponseDecodeError, type(None)
    ]  # fmt: skip
    assert outcomes[1].error is not None
    assert outcomes[1].error.maybe_delivered
    assert not outcomes[1].is_retryable
    assert len(fake_sendx.events) == 1
    assert kinds.count("paused") == kinds.count("resumed") == 1


def test_without_a_limit_of_patience_an_outage_is_waited_out(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(503, times=15)
    outcomes = run_stream(contacts(100), patience=None)
    assert all(outcome.error is None for outcome in outcomes)


def test_a_request_that_is_refused_ends_an_outage_as_a_success_does(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(503, retry_after=0)
    fake_sendx.respond(422)
    kinds: list[str] = []
    outcomes = run_stream(
        contacts(3),
        concurrency=1,
        batch_size=1,
        client_on_event=lambda event: kinds.append(event.kind),
    )
    assert [outcome.error is None for outcome in outcomes].count(False) == 1
    assert kinds.count("resumed") == 1


def test_a_request_that_is_told_to_wait_for_longer_makes_all_wait_for_longer(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(429, retry_after=0.5)
    fake_sendx.respond(429, retry_after=2)
    refused: list[float] = []
    accepted: list[float] = []

    def listen(event: Event) -> None:
        if event.kind == "attempt_finished":
            (refused if event.error else accepted).append(clock.time)
            if len(refused) == 2:
                clock.release()

    clock = HeldClock()
    outcomes = run_stream(
        contacts(20), concurrency=2, batch_size=1, client_on_event=listen, client_clock=clock
    )
    assert all(outcome.error is None for outcome in outcomes)
    assert refused == [1000, 1000]
    assert min(accepted) >= 1002


def test_a_stream_goes_on_when_a_stopped_server_is_back(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.stop()
    paused: list[Event] = []
    came: list[Outcome] = []

    async def main() -> None:
        back = anyio.Event()

        def listen(event: Event) -> None:
            if event.kind == "paused":
                paused.append(event)
                if len(paused) == 5:
                    back.set()

        async def come_back() -> None:
            await back.wait()
            await anyio.to_thread.run_sync(fake_sendx.start)

        async with (
            AsyncTrackingClient(
                fake_sendx.api_key, base_url=fake_sendx.url, retry=QUICK, on_event=listen
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(come_back)
            async with client.send_many(contacts(300)) as outcomes:
                came.extend([outcome async for outcome in outcomes])

    anyio.run(main, backend=backend)
    assert all(outcome.error is None for outcome in came)
    assert len(fake_sendx.contacts) == 300
    assert paused[0].error == "ConnectError"


def test_one_request_at_a_time_is_tried_during_an_outage(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(503, times=None)
    stopped = stop(fake_sendx, backend, contacts(1000), patience=0.5,
                   client_retry=RetryPolicy(base=0.05, cap=0.1))  # fmt: skip
    assert isinstance(stopped.error, OutageError)
    # Eight of the beginning, and then one for each pause of at least 20 ms.
    assert len(fake_sendx.requests) <= 8 + 25


def test_patience_ends_the_stream_and_the_error_says_what_was_sent(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(200, path="identify/bulk", times=2)
    fake_sendx.respond(500, times=None)
    stopped = stop(fake_sendx, backend, contacts(300), concurrency=1, patience=0.2)
    error = stopped.error
    assert isinstance(error, OutageError)
    assert isinstance(error.last, ServerError)
    assert error.operation == "send_many"
    assert error.attempts == len(fake_sendx.requests)
    assert error.elapsed >= 0.2
    assert error.maybe_delivered
    assert len(stopped.outcomes) == 50
    assert all(outcome.error is None for outcome in stopped.outcomes)
    text = str(error)
    assert "longer than the patience of 0.2 s" in text
    assert "HTTP 500" in text
    assert f"Of {50 + len(stopped.unclaimed)} requests that were read" in text
    assert "50 were delivered, 0 failed" in text
    unsent, unclaimed = len(stopped.unsent), len(stopped.unclaimed)
    assert f"{unclaimed - unsent} may have been delivered and {unsent} were not sent" in text
    # In the source's order, without a gap, and each says whether it may have been delivered.
    assert [outcome.index for outcome in stopped.unclaimed] == list(range(50, 50 + unclaimed))
    sent = {item["email"] for request in fake_sendx.requests for item in
            (request.json if isinstance(request.json, list) else [request.json])}  # fmt: skip
    for outcome in stopped.unclaimed:
        assert outcome.error is not None
        assert outcome.error.maybe_delivered == (outcome.request.email in sent)
        kind = ResponseLost if outcome.error.maybe_delivered else NotSentError
        assert isinstance(outcome.error, kind)


def test_what_met_a_stopped_server_is_unsent_and_can_be_given_to_another_stream(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.stop()
    stopped = stop(fake_sendx, backend, contacts(30), patience=0.1)
    assert isinstance(stopped.error, OutageError)
    assert isinstance(stopped.error.last, ConnectError)
    assert not stopped.error.maybe_delivered
    assert [outcome.index for outcome in stopped.unsent] == list(range(30))
    assert stopped.unsent == stopped.unclaimed
    assert stopped.outcomes == []
    # What is left can be given to the next stream as it is.
    fake_sendx.start()
    stopped = stop(fake_sendx, backend, [outcome.request for outcome in stopped.unsent])
    assert stopped.error is None
    assert len(fake_sendx.contacts) == 30


def test_a_wait_longer_than_patience_is_not_begun(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(429, retry_after=3600, times=None)
    stopped = stop(fake_sendx, backend, contacts(30), concurrency=1, patience=20)
    assert isinstance(stopped.error, OutageError)
    assert stopped.error.elapsed == 0  # by the client's clock, which only waiting moves
    assert isinstance(stopped.error.last, RateLimitError)
    assert stopped.error.last.retry_after == 3600
    assert "asks to wait 3600 s, longer than what is left of the patience of 20" in str(
        stopped.error
    )
    assert len(stopped.unsent) == 30


@pytest.mark.parametrize("seconds,is_too_long", [(19, False), (60, True)])
def test_a_pause_that_another_call_has_met_is_waited_out_as_long_as_the_patience(
    fake_sendx: FakeSendX, backend: str, seconds: float, is_too_long: bool
) -> None:
    fake_sendx.respond(429, retry_after=seconds)
    stopped, clock = Stopped(), StoppedClock()

    async def main() -> None:
        async with AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, retry=RetryPolicy(0), clock=clock
        ) as client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": "first@example.com"})
            await stopped.run(client, contacts(30), patience=20)

    began = clock.time
    anyio.run(main, backend=backend)
    if not is_too_long:
        assert stopped.error is None
        assert len(fake_sendx.contacts) == 30
        return
    assert isinstance(stopped.error, OutageError)
    assert isinstance(stopped.error.last, RateLimitError)
    text = "asks to wait 60 s, longer than what is left of the patience of 20 s: SendX answered"
    assert text in str(stopped.error)
    assert clock.time == began
    assert len(fake_sendx.requests) == 1
    assert len(stopped.unsent) == 30


def test_pauses_that_other_calls_make_longer_do_not_outlast_the_patience(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(429, retry_after=15)
    stopped = Stopped()

    class ALongerPause(StoppedClock):
        """When somebody has waited out a pause another answer has made it longer."""

        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            limiter = client._calls.shared.rate_limiter
            limiter.pause(15, RateLimitError(status_code=429, retry_after=15), now=self.time)

    clock = ALongerPause()
    client = AsyncTrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url, retry=RetryPolicy(0), clock=clock
    )

    async def main() -> None:
        async with client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": "first@example.com"})
            await stopped.run(client, contacts(30), patience=20)

    anyio.run(main, backend=backend)
    assert isinstance(stopped.error, OutageError)
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("status,kind", [(401, AuthenticationError), (403, PermissionDeniedError)])
def test_a_bad_key_ends_the_stream_at_once(
    fake_sendx: FakeSendX, backend: str, status: int, kind: type[Exception]
) -> None:
    fake_sendx.respond(200, path="identify/bulk", times=2)
    fake_sendx.respond(status, times=None)
    stopped = stop(fake_sendx, backend, contacts(1000), concurrency=1)
    assert isinstance(stopped.error, kind)
    assert len(fake_sendx.requests) == 3
    assert len(stopped.outcomes) == 50
    assert stopped.unsent == stopped.unclaimed
    assert [outcome.index for outcome in stopped.unsent] == list(
        range(50, 50 + len(stopped.unsent))
    )
    notes = "".join(stopped.error.__notes__)
    assert f"50 were delivered, 0 failed, 0 may have been delivered and {len(stopped.unsent)} " in (
        notes
    )


def test_what_is_under_way_may_end_when_a_bad_key_ends_the_stream(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> Stopped:
        second_is_here, first_is_refused = anyio.Event(), anyio.Event()
        numbers = iter(range(10))

        # The second request gets its answer after the first was refused.
        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            status = 401 if next(numbers) == 0 else 200
            if status == 401:
                await second_is_here.wait()
            else:
                second_is_here.set()
                await first_is_refused.wait()
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

        def listen(event: Event) -> None:
            if event.kind == "call_finished" and event.error is not None:
                first_is_refused.set()

        transport = httpx.ASGITransport(app)
        async with (
            httpx.AsyncClient(transport=transport) as http,
            AsyncTrackingClient(
                "key",
                base_url="https://sendx.test",
                http_client=http,
                on_event=listen,
                clock=StoppedClock(),
            ) as client,
        ):
            return await Stopped().run(client, contacts(75), concurrency=2)

    stopped = anyio.run(main, backend=backend)
    assert isinstance(stopped.error, AuthenticationError)
    assert all(outcome.error is None for outcome in stopped.outcomes)
    assert len(stopped.outcomes) == 25
    assert len(stopped.unsent) == 50


def test_what_hangs_when_a_bad_key_ends_the_stream_is_cut_off(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole(path="identify/bulk")
    fake_sendx.respond(401, times=None)
    began = time.monotonic()
    # The attempt itself may take longer than the test.
    stopped = stop(fake_sendx, backend, contacts(50), concurrency=2, client_timeout=600)
    assert time.monotonic() - began >= 1
    assert isinstance(stopped.error, AuthenticationError)
    assert stopped.error.maybe_delivered
    assert len(stopped.unsent) == 25
    lost = [outcome for outcome in stopped.unclaimed if outcome not in stopped.unsent]
    assert len(lost) == 25
    for outcome in lost:
        assert isinstance(outcome.error, ResponseLost)
        assert outcome.error.maybe_delivered
        assert outcome.error.operation == "identify_contact"


def test_a_client_that_is_closed_ends_its_streams(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> Stopped:
        client = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)

        async def source() -> AsyncIterator[IdentifyRequest]:
            for contact in contacts(10):
                yield contact
            await client.aclose()
            yield IdentifyRequest("late@example.com")

        return await Stopped().run(client, source(), batch_size=1, concurrency=1)

    stopped = anyio.run(main, backend=backend)
    assert isinstance(stopped.error, ClientClosedError)
    assert len(stopped.outcomes) + len(stopped.unclaimed) == 11


def test_a_broken_ssl_cert_file_ends_the_stream(
    fake_sendx: FakeSendX, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")

    async def main() -> Stopped:
        async with AsyncTrackingClient("key", base_url="https://127.0.0.1:9") as client:
            return await Stopped().run(client, contacts(3))

    stopped = anyio.run(main, backend=backend)
    assert isinstance(stopped.error, ConfigurationError)
    assert len(stopped.unsent) == 3


def test_what_a_hook_of_the_applications_http_client_raises_ends_the_stream(backend: str) -> None:
    async def refuse(_request: httpx.Request) -> None:
        raise LookupError("a hook of the application")

    async def main() -> Stopped:
        async with (
            httpx.AsyncClient(event_hooks={"request": [refuse]}) as http,
            AsyncTrackingClient("key", base_url="https://sendx.test", http_client=http) as client,
        ):
            return await Stopped().run(client, contacts(30), concurrency=1)

    stopped = anyio.run(main, backend=backend)
    assert isinstance(stopped.error, LookupError)
    assert len(stopped.unclaimed) == 30


def test_events_are_not_used_to_try_an_outage_if_there_is_anything_else(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(503, times=None)
    # Each event that meets the 503 may have been counted, so it is lost to the caller's doubt.
    source = [*(CustomEventRequest(f"c{n}@example.com", "bought") for n in range(20)),
              TrackRequest("jane@example.com")]  # fmt: skip
    stopped = stop(fake_sendx, backend, source, concurrency=1, patience=0.3)
    assert isinstance(stopped.error, OutageError)
    assert len(stopped.outcomes) == 3
    assert len(stopped.unsent) == 17
    requests = [request.path.rsplit("/", 1)[-1] for request in fake_sendx.requests]
    assert requests[:3] == ["custom"] * 3
    assert set(requests[3:]) == {"track"}


def test_an_outage_in_which_nothing_else_is_left_is_tried_with_events(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(503, times=6)
    fake_sendx.respond(200, times=None)
    source = [CustomEventRequest(f"c{n}@example.com", "bought") for n in range(20)]
    stopped = stop(fake_sendx, backend, source, concurrency=1)
    assert stopped.error is None
    assert [o.error is None for o in stopped.outcomes] == [False] * 6 + [True] * 14


@pytest.mark.parametrize("status", [408, 500])
def test_a_request_is_not_repeated_after_longer_than_the_patience(
    fake_sendx: FakeSendX, run_stream: RunStream, status: int
) -> None:
    fake_sendx.respond(status, retry_after=3600)
    (outcome,) = run_stream([TrackRequest("jane@example.com")], patience=5)
    assert isinstance(outcome.error, ApiError)
    assert outcome.error.retry_after == 3600


def test_a_server_that_fails_at_batches_gets_single_contacts(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(500, path="identify/bulk", times=None)
    outcomes = run_stream(contacts(1000), patience=20)
    assert all(outcome.error is None for outcome in outcomes)
    assert len(fake_sendx.contacts) == 1000
    batches = [r for r in fake_sendx.requests if isinstance(r.json, list)]
    assert len(batches) < 1000 / 25


def test_a_contact_that_the_server_fails_at_fails_without_the_rest_of_its_batch(
    backend: str,
) -> None:
    class Poisonable(FakeSendX):
        """Answers 500 to each request that holds a certain contact."""

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            message = await receive()
            while message.get("more_body"):
                more = await receive()
                message = {**more, "body": message["body"] + more["body"]}
            if b"poison" in message["body"]:
                await send({"type": "http.response.start", "status": 500, "headers": []})
                await send({"type": "http.response.body", "body": b"{}"})
            else:
                pieces = iter([message])

                async def replay() -> Any:
                    return next(pieces, None) or await receive()

                await super().__call__(scope, replay, send)

    source = [
        IdentifyRequest(f"{'poison' if n % 25 == 7 else 'c'}{n}@example.com") for n in range(500)
    ]
    fake = Poisonable()
    with fake.serving():
        stopped = stop(fake, backend, source, patience=20)
    assert stopped.error is None
    failed = [outcome.index for outcome in stopped.outcomes if outcome.error is not None]
    assert sorted(failed) == [n for n in range(500) if n % 25 == 7]


def test_a_429_pauses_every_caller_of_the_client(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(429, retry_after=1, path="identify/bulk")

    async def main() -> None:
        clock = HeldClock()
        paused = anyio.Event()

        def listen(event: Event) -> None:
            if event.kind == "paused":
                paused.set()

        async with (
            AsyncTrackingClient(
                fake_sendx.api_key, base_url=fake_sendx.url, on_event=listen, clock=clock
            ) as client,
            client.send_many(contacts(25)) as outcomes,
        ):
            await paused.wait()
            with pytest.raises(DeadlineExceeded):
                await client.identify_contact({"email": "other@example.com"}, deadline=0.3)
            assert len(fake_sendx.requests) == 1
            clock.release()
            assert len([outcome async for outcome in outcomes]) == 25
            assert clock.time >= 1001

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 2


def test_a_rate_holds_for_a_stream(fake_sendx: FakeSendX, run_stream: RunStream) -> None:
    began = time.monotonic()
    run_stream(contacts(61), batch_size=1, client_rate=Rate(100), client_clock=Clock())
    # 60 intervals of 10 ms; a slow machine may take longer, never shorter.
    assert fake_sendx.requests[-1].at - began >= 0.59
