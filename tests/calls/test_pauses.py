"""The client's rate and the pauses that a server asks for, by a clock that stands meanwhile."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ClientClosedError,
    DeadlineExceeded,
    Event,
    Rate,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

pytestmark = pytest.mark.slow

JANE = "jane@example.com"

RESOLUTION = 0.001
"""Seconds by which a client may be early."""

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Timeline(StoppedClock):
    """A clock that moves on to where the first sleeper wakes up, and stands while a request runs.

    Attributes:
        sent: When each request left, in seconds since the beginning.
        told: The client's events.
        is_held: Whether nobody wakes up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._began = self.time
        self.sent: list[float] = []
        self.told: list[Event] = []
        self.is_held = False
        self._under_way = 0
        self._wakes: list[float] = []

    async def sleep(self, seconds: float) -> None:
        wakes = self.time + seconds
        self._wakes.append(wakes)
        try:
            await anyio.lowlevel.checkpoint()
            while self.is_held or self._under_way or min(self._wakes) < wakes:
                await anyio.lowlevel.checkpoint()
        finally:
            self._wakes.remove(wakes)
        self.time = max(self.time, wakes)

    async def until_asleep(self, count: int) -> None:
        """Wait until so many sleep by this clock."""
        with anyio.fail_after(20):
            while len(self._wakes) < count:
                await anyio.lowlevel.checkpoint()

    async def note_request(self, _request: httpx.Request) -> None:
        self.sent.append(self.time - self._began)
        self._under_way += 1
        await anyio.lowlevel.checkpoint()

    def note_event(self, event: Event) -> None:
        self.told.append(event)
        self._under_way -= event.kind == "attempt_finished"

    @property
    def pauses(self) -> list[float | None]:
        return [event.delay for event in self.told if event.kind == "paused"]


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@contextlib.asynccontextmanager
async def client_of(
    fake: FakeSendX, timeline: Timeline, **options: Any
) -> AsyncGenerator[AsyncTrackingClient]:
    async with (
        httpx.AsyncClient(event_hooks={"request": [timeline.note_request]}) as http,
        AsyncTrackingClient(
            fake.api_key,
            base_url=fake.url,
            http_client=http,
            clock=timeline,
            on_event=timeline.note_event,
            **options,
        ) as client,
    ):
        yield client


async def call_at_once(client: AsyncTrackingClient, count: int) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(client.identify_contact, {"email": JANE})


@on_both_backends
def test_a_rate_is_kept_and_used(fake_sendx: FakeSendX, timeline: Timeline, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(200)) as client:
            await call_at_once(client, 101)

    anyio.run(main, backend=backend)
    assert timeline.sent == pytest.approx([number / 200 for number in range(101)])


@on_both_backends
def test_an_event_loop_that_was_blocked_makes_up_for_nothing(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    timeline.is_held = True

    async def main() -> None:
        async with (
            client_of(fake_sendx, timeline, rate=Rate(20)) as client,
            anyio.create_task_group() as all_,
        ):
            all_.start_soon(call_at_once, client, 10)
            await timeline.until_asleep(9)
            # In the meantime seven of the callers would have had their turn.
            timeline.time += 0.4
            timeline.is_held = False

    anyio.run(main, backend=backend)
    assert timeline.sent == pytest.approx([0, *(0.4 + number / 20 for number in range(9))])


@on_both_backends
def test_a_burst_goes_first(fake_sendx: FakeSendX, timeline: Timeline, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(1, burst=40)) as client:
            await call_at_once(client, 42)

    anyio.run(main, backend=backend)
    assert timeline.sent == pytest.approx([0] * 40 + [1, 2])


@on_both_backends
def test_copies_share_the_rate(fake_sendx: FakeSendX, timeline: Timeline, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(100)) as client:
            copy = client.with_options(timeout=20)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call_at_once, client, 20)
                tasks.start_soon(call_at_once, copy, 21)

    anyio.run(main, backend=backend)
    assert timeline.sent == pytest.approx([number / 100 for number in range(41)])


@on_both_backends
def test_retries_keep_the_rate(fake_sendx: FakeSendX, timeline: Timeline, backend: str) -> None:
    fake_sendx.respond(500, times=20)

    async def main() -> None:
        policy = RetryPolicy(20, base=0, budget=100)
        async with client_of(fake_sendx, timeline, rate=Rate(100), retry=policy) as client:
            await client.identify_contact({"email": JANE})

    anyio.run(main, backend=backend)
    assert timeline.sent == pytest.approx([number / 100 for number in range(21)])


@on_both_backends
@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_pauses_every_caller(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str, status: int
) -> None:
    fake_sendx.respond(status, retry_after="0.5")
    timeline.is_held = True

    async def main() -> None:
        async with (
            client_of(fake_sendx, timeline) as client,
            anyio.create_task_group() as tasks,
        ):
            copy = client.with_options(timeout=20)
            tasks.start_soon(client.identify_contact, {"email": JANE})
            await timeline.until_asleep(1)
            for each in (client, copy, copy.with_options(deadline=20)):
                tasks.start_soon(each.identify_contact, {"email": JANE})
            await timeline.until_asleep(4)
            timeline.is_held = False

    anyio.run(main, backend=backend)
    first, *others = timeline.sent
    assert first == 0
    assert len(others) == 4
    assert min(others) >= 0.5 - RESOLUTION
    assert timeline.pauses == [0.5]


@on_both_backends
def test_a_server_error_pauses_nobody_else(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(500)
    timeline.is_held = True

    async def main() -> None:
        policy = RetryPolicy(1, base=20, cap=20)
        async with (
            client_of(fake_sendx, timeline) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(lambda: client.identify_contact({"email": JANE}, retry=policy))
            await timeline.until_asleep(1)
            with anyio.fail_after(20):
                await client.identify_contact({"email": JANE})
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert timeline.sent == [0, 0]


@on_both_backends
def test_a_pause_is_followed_by_no_burst(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(429, retry_after="0.5")

    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(50, burst=50)) as client:
            await client.identify_contact({"email": JANE}, retry=RetryPolicy(1))
            await call_at_once(client, 20)

    anyio.run(main, backend=backend)
    # The bucket was full when the pause began; nothing of it may come out at once after it.
    assert timeline.sent == pytest.approx([0, *(0.5 + number / 50 for number in range(21))])


@on_both_backends
def test_those_who_waited_out_a_pause_do_not_come_at_once(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(429, retry_after="0.8")

    async def main() -> None:
        async with client_of(fake_sendx, timeline) as client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": JANE}, retry=RetryPolicy(0))
            await call_at_once(client, 40)

    anyio.run(main, backend=backend)
    _, *after = timeline.sent
    # Spread at random over a quarter of the pause: 40 of them leave less than half of it free.
    assert 0.8 - RESOLUTION <= after[0] < after[-1] - 0.1


@on_both_backends
def test_a_pause_longer_than_the_deadline_fails_at_once(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(429, retry_after=3600)
    began = timeline.time

    async def main() -> None:
        async with client_of(fake_sendx, timeline) as client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": JANE})
            with pytest.raises(DeadlineExceeded) as caught:
                await client.track_contact({"email": JANE})
            assert timeline.time == began
            error = caught.value
            assert isinstance(error.last, RateLimitError)
            assert error.last.retry_after == 3600
            assert "after the deadline of 30 s; before that: SendX answered" in str(error)
            assert (error.operation, error.attempts) == ("track_contact", 0)
            assert not error.maybe_delivered

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_a_shorter_pause_does_not_end_a_longer_one(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.latency = iter([0.0, 0.1, 0.0, 0.0]).__next__
    fake_sendx.respond(429, retry_after="0.8")
    fake_sendx.respond(503, retry_after="0.1")

    async def main() -> None:
        async with client_of(fake_sendx, timeline) as client:
            await call_at_once(client, 2)

    anyio.run(main, backend=backend)
    *refused, third, fourth = timeline.sent
    assert refused == [0, 0]
    assert 0.8 - RESOLUTION <= third <= fourth


@on_both_backends
def test_a_429_without_a_number_pauses_too(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(429)

    async def main() -> None:
        async with client_of(fake_sendx, timeline, retry=RetryPolicy(base=0.3)) as client:
            await client.identify_contact({"email": JANE})

    anyio.run(main, backend=backend)
    (paused,) = timeline.pauses
    (retried,) = (event for event in timeline.told if event.kind == "retry_scheduled")
    assert paused is not None
    assert 0 <= paused <= 0.3
    assert retried.delay == paused
    assert timeline.sent[1] >= paused - RESOLUTION


@on_both_backends
def test_a_503_without_a_number_pauses_nobody(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(503)

    async def main() -> None:
        async with client_of(fake_sendx, timeline) as client:
            with pytest.raises(ServerError):
                await client.track_custom_event({"identifier": JANE, "name": "seen"})

    anyio.run(main, backend=backend)
    assert timeline.pauses == []


@on_both_backends
def test_cancelled_waiters_give_their_places_back(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(4), deadline=None) as client:
            await client.identify_contact({"email": JANE})
            timeline.is_held = True
            for _ in range(3):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(client.identify_contact, {"email": JANE})
                    await timeline.until_asleep(100)
                    tasks.cancel_scope.cancel()
            timeline.is_held = False
            await client.identify_contact({"email": JANE})

    anyio.run(main, backend=backend)
    # 300 places at four a second would be more than a minute.
    assert timeline.sent == pytest.approx([0, 0.25])


@on_both_backends
def test_waiters_of_a_client_that_is_closed_send_nothing(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(5)) as client:
            await client.identify_contact({"email": JANE})
            timeline.is_held = True

            async def wait() -> None:
                with pytest.raises(ClientClosedError) as caught:
                    await client.identify_contact({"email": JANE})
                assert not caught.value.maybe_delivered

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await timeline.until_asleep(1)
                await client.aclose()
                timeline.is_held = False

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_waiters_who_have_to_wait_again_after_a_pause_keep_the_rate(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(200, times=10)
    fake_sendx.respond(429, retry_after="0.5")

    async def main() -> None:
        async with client_of(fake_sendx, timeline, rate=Rate(50)) as client:
            await call_at_once(client, 70)

    anyio.run(main, backend=backend)
    # The eleventh is refused, and goes again after all others: those wait by the pause longer.
    before, after = range(11), range(11, 71)
    expected = [*(number / 50 for number in before), *(0.5 + number / 50 for number in after)]
    assert timeline.sent == pytest.approx(expected)
    assert JANE in fake_sendx.contacts


@on_both_backends
def test_the_pause_that_is_told_is_the_one_that_is_made(
    fake_sendx: FakeSendX, timeline: Timeline, backend: str
) -> None:
    fake_sendx.respond(429, headers={"Retry-After": "86400"})

    async def main() -> None:
        async with client_of(fake_sendx, timeline, deadline=None, retry=RetryPolicy(0)) as client:
            with pytest.raises(RateLimitError) as caught:
                await client.identify_contact({"email": JANE})
            assert caught.value.retry_after == 86400
            await client.identify_contact({"email": JANE})

    anyio.run(main, backend=backend)
    assert timeline.pauses == [300]
    assert 300 <= timeline.sent[1] <= 301
