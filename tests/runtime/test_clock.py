"""Clients go by the clock that they are given: their waits take no time that it doesn't tell of."""

import math
from typing import Any

import anyio
import httpx
import pytest

from sendx_async import (
    AsyncTrackingClient,
    Clock,
    ConfigurationError,
    DeadlineExceeded,
    OutageError,
    Rate,
    RateLimitError,
    RetryPolicy,
    ServerError,
    TrackingClient,
)
from sendx_async.testing import FakeSendX, InstantClock

JANE = {"email": "jane@example.com"}
on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def client_of(fake: FakeSendX, clock: Clock, **options: Any) -> AsyncTrackingClient:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=fake))
    return AsyncTrackingClient(
        fake.api_key, base_url="https://sendx.test", http_client=http, clock=clock, **options
    )


@on_both_backends
def test_the_wait_that_the_server_asks_for_is_slept_by_the_clock(
    fake: FakeSendX, backend: str, stopped_clock: Clock
) -> None:
    fake.respond(429, retry_after=20)

    async def main() -> None:
        async with client_of(fake, stopped_clock) as client:
            info = await client.identify_contact_with_http_info(JANE)
            assert info.attempts == 2
            assert info.elapsed == pytest.approx(20)

    anyio.run(main, backend=backend)


@on_both_backends
def test_the_rate_is_kept_by_the_clock(fake: FakeSendX, backend: str, stopped_clock: Clock) -> None:
    async def main() -> None:
        async with client_of(fake, stopped_clock, rate=Rate(0.1), deadline=None) as client:
            for _ in range(4):
                await client.identify_contact(JANE)

    anyio.run(main, backend=backend)
    assert stopped_clock.monotonic() == pytest.approx(1030)


@on_both_backends
def test_back_off_is_slept_by_the_clock(
    fake: FakeSendX, backend: str, stopped_clock: Clock
) -> None:
    fake.respond(500, times=None)

    async def main() -> None:
        retry = RetryPolicy(10, base=100, cap=100)
        async with client_of(fake, stopped_clock, retry=retry, deadline=None) as client:
            with pytest.raises(ServerError) as caught:
                await client.identify_contact(JANE)
            assert caught.value.attempts == 11

    anyio.run(main, backend=backend)
    assert 1000 < stopped_clock.monotonic() < 2000


@on_both_backends
def test_a_deadline_counts_what_was_slept_by_the_clock(
    fake: FakeSendX, backend: str, stopped_clock: Clock
) -> None:
    fake.respond(429, retry_after=25, times=2)

    async def main() -> None:
        async with client_of(fake, stopped_clock) as client:
            with pytest.raises(RateLimitError) as caught:
                await client.identify_contact(JANE)
            assert caught.value.attempts == 2
            with pytest.raises(DeadlineExceeded):
                await client.identify_contact(JANE, deadline=24)  # the second pause goes on
            await client.identify_contact(JANE)

    anyio.run(main, backend=backend)


@on_both_backends
def test_sleepers_of_an_instant_clock_wait_side_by_side(backend: str) -> None:
    clock = InstantClock()

    async def main() -> None:
        began = clock.monotonic()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(clock.sleep, 1000)
        assert 1000 <= clock.monotonic() - began < 2000

    anyio.run(main, backend=backend)


@on_both_backends
def test_an_instant_clock_lets_others_run_while_somebody_sleeps(backend: str) -> None:
    seen: list[str] = []

    async def other() -> None:
        seen.append("other")

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            while not seen:
                await InstantClock().sleep(0)

    anyio.run(main, backend=backend)


def test_what_is_no_clock_is_refused() -> None:
    for kind in (AsyncTrackingClient, TrackingClient):
        with pytest.raises(ConfigurationError, match="clock must be a Clock, got function"):
            kind("key", clock=lambda: 0.0)  # type: ignore[arg-type]


class BrokenClock(Clock):
    """A clock of an application by which nobody can wait."""

    async def sleep(self, seconds: float) -> None:
        raise RuntimeError("the clock is broken")


@on_both_backends
def test_a_clock_that_raises_ends_its_stream_and_the_taker_of_outcomes_gets_the_error(
    fake: FakeSendX, backend: str
) -> None:
    fake.respond(503, retry_after=1)

    async def main() -> None:
        async with client_of(fake, BrokenClock()) as client, client.send_many([JANE]) as outcomes:
            with pytest.raises(RuntimeError, match="the clock is broken"):
                await anext(outcomes)
        assert [outcome.request.email for outcome in outcomes.unclaimed] == ["jane@example.com"]

    anyio.run(main, backend=backend)


def test_a_clock_that_raises_in_a_synchronous_stream_disturbs_no_other_client(
    fake_sendx: FakeSendX,
) -> None:
    fake_sendx.respond(503, retry_after=1)
    options = {"api_key": fake_sendx.api_key, "base_url": fake_sendx.url}
    with TrackingClient(**options) as other:  # type: ignore[arg-type]
        with (
            TrackingClient(**options, clock=BrokenClock()) as client,  # type: ignore[arg-type]
            client.send_many([JANE]) as outcomes,
            pytest.raises(RuntimeError, match="the clock is broken"),
        ):
            next(outcomes)
        other.identify_contact(JANE)
    assert "jane@example.com" in fake_sendx.contacts


def test_an_instant_clock_stays_finite_when_patience_ends_while_others_are_told_to_wait(
    fake_sendx: FakeSendX,
) -> None:
    clock = InstantClock()
    fake_sendx.latency = 0.2  # so that all four are under way when the first is answered
    fake_sendx.respond(503, retry_after=10)
    fake_sendx.respond(503, retry_after=100_000, times=None)
    with TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, clock=clock) as client:
        contacts = [{"email": f"c{number}@example.com"} for number in range(100)]
        with (
            client.send_many(contacts, concurrency=4, batch_size=10) as outcomes,
            pytest.raises(OutageError),
        ):
            next(outcomes)
    assert clock.monotonic() < Clock().monotonic() + 1000


def test_an_endless_wait_by_an_instant_clock_lasts_until_it_is_cancelled() -> None:
    clock = InstantClock()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(clock.sleep, math.inf)
            await clock.sleep(5)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert clock.monotonic() < Clock().monotonic() + 1000


def test_a_clock_may_be_empty_and_begin_below_zero(fake: FakeSendX) -> None:
    class Recording(Clock):
        def __init__(self) -> None:
            self.slept: list[float] = []

        def __len__(self) -> int:
            return len(self.slept)

        def monotonic(self) -> float:
            return super().monotonic() - 1e9 + sum(self.slept)

        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)

    clock = Recording()
    fake.respond(429, retry_after=20)

    async def main() -> None:
        async with client_of(fake, clock) as client:
            await client.identify_contact(JANE)

    anyio.run(main)
    assert sum(clock.slept) >= 20
