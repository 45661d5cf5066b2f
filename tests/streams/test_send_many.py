"""What a stream sends, in how many requests, and what it says of each of them."""

import collections
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import attrs
import pytest

from sendx_async import (
    AsyncTrackingClient,
    BadRequestError,
    ConfigurationError,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    NotFoundError,
    NotSentError,
    Outcome,
    ReportedFailureError,
    ResponseLost,
    RetryPolicy,
    RevenueEventRequest,
    ServerError,
    TrackRequest,
    UnprocessableEntityError,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

from .processes import LIMIT
from .sources import contacts

RunStream = Callable[..., list[Outcome]]
BULK = "/contact/identify/bulk"


def paths(fake: FakeSendX) -> list[str]:
    return [request.path.removeprefix("/api/v1/rest") for request in fake.requests]


def indices(outcomes: list[Outcome]) -> list[int]:
    return [outcome.index for outcome in outcomes]


def test_contacts_travel_25_to_a_request(fake_sendx: FakeSendX, run_stream: RunStream) -> None:
    outcomes = run_stream(contacts(100))
    assert indices(outcomes) == list(range(100))
    assert all(outcome.error is None for outcome in outcomes)
    assert all(o.response and o.response.status == "success" for o in outcomes)
    assert set(paths(fake_sendx)) == {BULK}
    assert max(len(request.json) for request in fake_sendx.requests) == 25
    assert len(fake_sendx.requests) == 4
    assert len(fake_sendx.contacts) == 100


@pytest.mark.parametrize("batch_size", [1, 3, 10, 25])
def test_the_batch_size_is_kept(
    fake_sendx: FakeSendX, run_stream: RunStream, batch_size: int
) -> None:
    run_stream(contacts(100), batch_size=batch_size, concurrency=1)
    sizes = [len(r.json) if isinstance(r.json, list) else 1 for r in fake_sendx.requests]
    assert max(sizes) == batch_size
    assert sum(sizes) == 100


def test_a_single_contact_does_not_use_the_bulk_endpoint(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    run_stream(contacts(1))
    assert paths(fake_sendx) == ["/contact/identify"]


def test_all_kinds_of_requests_can_be_mixed(fake_sendx: FakeSendX, run_stream: RunStream) -> None:
    def source() -> Iterator[Any]:
        yield IdentifyRequest("jane@example.com")
        yield {"email": "joe@example.com", "firstName": "Joe"}
        yield TrackRequest("jane@example.com", add_tags=["vip"])
        yield {"email": "joe@example.com", "add_tags": ["vip"]}
        yield CustomEventRequest("jane@example.com", "bought")
        yield {"identifier": "jane@example.com", "name": "sold"}
        yield RevenueEventRequest("joe@example.com", 5)
        yield {"identifier": "joe@example.com", "amount": 7}
        yield {"email": "jane@example.com", "new_email": "jane@new.example.com"}

    outcomes = run_stream(source())
    assert [type(outcome.request) for outcome in outcomes] == [
        IdentifyRequest, IdentifyRequest, TrackRequest, TrackRequest, CustomEventRequest,
        CustomEventRequest, RevenueEventRequest, RevenueEventRequest, IdentifyRequest,
    ]  # fmt: skip
    assert [outcome.error for outcome in outcomes] == [None] * 9
    assert fake_sendx.contact("jane@new.example.com").tags == {"vip"}
    assert fake_sendx.contact("joe@example.com").first_name == "Joe"
    assert [event.name for event in fake_sendx.events if event.kind == "custom"] == [
        "bought", "sold"
    ]  # fmt: skip
    assert [event.amount for event in fake_sendx.events if event.kind == "revenue"] == [5, 7]


def test_a_source_is_an_iterable_or_an_asynchronous_generator(run_stream: RunStream) -> None:
    async def generator() -> AsyncIterator[IdentifyRequest]:
        for contact in contacts(60):
            await anyio.lowlevel.checkpoint()
            yield contact

    for source in (contacts(60), tuple(contacts(60)), set(contacts(0)), iter(contacts(60))):
        assert all(outcome.error is None for outcome in run_stream(source))
    assert indices(run_stream(generator())) == list(range(60))
    assert run_stream([]) == []


@pytest.mark.parametrize(
    "source", [None, "jane@example.com", b"jane", {"email": "a@b.co"}, 7, IdentifyRequest("a@b.co")]
)
def test_what_is_no_source_is_refused_at_once(source: Any) -> None:
    client = AsyncTrackingClient("key")
    with pytest.raises(InvalidRequestError, match="source must be an Iterable or AsyncIterable"):
        client.send_many(source)


def test_what_is_no_source_is_refused_with_what_to_do() -> None:
    client = AsyncTrackingClient("key")
    for source in ({"email": "a@b.co"}, IdentifyRequest("a@b.co")):
        with pytest.raises(InvalidRequestError, match="put it in a list, or use send"):
            client.send_many(source)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="got function: call it"):
        client.send_many(contacts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options,words",
    [
        ({"concurrency": 0}, "concurrency must be an int of at least 1"),
        ({"concurrency": 2.0}, "concurrency must be an int"),
        ({"batch_size": 26}, "batch_size must be an int of at least 1, at most 25"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"patience": 0}, "patience must be None for no limit, or a number of seconds above 0"),
        ({"patience": "300"}, "patience"),
    ],
)
def test_options_out_of_range_are_refused_at_once(options: Any, words: str) -> None:
    client = AsyncTrackingClient("key")
    with pytest.raises(ConfigurationError, match=words):
        client.send_many([], **options)


def test_bad_requests_are_outcomes_and_end_nothing(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    bad = {"email": "no address", "frist_name": "Jane"}
    source = [*contacts(2), bad, None, TrackRequest("c0@example.com", add_tags=["vip"]), "text"]
    outcomes = run_stream(source)
    assert indices(outcomes) == list(range(6))
    errors = [outcome.error for outcome in outcomes]
    assert [errors[0], errors[1], errors[4]] == [None] * 3
    for index in (2, 3, 5):
        error = errors[index]
        assert isinstance(error, InvalidRequestError)
        assert not error.maybe_delivered
        assert outcomes[index].request is source[index]
        assert outcomes[index].response is None
    assert isinstance(errors[2], InvalidRequestError)
    assert len(errors[2].problems) == 2
    assert fake_sendx.contact("c0@example.com").tags == {"vip"}


def test_requests_that_are_all_bad_cost_no_http_request(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    outcomes = run_stream(None for _ in range(1000))
    assert len(outcomes) == 1000
    assert fake_sendx.requests == []


def test_an_outcome_shows_no_personal_data() -> None:
    private = {"email": "jane@example.com"}
    for request in (private, IdentifyRequest("jane@example.com", first_name="Jane")):
        text = repr(Outcome(3, request, error=BadRequestError(status_code=400)))
        assert "index=3" in text
        assert "HTTP 400" in text
        assert "jane@" not in text
        assert "Jane" not in text


def test_a_refused_batch_is_sent_one_by_one_so_that_only_the_bad_contact_fails(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    source = contacts(25)
    source[7] = IdentifyRequest("c7@example.com", extra={"birthday": "yesterday"})
    outcomes = run_stream(source)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert indices(failed) == [7]
    error = failed[0].error
    assert isinstance(error, UnprocessableEntityError)
    assert error.message == "birthday must be a date, YYYY-MM-DD"
    assert error.operation == "identify_contact"
    assert error.attempts == 2
    assert not error.maybe_delivered
    # The bad one is refused twice; those that travelled with it are sent twice.
    counts = collections.Counter(paths(fake_sendx))
    assert counts["/contact/identify"] <= 25
    assert len(fake_sendx.contacts) == 24


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_every_kind_of_refusal_splits_a_batch(
    fake_sendx: FakeSendX, run_stream: RunStream, status: int
) -> None:
    fake_sendx.respond(status, path="identify/bulk")
    outcomes = run_stream(contacts(60), concurrency=1)
    assert all(outcome.error is None for outcome in outcomes)
    refused = next(request.json for request in fake_sendx.requests if request.status == status)
    singles = [r.json for r in fake_sendx.requests if not isinstance(r.json, list)]
    assert [item for item in singles if item in refused] == refused


@pytest.mark.parametrize("status", [404, 405])
def test_a_bulk_endpoint_that_is_not_there_is_not_asked_again(
    fake_sendx: FakeSendX, run_stream: RunStream, status: int
) -> None:
    fake_sendx.respond(status, path="identify/bulk", times=None)
    outcomes = run_stream(contacts(100), concurrency=2)
    assert all(outcome.error is None for outcome in outcomes)
    counts = collections.Counter(paths(fake_sendx))
    assert 1 <= counts[BULK] <= 2
    assert counts["/contact/identify"] == 100


def test_a_batch_that_the_server_fails_at_is_sent_one_by_one(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    # One contact that makes the server fail must not drag the others down.
    fake_sendx.respond(500, path="identify/bulk", times=None)
    outcomes = run_stream(contacts(25), concurrency=1)
    assert all(outcome.error is None for outcome in outcomes)
    assert collections.Counter(paths(fake_sendx))["/contact/identify"] == 25


def test_a_request_that_fails_while_others_succeed_fails_alone(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(500, path="track", times=None)
    source = [*contacts(50), TrackRequest("joe@example.com"), *contacts(50)]
    events: list[str] = []
    outcomes = run_stream(
        source,
        client_retry=RetryPolicy(2, base=0.001, cap=0.01),
        client_on_event=lambda event: events.append(event.kind),
    )
    assert "paused" not in events
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert indices(failed) == [50]
    assert isinstance(failed[0].error, ServerError)
    assert failed[0].error.attempts == 3
    assert failed[0].error.maybe_delivered
    assert paths(fake_sendx).count("/contact/track") == 3


def test_a_request_that_recovers_is_delivered(fake_sendx: FakeSendX, run_stream: RunStream) -> None:
    fake_sendx.respond(200)
    fake_sendx.respond(408, path="track")
    fake_sendx.respond(500, path="track", retry_after=0)
    outcomes = run_stream([TrackRequest("jane@example.com")] * 2)
    assert [outcome.error for outcome in outcomes][:1] == [None]
    # The contact is unknown, which is final.
    assert isinstance(outcomes[1].error, NotFoundError)
    assert paths(fake_sendx).count("/contact/track") == 4


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize(
    "request_",
    [
        CustomEventRequest("c0@example.com", "bought"),
        IdentifyRequest("c0@example.com", custom_fields={"Seats": "++1"}),
        IdentifyRequest("c0@example.com", new_email="new@example.com"),
    ],
    ids=["event", "increment", "rename"],
)
def test_what_is_not_safe_to_repeat_is_never_sent_twice(
    fake_sendx: FakeSendX, run_stream: RunStream, request_: Any, applied: bool
) -> None:
    path = "events/custom" if isinstance(request_, CustomEventRequest) else "contact/identify"
    fake_sendx.drop(applied=applied, path=path)
    other = TrackRequest("other@example.com")
    outcomes = run_stream([request_, other])
    assert isinstance(outcomes[0].error, ResponseLost)
    assert outcomes[0].error.maybe_delivered
    assert isinstance(outcomes[1].error, NotFoundError)
    assert paths(fake_sendx).count(f"/{path}") == 1


def test_a_refusal_for_now_is_repeated_even_so(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(429, path="events/custom", retry_after=0)
    source = [IdentifyRequest("c0@example.com"), CustomEventRequest("c0@example.com", "bought")]
    assert [outcome.error for outcome in run_stream(source)] == [None, None]
    assert len(fake_sendx.events) == 1


@pytest.mark.parametrize(
    "status,body",
    [
        (200, {"status": "error", "message": "no"}),
        (200, {"status": "success", "failed": ["c1@example.com"]}),
        (200, {"data": [{"email": "c1@example.com", "error": "no"}]}),
        (207, {"status": "success"}),
    ],
)
def test_contacts_of_a_batch_that_reports_a_failure_are_sent_one_by_one(
    fake_sendx: FakeSendX, run_stream: RunStream, status: int, body: Any
) -> None:
    fake_sendx.respond(status, body=body, path="identify/bulk", applied=False)
    fake_sendx.respond(200, body={"error": "no"}, path="contact/identify", applied=False)
    outcomes = run_stream(contacts(25))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert len(failed) == 1
    assert isinstance(failed[0].error, ReportedFailureError)
    assert (failed[0].error.message, failed[0].error.attempts) == ("no", 2)
    assert failed[0].error.maybe_delivered
    assert not failed[0].is_retryable
    assert len(fake_sendx.contacts) == 24
    assert paths(fake_sendx) == [BULK, *["/contact/identify"] * 25]


EVENT = CustomEventRequest("c0@example.com", "bought")
CONTACT = IdentifyRequest("c0@example.com")


def test_an_outcome_is_retryable_as_its_error_is() -> None:
    assert Outcome(0, {}, error=NotSentError()).is_retryable
    assert not Outcome(0, EVENT, error=ResponseLost(maybe_delivered=True)).is_retryable
    assert not Outcome(0, EVENT).is_retryable


def test_a_contact_that_was_given_up_may_be_sent_again(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(500, times=None)
    given_up, renamed = run_stream([CONTACT, attrs.evolve(CONTACT, new_email="c1@example.com")])
    assert given_up.error is not None
    assert given_up.error.maybe_delivered
    assert given_up.is_retryable
    assert not renamed.is_retryable


@pytest.mark.parametrize(
    "request_",
    [
        IdentifyRequest("c0@example.com", tags=["a"], custom_fields={"Seats": 3}, extra={"new": 1}),
        TrackRequest("c0@example.com", add_tags=["a"]),
        TrackRequest(None),
        EVENT,
        RevenueEventRequest("c0@example.com", 5, time=7),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_can_be_kept_as_json_and_given_to_another_stream(
    fake_sendx: FakeSendX, run_stream: RunStream, request_: Any
) -> None:
    kept = json.loads(json.dumps(attrs.asdict(request_)))
    (outcome,) = run_stream([kept])
    assert outcome.request == request_


def test_errors_keep_no_frames_with_the_request(
    fake_sendx: FakeSendX, run_stream: RunStream
) -> None:
    fake_sendx.respond(422, times=None)
    for outcome in run_stream([*contacts(2), None]):
        assert outcome.error is not None
        assert outcome.error.__traceback__ is None
        assert outcome.error.__context__ is None


def test_a_lone_contact_leaves_at_once_though_the_source_goes_on(
    fake_sendx: FakeSendX, backend: str
) -> None:
    # The source gives the next contact only when the one before it has arrived.
    async def source() -> AsyncIterator[IdentifyRequest]:
        for count, contact in enumerate(contacts(5)):
            await fake_sendx.until(lambda count=count: len(fake_sendx.contacts) == count, LIMIT)  # type: ignore[misc]
            yield contact

    async def main() -> None:
        async with (
            AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client,
            client.send_many(source()) as outcomes,
        ):
            assert len([outcome async for outcome in outcomes]) == 5

    anyio.run(main, backend=backend)
    assert paths(fake_sendx) == ["/contact/identify"] * 5


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_requests_are_under_way_than_allowed(
    fake_sendx: FakeSendX, backend: str, concurrency: int
) -> None:
    fake_sendx.black_hole(times=None)

    async def main() -> None:
        async with (
            AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client,
            client.send_many(contacts(500), concurrency=concurrency),
        ):
            await fake_sendx.until(lambda: len(fake_sendx.requests) >= concurrency, LIMIT)

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == concurrency
    assert fake_sendx.connections.accepted == concurrency


def test_no_more_requests_begin_than_the_client_has_connections(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole(times=None)
    kinds: list[str] = []

    async def main() -> None:
        async with (
            AsyncTrackingClient(
                fake_sendx.api_key,
                base_url=fake_sendx.url,
                max_connections=2,
                on_event=lambda event: kinds.append(event.kind),
                clock=StoppedClock(),
            ) as client,
            client.send_many(contacts(100), concurrency=50),
        ):
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 2, LIMIT)
            # All four batches were read before the first of them left.
            assert kinds.count("call_started") == 2

    anyio.run(main, backend=backend)
