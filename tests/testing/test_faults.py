"""FakeSendX told to misbehave, over real sockets."""

import datetime as dt
import math
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import httpx
import pytest

from sendx_async.testing import FakeSendX
from sendx_async.testing._faults import RateLimit

JANE = "jane@example.com"
Identify = Callable[..., httpx.Response]


@pytest.fixture
def fake() -> Iterator[FakeSendX]:
    fake = FakeSendX()
    with fake.serving():
        yield fake


@pytest.fixture
def client(fake: FakeSendX) -> Iterator[httpx.Client]:
    headers = {"X-Team-ApiKey": fake.api_key}
    with httpx.Client(base_url=fake.url, headers=headers, timeout=30.0) as client:
        yield client


@pytest.fixture
def identify(client: httpx.Client) -> Identify:
    def call(email: str = JANE, timeout: float = 30.0) -> httpx.Response:
        return client.post("/contact/identify", json={"email": email}, timeout=timeout)

    return call


def statuses(identify: Identify, count: int) -> list[int]:
    return [identify().status_code for _ in range(count)]


def test_a_given_status_once(fake: FakeSendX, identify: Identify) -> None:
    fake.respond(503)
    answer = identify()
    assert answer.status_code == 503
    assert answer.json() == {"status": "error", "message": "Service Unavailable"}
    assert "retry-after" not in answer.headers
    assert fake.contacts == {}
    assert identify().status_code == 200


def test_a_given_status_several_times_and_for_ever(fake: FakeSendX, identify: Identify) -> None:
    fake.respond(500, times=2)
    fake.respond(502, times=None)
    assert statuses(identify, 5) == [500, 500, 502, 502, 502]
    fake.recover()
    assert statuses(identify, 1) == [200]
    assert len(fake.requests) == 6


def test_a_fault_for_one_path_leaves_the_others_alone(
    fake: FakeSendX, client: httpx.Client, identify: Identify
) -> None:
    fake.respond(500, path="track")
    fake.respond(501, path="/contact/identify/bulk")
    assert identify().status_code == 200
    assert client.post("/contact/identify/bulk", json=[]).status_code == 501
    assert client.post("/contact/track", json={"email": JANE}).status_code == 500
    assert client.post("/contact/track", json={"email": JANE}).status_code == 200


def test_the_first_fault_that_concerns_a_request_wins(
    fake: FakeSendX, client: httpx.Client, identify: Identify
) -> None:
    fake.respond(500, path="track")
    fake.respond(501)
    fake.respond(502)
    assert identify().status_code == 501
    assert client.post("/contact/track", json={"email": JANE}).status_code == 500
    assert identify().status_code == 502


@pytest.mark.parametrize(
    "retry_after,sent",
    [
        (3, "3"),
        (0.5, "0.5"),
        ("soon", "soon"),
        (dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC), "Mon, 23 Nov 2026 12:00:00 GMT"),
        (
            dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "Mon, 23 Nov 2026 10:00:00 GMT",
        ),
    ],
)
def test_retry_after(
    fake: FakeSendX, identify: Identify, retry_after: float | str | dt.datetime, sent: str
) -> None:
    fake.respond(429, retry_after=retry_after)
    assert identify().headers["retry-after"] == sent


def test_a_datetime_without_a_time_zone_is_refused(fake: FakeSendX) -> None:
    with pytest.raises(ValueError, match="time zone"):
        fake.respond(429, retry_after=dt.datetime(2026, 11, 23))  # noqa: DTZ001 - the mistake


@pytest.mark.parametrize(
    "status,options,sent",
    [
        (401, {"message": "no"}, ("application/json", b'{"status": 401, "message": "no"}')),
        (422, {"message": "no"}, ("application/json", b'{"status": "error", "message": "no"}')),
        (499, {}, ("application/json", b'{"status": "error", "message": "Status 499"}')),
        (201, {}, ("application/json", b'{"status": "201", "message": "OK"}')),
        (200, {"message": "hi"}, ("application/json", b'{"status": "200", "message": "hi"}')),
        (200, {"body": {"status": 200}}, ("application/json", b'{"status": 200}')),
        (400, {"body": [1]}, ("application/json", b"[1]")),
        (400, {"body": "plain"}, ("text/plain; charset=utf-8", b"plain")),
        (200, {"body": b"\xff{"}, ("", b"\xff{")),
        (200, {"body": "{}", "headers": {"Content-Type": "x/y"}}, ("x/y", b"{}")),
    ],
)
def test_bodies(
    fake: FakeSendX,
    identify: Identify,
    status: int,
    options: dict[str, object],
    sent: tuple[str, bytes],
) -> None:
    fake.respond(status, **options)  # type: ignore[arg-type] # the table mixes options
    answer = identify()
    assert answer.status_code == status
    assert (answer.headers.get("content-type", ""), answer.content) == sent


@pytest.mark.parametrize(
    "status,applied,held",
    [
        (200, None, True),
        (204, None, True),
        (500, None, False),
        (500, True, True),
        (201, False, False),
    ],
)
def test_whether_a_scripted_answer_is_carried_out(
    fake: FakeSendX, identify: Identify, status: int, applied: bool | None, held: bool
) -> None:
    fake.respond(status, applied=applied)
    assert identify().status_code == status
    assert (JANE in fake.contacts) is held
    assert fake.requests[0].applied is held
    assert fake.requests[0].status == status


def test_a_refused_request_is_not_carried_out_by_a_fault(
    fake: FakeSendX, identify: Identify
) -> None:
    fake.respond(500, applied=True)
    assert identify("no address").status_code == 500
    assert not fake.requests[0].applied


@pytest.mark.parametrize("status", [199, 600])
def test_a_status_that_http_does_not_have_is_refused(fake: FakeSendX, status: int) -> None:
    with pytest.raises(ValueError, match="200 to 599"):
        fake.respond(status)


def test_message_and_body_exclude_each_other(fake: FakeSendX) -> None:
    with pytest.raises(ValueError, match="not both"):
        fake.respond(500, message="a", body="b")


def test_times_and_path_are_checked(fake: FakeSendX) -> None:
    with pytest.raises(ValueError, match="times must be at least 1"):
        fake.drop(times=0)
    with pytest.raises(ValueError, match=r"path='trak' is the end of no path.*contact/track"):
        fake.black_hole(path="trak")
    with pytest.raises(ValueError, match="interval must be"):
        fake.drip(interval=-1)


def test_html(fake: FakeSendX, identify: Identify) -> None:
    fake.html()
    fake.html(200)
    first, second = identify(), identify()
    assert (first.status_code, second.status_code) == (502, 200)
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.text.startswith("<!DOCTYPE html>")
    assert [request.applied for request in fake.requests] == [False, True]


def test_empty(fake: FakeSendX, identify: Identify) -> None:
    fake.empty()
    fake.empty(204)
    fake.empty(503)
    answers = [identify() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 204, 503]
    assert [answer.content for answer in answers] == [b""] * 3
    assert [answer.headers.get("content-length") for answer in answers] == ["0", None, "0"]
    assert [request.applied for request in fake.requests] == [True, True, False]


def test_redirect(fake: FakeSendX, identify: Identify) -> None:
    fake.redirect("http://elsewhere.test/contact/identify")
    fake.redirect("http://elsewhere.test/", status=302)
    first, second = identify(), identify()
    assert (first.status_code, second.status_code) == (307, 302)
    assert first.headers["location"] == "http://elsewhere.test/contact/identify"
    assert fake.contacts == {}


@pytest.mark.parametrize("applied", [False, True])
def test_drop_closes_without_an_answer(fake: FakeSendX, identify: Identify, applied: bool) -> None:
    fake.drop(applied=applied)
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending"):
        identify()
    assert (JANE in fake.contacts) is applied
    (request,) = fake.requests
    assert (request.status, request.applied, request.disconnected) == (None, applied, False)
    assert repr(request).endswith("-> no answer, applied>" if applied else "-> no answer>")
    assert identify().status_code == 200


def test_drop_can_reset_the_connection(fake: FakeSendX, identify: Identify) -> None:
    fake.drop(reset=True)
    with pytest.raises(httpx.ReadError):
        identify()


@pytest.mark.parametrize("applied", [False, True])
def test_a_black_hole_never_answers(fake: FakeSendX, identify: Identify, applied: bool) -> None:
    fake.black_hole(applied=applied)
    with pytest.raises(httpx.ReadTimeout):
        identify(timeout=0.1)
    fake.wait_for(lambda: [request.disconnected for request in fake.requests] == [True])
    assert fake.requests[0].status is None
    assert fake.requests[0].applied is applied


def test_a_dripping_answer_comes_byte_by_byte_and_whole(
    fake: FakeSendX, client: httpx.Client
) -> None:
    fake.drip(interval=0.0, padding=5)
    with client.stream("POST", "/contact/identify", json={"email": JANE}) as answer:
        assert "content-length" not in answer.headers
        body = answer.read()
    assert body == b'     {"status": "200", "message": "OK"}'
    assert fake.requests[0].applied


def test_a_dripping_answer_outlasts_a_client_that_gives_up(
    fake: FakeSendX, client: httpx.Client
) -> None:
    fake.drip(interval=0.02)
    with client.stream("POST", "/contact/identify", json={"email": JANE}) as answer:
        received = answer.iter_raw(chunk_size=1)
        assert [next(received) for _ in range(3)] == [b" "] * 3
    fake.wait_for(lambda: [request.disconnected for request in fake.requests] == [True])
    assert fake.requests[0].status == 200


def test_rate_limit_lets_a_burst_through_and_tells_the_wait(
    fake: FakeSendX, identify: Identify
) -> None:
    fake.rate_limit(0.001, burst=2)
    answers = [identify() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 900 < int(answers[2].headers["retry-after"]) <= 1000
    assert answers[2].json() == {"status": "error", "message": "Too Many Requests"}
    assert [request.applied for request in fake.requests] == [True, True, False]
    fake.recover()
    assert identify().status_code == 200


def test_rate_limit_refills(fake: FakeSendX, identify: Identify) -> None:
    fake.rate_limit(20)
    seen = [identify().status_code]
    limit = time.monotonic() + 30
    while seen.count(200) < 2 and time.monotonic() < limit:
        seen.append(identify().status_code)
    assert seen.count(200) == 2
    assert fake.requests[-1].at - fake.requests[0].at >= 0.05 - 0.001


def test_rate_limit_saves_up_no_more_than_its_burst() -> None:
    limit = RateLimit(10, burst=2, retry_after=True)
    moments = (0.0, 0.0, 0.0, 100.0, 100.0, 100.0, 100.25)
    let_in = [limit.refuse(moment) is None for moment in moments]
    assert let_in == [True, True, False, True, True, False, True]


@pytest.mark.parametrize("retry_after,sent", [(False, None), (0.25, "0.25"), ("x", "x")])
def test_rate_limit_with_another_retry_after(
    fake: FakeSendX, identify: Identify, retry_after: bool | float | str, sent: str | None
) -> None:
    fake.rate_limit(0.001, retry_after=retry_after)
    identify()
    assert identify().headers.get("retry-after") == sent


def test_a_scripted_fault_takes_no_token_of_the_rate_limit(
    fake: FakeSendX, identify: Identify
) -> None:
    fake.rate_limit(0.001)
    fake.respond(500)
    assert statuses(identify, 3) == [500, 200, 429]


@pytest.mark.parametrize("per_second,burst", [(0, 1), (-1, 1), (math.inf, 1), (1, 0)])
def test_rate_limit_checks_its_numbers(fake: FakeSendX, per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        fake.rate_limit(per_second, burst=burst)


def test_latency_holds_every_answer_back(fake: FakeSendX, identify: Identify) -> None:
    fake.latency = 0.1
    fake.respond(500)
    began = time.monotonic()
    assert statuses(identify, 2) == [500, 200]
    assert time.monotonic() - began >= 0.2
    assert fake.latency == 0.1


def test_latency_may_be_a_function(fake: FakeSendX, identify: Identify) -> None:
    waits = [0.1, 0.0]
    fake.latency = lambda: waits.pop(0)
    began = time.monotonic()
    assert statuses(identify, 2) == [200, 200]
    assert time.monotonic() - began >= 0.1
    assert waits == []


def test_a_client_that_leaves_during_the_latency(fake: FakeSendX, identify: Identify) -> None:
    fake.latency = 30.0
    with pytest.raises(httpx.ReadTimeout):
        identify(timeout=0.1)
    fake.wait_for(lambda: [request.disconnected for request in fake.requests] == [True])
    assert (fake.requests[0].status, fake.requests[0].applied) == (None, True)


@pytest.mark.parametrize("latency", [-0.1, math.inf, math.nan])
def test_latency_is_checked(fake: FakeSendX, latency: float) -> None:
    with pytest.raises(ValueError, match="latency must be a number of seconds"):
        fake.latency = latency


def test_recover_ends_all_misbehaviour_and_keeps_the_rest(
    fake: FakeSendX, identify: Identify
) -> None:
    identify()
    fake.latency = 30.0
    fake.rate_limit(0.001)
    fake.drop(times=None)
    fake.recover()
    assert statuses(identify, 2) == [200, 200]
    assert JANE in fake.contacts


def test_reset_forgets_everything(
    fake: FakeSendX, client: httpx.Client, identify: Identify
) -> None:
    identify()
    client.post("/events/custom", json={"identifier": JANE, "name": "n"})
    fake.respond(500)
    fake.reset()
    assert (fake.contacts, fake.events, fake.requests) == ({}, [], [])
    assert (fake.connections.accepted, fake.connections.open) == (0, 1)
    assert identify().status_code == 200


def test_answers_carry_a_date(identify: Identify) -> None:
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    sent = parsedate_to_datetime(identify().headers["date"])
    assert before <= sent <= dt.datetime.now(dt.UTC)
