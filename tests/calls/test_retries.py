"""What is repeated and what is not, told from what the server received and what it holds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    ConnectError,
    Event,
    ResponseLost,
    RetryPolicy,
    SendXError,
    ServerError,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

JANE = "jane@example.com"
EVENT = {"identifier": JANE, "name": "seen"}
AT_ONCE = RetryPolicy(3, base=0, cap=0)

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    options = {"retry": AT_ONCE, **options}
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **options)


def failure(
    backend: str, fake: FakeSendX, method: str, request: object, **options: Any
) -> SendXError | None:
    """Make one call and return its error."""

    async def main() -> SendXError | None:
        async with client_of(fake, **options) as client:
            try:
                await getattr(client, method)(request)
            except SendXError as error:
                return error
            return None

    return anyio.run(main, backend=backend)


def know_jane(fake: FakeSendX) -> None:
    async def main() -> None:
        async with client_of(fake) as client:
            await client.identify_contact({"email": JANE, "custom_fields": {"Score": 1}})

    anyio.run(main)


REPLAY_SAFE = [
    ("identify_contact", {"email": JANE}),
    ("track_contact", {"email": JANE, "add_tags": ["vip"]}),
    ("identify_contacts", [{"email": JANE}, {"email": "john@example.com"}]),
]
NOT_REPLAY_SAFE = [
    ("track_custom_event", EVENT),
    ("track_revenue_event", {"identifier": JANE, "amount": 5}),
    ("identify_contact", {"email": JANE, "custom_fields": {"Score": "++1"}}),
    ("identify_contact", {"email": JANE, "new_email": "jane@example.org"}),
    ("identify_contacts", [{"email": JANE, "custom_fields": {"Score": "--1"}}]),
]


@on_both_backends
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("method,request_", REPLAY_SAFE)
def test_what_is_safe_to_repeat_survives_a_lost_connection(
    *,
    fake_sendx: FakeSendX,
    backend: str,
    reset: bool,
    applied: bool,
    method: str,
    request_: object,
) -> None:
    know_jane(fake_sendx)
    fake_sendx.drop(applied=applied, times=2, reset=reset)
    assert failure(backend, fake_sendx, method, request_) is None
    received = fake_sendx.requests[1:]
    assert [each.applied for each in received] == [applied, applied, True]
    assert len({each.raw for each in received}) == 1


@on_both_backends
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("method,request_", NOT_REPLAY_SAFE)
def test_what_counts_twice_is_not_repeated_after_a_lost_connection(
    *,
    fake_sendx: FakeSendX,
    backend: str,
    reset: bool,
    applied: bool,
    method: str,
    request_: object,
) -> None:
    know_jane(fake_sendx)
    fake_sendx.drop(applied=applied, reset=reset)
    error = failure(backend, fake_sendx, method, request_)
    assert isinstance(error, ResponseLost)
    assert error.maybe_delivered
    assert not error.replay_safe
    assert not error.is_retryable
    assert error.attempts == 1
    assert [each.applied for each in fake_sendx.requests[1:]] == [applied]


@on_both_backends
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_failed_may_have_applied_the_request(
    fake_sendx: FakeSendX, backend: str, applied: bool, status: int
) -> None:
    know_jane(fake_sendx)
    fake_sendx.respond(status, applied=applied, times=2)
    assert failure(backend, fake_sendx, "identify_contact", {"email": JANE}) is None
    assert len(fake_sendx.requests) == 1 + 3

    fake_sendx.html(status, applied=applied)
    error = failure(backend, fake_sendx, "track_custom_event", EVENT)
    assert isinstance(error, ServerError)
    assert error.status_code == status
    assert error.maybe_delivered
    assert len(fake_sendx.requests) == 1 + 3 + 1
    assert len(fake_sendx.events) == applied


@on_both_backends
@pytest.mark.parametrize(
    "status,retry_after",
    [(429, None), (429, 0), (408, None), (425, None), (503, 0), (503, "0.01")],
)
def test_a_request_that_was_refused_is_repeated_always(
    fake_sendx: FakeSendX, backend: str, status: int, retry_after: float | str | None
) -> None:
    know_jane(fake_sendx)
    for method, request in (REPLAY_SAFE[0], NOT_REPLAY_SAFE[0]):
        fake_sendx.respond(status, retry_after=retry_after, times=3)
        assert failure(backend, fake_sendx, method, request) is None
    assert len(fake_sendx.requests) == 1 + 4 + 4
    assert len(fake_sendx.events) == 1


@on_both_backends
@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 409, 413, 422])
def test_a_final_answer_is_not_asked_for_twice(
    fake_sendx: FakeSendX, backend: str, status: int
) -> None:
    fake_sendx.respond(status, retry_after=0, times=None)
    for method, request in (*REPLAY_SAFE, *NOT_REPLAY_SAFE):
        error = failure(backend, fake_sendx, method, request)
        assert isinstance(error, ApiError)
        assert error.status_code == status
        assert error.attempts == 1
        assert not error.maybe_delivered
    assert len(fake_sendx.requests) == len(REPLAY_SAFE) + len(NOT_REPLAY_SAFE)


@on_both_backends
def test_after_the_last_retry_the_last_error_is_raised(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500)
    fake_sendx.drop()
    fake_sendx.respond(503, retry_after=0)
    fake_sendx.respond(429, retry_after=0, message="enough", times=None)
    error = failure(backend, fake_sendx, "identify_contact", {"email": JANE})
    assert isinstance(error, ApiError)
    assert error.message == "enough"
    assert error.attempts == len(fake_sendx.requests) == 4
    # The 429 itself says no, but the first two attempts are unclear for good.
    assert error.maybe_delivered
    assert error.replay_safe
    assert error.is_retryable


@on_both_backends
def test_an_earlier_attempt_may_have_been_delivered(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500)

    def stop_after_the_first(event: Event) -> None:
        if event.kind == "attempt_finished":
            fake_sendx.stop()

    async def main() -> None:
        async with client_of(fake_sendx, on_event=stop_after_the_first) as client:
            with pytest.raises(ConnectError) as caught:
                await client.identify_contact({"email": JANE})
            assert caught.value.attempts == 4
            assert caught.value.maybe_delivered

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_retry_after_as_a_date_is_waited_for(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    began = stopped_clock.time
    # The client waits from the server's own Date on.
    fake_sendx.respond(503, retry_after=datetime.now(UTC) + timedelta(seconds=3600))
    options = {"clock": stopped_clock, "deadline": 7200}
    assert failure(backend, fake_sendx, "identify_contact", {"email": JANE}, **options) is None
    assert len(fake_sendx.requests) == 2
    assert 3000 < stopped_clock.time - began <= 3600


@on_both_backends
def test_retry_after_is_waited_for_and_not_shortened(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    know_jane(fake_sendx)
    began = stopped_clock.time
    fake_sendx.respond(429, retry_after="0.5")
    assert failure(backend, fake_sendx, "track_custom_event", EVENT, clock=stopped_clock) is None
    assert len(fake_sendx.requests) == 3
    assert stopped_clock.time - began >= 0.5
    assert len(fake_sendx.events) == 1


@on_both_backends
def test_a_call_has_a_policy_of_its_own(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500, times=None)

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            for retry, attempts in ((RetryPolicy(0), 1), (RetryPolicy(1, base=0), 2)):
                with pytest.raises(ServerError) as caught:
                    await client.identify_contact({"email": JANE}, retry=retry)
                assert caught.value.attempts == attempts
            with pytest.raises(ServerError) as caught:
                await client.with_options(retry=RetryPolicy(0)).identify_contact({"email": JANE})
            assert caught.value.attempts == 1
            with pytest.raises(ServerError) as caught:
                await client.identify_contact({"email": JANE})
            assert caught.value.attempts == 4

    anyio.run(main, backend=backend)


@on_both_backends
def test_an_outage_is_not_multiplied_by_retries(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    policy = RetryPolicy(3, base=0, cap=0, budget=5)
    fake_sendx.respond(500, times=None)
    attempts = 0

    async def main() -> None:
        async with client_of(fake_sendx, retry=policy, clock=stopped_clock) as client:
            copy = client.with_options(timeout=20)

            async def call(index: int) -> None:
                nonlocal attempts
                with pytest.raises(ServerError) as caught:
                    await (copy if index % 2 else client).identify_contact({"email": JANE})
                attempts += caught.value.attempts

            async with anyio.create_task_group() as tasks:
                for index in range(60):
                    tasks.start_soon(call, index)

    anyio.run(main, backend=backend)
    # Without a budget there would be 240: four requests for each call.
    assert attempts == len(fake_sendx.requests)
    assert 60 + 5 <= len(fake_sendx.requests) <= 60 + 5 + 60 * 0.2


@on_both_backends
def test_after_an_outage_the_budget_comes_back(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    policy = RetryPolicy(3, base=0, cap=0, budget=3)
    fake_sendx.respond(500, times=6)

    async def main() -> None:
        async with client_of(fake_sendx, retry=policy, clock=stopped_clock) as client:
            counts: list[int] = []
            for _ in range(3):
                with pytest.raises(ServerError) as caught:
                    await client.identify_contact({"email": JANE})
                counts.append(caught.value.attempts)
            assert counts == [4, 1, 1]
            for _ in range(15):
                await client.identify_contact({"email": JANE})
            fake_sendx.respond(500, times=3)
            info = await client.identify_contact_with_http_info({"email": JANE})
            assert info.attempts == 4

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_wait_that_the_server_asked_for_costs_no_budget(
    fake_sendx: FakeSendX, backend: str
) -> None:
    policy = RetryPolicy(10, base=0, cap=0, budget=0)
    fake_sendx.respond(429, retry_after=0, times=10)

    async def main() -> None:
        async with client_of(fake_sendx, retry=policy) as client:
            info = await client.identify_contact_with_http_info({"email": JANE})
            assert info.attempts == 11

    anyio.run(main, backend=backend)
