"""What a client tells of its calls to ``on_event`` and to the log, and in which order."""

import asyncio
import functools
import logging
import pickle
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    Event,
    InvalidRequestError,
    SendXError,
)
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}
REVENUE = {"identifier": "jane@example.com", "amount": 5}

MakeClient = Callable[..., AsyncTrackingClient]
Told = tuple[str, int, int | None, str | None]


def told(events: list[Event]) -> list[Told]:
    return [(event.kind, event.attempt, event.status_code, event.error) for event in events]


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.mark.asyncio
async def test_a_success(fake: FakeSendX, make_client: MakeClient, events: list[Event]) -> None:
    async with make_client(on_event=events.append) as client:
        answer = await client.identify_contact_with_http_info(JANE)
    assert told(events) == [
        ("call_started", 0, None, None),
        ("attempt_finished", 1, 200, None),
        ("call_finished", 1, 200, None),
    ]
    assert {event.operation for event in events} == {"identify_contact"}
    assert {event.call_id for event in events} == {answer.call_id}
    assert re.fullmatch("[0-9a-f]{16}", answer.call_id)
    assert [event.delay for event in events] == [None] * 3


@pytest.mark.asyncio
async def test_a_retry(fake: FakeSendX, make_client: MakeClient, events: list[Event]) -> None:
    fake.respond(500)
    async with make_client(on_event=events.append) as client:
        await client.identify_contact(JANE)
    assert told(events) == [
        ("call_started", 0, None, None),
        ("attempt_finished", 1, 500, "ServerError"),
        ("retry_scheduled", 1, 500, "ServerError"),
        ("attempt_finished", 2, 200, None),
        ("call_finished", 2, 200, None),
    ]
    assert [event.delay for event in events] == [None, None, 0, None, None]
    elapsed = [event.elapsed for event in events]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] >= 0


@pytest.mark.asyncio
async def test_a_pause(fake: FakeSendX, make_client: MakeClient, events: list[Event]) -> None:
    fake.respond(429, retry_after=0.02)
    async with make_client(on_event=events.append) as client:
        await client.identify_contact(JANE)
    assert told(events) == [
        ("call_started", 0, None, None),
        ("attempt_finished", 1, 429, "RateLimitError"),
        ("paused", 1, 429, "RateLimitError"),
        ("retry_scheduled", 1, 429, "RateLimitError"),
        ("attempt_finished", 2, 200, None),
        ("call_finished", 2, 200, None),
    ]
    assert events[2].delay == events[3].delay == 0.02


@pytest.mark.asyncio
async def test_a_failure(fake: FakeSendX, make_client: MakeClient, events: list[Event]) -> None:
    fake.respond(422)
    async with make_client(on_event=events.append) as client:
        with pytest.raises(SendXError) as caught:
            await client.identify_contacts([JANE])
    assert told(events) == [
        ("call_started", 0, None, None),
        ("attempt_finished", 1, 422, "UnprocessableEntityError"),
        ("call_finished", 1, 422, "UnprocessableEntityError"),
    ]
    assert {event.call_id for event in events} == {caught.value.call_id}
    assert {event.operation for event in events} == {caught.value.operation}


@pytest.mark.asyncio
async def test_an_unreadable_success_has_a_status(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.html(200)
    async with make_client(on_event=events.append) as client:
        with pytest.raises(SendXError):
            await client.identify_contact(JANE)
    assert told(events)[1:] == [
        ("attempt_finished", 1, 200, "ResponseDecodeError"),
        ("call_finished", 1, 200, "ResponseDecodeError"),
    ]


@pytest.mark.asyncio
async def test_a_lost_answer_has_no_status(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.drop()
    async with make_client(on_event=events.append) as client:
        with pytest.raises(SendXError):
            await client.track_revenue_event(REVENUE)
    assert told(events)[1:] == [
        ("attempt_finished", 1, None, "ResponseLost"),
        ("call_finished", 1, None, "ResponseLost"),
    ]


@pytest.mark.asyncio
async def test_events_say_where_the_requests_go(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.respond(429, retry_after=0)
    async with make_client(on_event=events.append) as client:
        await client.identify_contact(JANE)
        copy = client.with_options(base_url="https://sendx.test/api/v1/rest/")
        await copy.identify_contacts([JANE])
    base_url = "https://sendx.test/api/v1/rest"
    assert [event.url for event in events] == (
        [f"{base_url}/contact/identify"] * 6 + [f"{base_url}/contact/identify/bulk"] * 3
    )


@pytest.mark.asyncio
async def test_events_say_whether_the_request_may_have_been_applied_by_then(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.respond(429, retry_after=0)
    fake.respond(500)
    async with make_client(on_event=events.append) as client:
        await client.identify_contact(JANE)
        after_a_success = [(event.kind, event.maybe_delivered) for event in events]
        events.clear()
        await client.identify_contact(JANE)
        at_once = [event.maybe_delivered for event in events]
        events.clear()
        fake.respond(422)
        with pytest.raises(SendXError):
            await client.identify_contact(JANE)
    assert after_a_success == [
        ("call_started", False),
        ("attempt_finished", False),
        ("paused", False),
        ("retry_scheduled", False),
        ("attempt_finished", True),
        ("retry_scheduled", True),
        ("attempt_finished", True),
        ("call_finished", True),
    ]
    assert at_once == [False, True, True]
    assert [event.maybe_delivered for event in events] == [False] * 3


@pytest.mark.asyncio
async def test_what_a_stream_tells_of_itself_goes_nowhere(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.respond(429, retry_after=0)
    async with (
        make_client(on_event=events.append) as client,
        client.send_many([JANE]) as outcomes,
    ):
        assert [outcome.error async for outcome in outcomes] == [None]
    of_the_stream = [event for event in events if event.operation == "send_many"]
    assert [event.kind for event in of_the_stream] == ["paused", "resumed"]
    assert {(event.url, event.maybe_delivered) for event in of_the_stream} == {(None, None)}
    others = [event for event in events if event.operation != "send_many"]
    assert {event.url for event in others} == {"https://sendx.test/api/v1/rest/contact/identify"}


@pytest.mark.asyncio
async def test_events_can_be_kept_and_compared(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    fake.drop()
    async with make_client(on_event=events.append) as client:
        await client.identify_contact(JANE)
    assert pickle.loads(pickle.dumps(events)) == events
    assert len(set(events)) == len(events)


@pytest.mark.asyncio
async def test_a_cancelled_call_is_told_as_finished(
    fake_sendx: FakeSendX, events: list[Event]
) -> None:
    fake_sendx.black_hole()
    async with AsyncTrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url, on_event=events.append
    ) as client:
        call = asyncio.create_task(client.identify_contact(JANE))
        await fake_sendx.until(lambda: fake_sendx.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert told(events)[0] == ("call_started", 0, None, None)
    assert told(events)[-1] == ("call_finished", 1, None, "CancelledError")
    assert events[-1].maybe_delivered  # it was sent
    assert [event.kind for event in events].count("call_finished") == 1


@pytest.mark.asyncio
async def test_a_request_that_is_refused_here_is_no_call(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    async with make_client(on_event=events.append) as client:
        with pytest.raises(InvalidRequestError):
            await client.identify_contact({"email": ""})
    assert events == []


@pytest.mark.asyncio
async def test_a_listener_that_raises_disturbs_nothing(
    fake: FakeSendX, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def raising(event: Event) -> None:
        seen.append(event.kind)
        raise LookupError("of the listener")

    fake.respond(429, retry_after=0)
    fake.respond(422)
    async with make_client(on_event=raising) as client:
        with pytest.raises(SendXError, match="422"):
            await client.identify_contact(JANE)
        assert (await client.identify_contact(JANE)).status == "200"
    assert seen.count("call_finished") == 2
    complaints = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(complaints) == len(seen)
    assert {record.name for record in complaints} == {"sendx_async"}
    assert "LookupError: of the listener" in caplog.text


class _AsyncCallable:
    async def __call__(self, event: Event) -> None:
        """Do nothing."""


async def _coroutine_function(event: Event) -> None:
    """Do nothing."""


async def _generator(event: Event) -> AsyncIterator[Event]:
    yield event


@pytest.mark.parametrize(
    "listener",
    [
        _coroutine_function,
        functools.partial(_coroutine_function),
        _AsyncCallable(),
        functools.partial(_AsyncCallable()),
        _AsyncCallable().__call__,
        _generator,
        "print",
        7,
    ],
)
def test_a_listener_that_cannot_be_called_plainly_is_refused(listener: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_event must be a plain function"):
        AsyncTrackingClient("team-key", on_event=listener)
    with pytest.raises(ConfigurationError, match="on_event must be a plain function"):
        AsyncTrackingClient("team-key").with_options(on_event=listener)


@pytest.mark.asyncio
async def test_a_copy_has_its_own_listener(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    async with make_client() as client:
        await client.with_options(on_event=events.append).identify_contact(JANE)
        await (
            client.with_options(on_event=events.append)
            .with_options(on_event=None)
            .identify_contact(JANE)
        )
        await client.identify_contact(JANE)
    assert len(events) == 3


@pytest.mark.asyncio
async def test_the_log_tells_the_same_at_debug(
    fake: FakeSendX, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "sendx_async")
    fake.respond(503, retry_after=0.01)
    async with make_client() as client:
        answer = await client.identify_contact_with_http_info(JANE)
    records = [record for record in caplog.records if record.name == "sendx_async"]
    assert [record.levelname for record in records] == [
        "DEBUG", "DEBUG", "WARNING", "DEBUG", "DEBUG", "DEBUG"
    ]  # fmt: skip
    texts = [record.getMessage() for record in records]
    assert all(answer.call_id in text and "identify_contact" in text for text in texts)
    for text, kind in zip(
        texts, ["call_started", "attempt_finished", "pausing for", "retry_scheduled"], strict=False
    ):
        assert kind in text


@pytest.mark.asyncio
async def test_only_a_pause_is_worth_a_warning(
    fake: FakeSendX, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sendx_async")
    fake.respond(500)
    fake.respond(429, retry_after=0.01)
    async with make_client() as client:
        await client.identify_contact(JANE)
    texts = [record.getMessage() for record in caplog.records if record.name == "sendx_async"]
    assert len(texts) == 1
    assert "0.010 s" in texts[0]


@pytest.mark.asyncio
async def test_concurrent_calls_can_be_told_apart(
    fake: FakeSendX, make_client: MakeClient, events: list[Event]
) -> None:
    async with make_client(on_event=events.append) as client:
        await asyncio.gather(*(client.identify_contact(JANE) for _ in range(10)))
    by_call: dict[str, list[str]] = {}
    for event in events:
        by_call.setdefault(event.call_id, []).append(event.kind)
    assert len(by_call) == 10
    assert set(map(tuple, by_call.values())) == {
        ("call_started", "attempt_finished", "call_finished")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "configured, written",
    [
        ("", r"SendX: pausing for 0\.010 s, after identify_contact .*RateLimitError"),
        ("logging.basicConfig()", r"WARNING:sendx_async:SendX: pausing for .*"),
        ("logging.getLogger('sendx_async').addHandler(logging.NullHandler())", None),
        ("logging.basicConfig(level='ERROR')", None),
    ],
    ids=["nothing", "basic", "a handler that does nothing", "errors only"],
)
def test_a_script_shows_warnings_once_unless_it_configures_otherwise(
    configured: str, written: str | None, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(429, retry_after=0.01)
    code = f"""
import logging
from sendx_async import TrackingClient

{configured}
with TrackingClient({fake_sendx.api_key!r}, base_url={fake_sendx.url!r}) as client:
    client.identify_contact({JANE!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    lines = done.stderr.splitlines()
    assert len(lines) == (0 if written is None else 1)
    assert all(re.fullmatch(str(written), line) for line in lines)
    assert "jane" not in done.stderr
