"""The client's rate and the pauses that a server asks for, measured at the server."""

import itertools
import time
from typing import Any

import anyio
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

JANE = "jane@example.com"

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **options)


async def call_at_once(client: AsyncTrackingClient, count: int) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(client.identify_contact, {"email": JANE})


def moments(fake: FakeSendX) -> list[float]:
    return [each.at for each in fake.requests]


@on_both_backends
def test_a_rate_is_kept_and_used(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, rate=Rate(200)) as client:
            await call_at_once(client, 101)

    began = time.monotonic()
    anyio.run(main, backend=backend)
    # 100 intervals of 5 ms; a slow machine may take longer, never shorter.
    assert 0.5 <= moments(fake_sendx)[-1] - began < 20


@on_both_backends
def test_an_event_loop_that_was_blocked_makes_up_for_nothing(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def block() -> None:
        # 0.4 s, in which eight of the callers would have had their turn.
        with pytest.raises(TimeoutError):
            fake_sendx.wait_for(lambda: False, 0.4)

    async def main() -> None:
        async with (
            client_of(fake_sendx, rate=Rate(20)) as client,
            anyio.create_task_group() as all_,
        ):
            all_.start_soon(call_at_once, client, 10)
            await fake_sendx.until(lambda: fake_sendx.requests)
            await block()

    anyio.run(main, backend=backend)
    first, *_, last = moments(fake_sendx)
    assert last - first >= 0.4 + 6 * 0.05


@on_both_backends
def test_a_burst_goes_first(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, rate=Rate(1, burst=40), deadline=60) as client:
            await call_at_once(client, 41)

    began = time.monotonic()
    anyio.run(main, backend=backend)
    # 40 at once and the other one a second later: without a burst it would take 40 seconds.
    assert 1 <= moments(fake_sendx)[-1] - began < 25


@on_both_backends
def test_copies_share_the_rate(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, rate=Rate(100)) as client:
            copy = client.with_options(timeout=20)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call_at_once, client, 20)
                tasks.start_soon(call_at_once, copy, 21)

    began = time.monotonic()
    anyio.run(main, backend=backend)
    assert moments(fake_sendx)[-1] - began >= 0.4


@on_both_backends
def test_retries_keep_the_rate(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500, times=20)

    async def main() -> None:
        policy = RetryPolicy(20, base=0, budget=100)
        async with client_of(fake_sendx, rate=Rate(100), retry=policy) as client:
            await client.identify_contact({"email": JANE})

    began = time.monotonic()
    anyio.run(main, backend=backend)
    at = moments(fake_sendx)
    assert len(at) == 21
    assert at[-1] - began >= 0.2


@on_both_backends
@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_pauses_every_caller(fake_sendx: FakeSendX, backend: str, status: int) -> None:
    told: list[Event] = []

    async def main() -> None:
        async with client_of(fake_sendx, on_event=told.append) as client:
            copy = client.with_options(timeout=20)
            fake_sendx.respond(status, retry_after="0.5")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.identify_contact, {"email": JANE})
                await fake_sendx.until(lambda: [r for r in fake_sendx.requests if r.status])
                # The answer is on its way: whoever asks after the client was told, waits.
                with anyio.fail_after(25):
                    while not any(event.kind == "paused" for event in told):
                        await anyio.lowlevel.checkpoint()
                for each in (client, copy, copy.with_options(deadline=20)):
                    tasks.start_soon(each.identify_contact, {"email": JANE})

    anyio.run(main, backend=backend)
    first, *others = moments(fake_sendx)
    assert len(others) == 4
    assert min(others) - first > 0.49
    assert [event.delay for event in told if event.kind == "paused"] == [0.5]


@on_both_backends
def test_a_server_error_pauses_nobody_else(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500)

    async def main() -> None:
        policy = RetryPolicy(1, base=20, cap=20)
        async with (
            client_of(fake_sendx, deadline=60) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(lambda: client.identify_contact({"email": JANE}, retry=policy))
            await fake_sendx.until(lambda: [r for r in fake_sendx.requests if r.status])
            await client.identify_contact({"email": JANE}, deadline=5)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_pause_is_followed_by_no_burst(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(429, retry_after="0.5")

    async def main() -> None:
        rate = Rate(50, burst=50)
        async with client_of(fake_sendx, rate=rate, max_connections=50) as client:
            await client.identify_contact({"email": JANE}, retry=RetryPolicy(1))
            await call_at_once(client, 20)

    anyio.run(main, backend=backend)
    first, *after = moments(fake_sendx)
    # The bucket was full when the pause began; nothing of it may come out at once after it: the
    # first is sent when the pause ends, the 20 others at 50 a second.
    assert after[-1] - first > 0.5 + 0.4 - 0.05


@on_both_backends
def test_those_who_waited_out_a_pause_do_not_come_at_once(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(429, retry_after="0.8")

    async def main() -> None:
        async with client_of(fake_sendx, max_connections=50) as client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": JANE}, retry=RetryPolicy(0))
            await call_at_once(client, 40)

    anyio.run(main, backend=backend)
    first, *after = sorted(moments(fake_sendx))
    assert after[0] - first > 0.79
    # Spread at random over a quarter of the pause: 40 of them leave less than half of it free.
    assert after[-1] - after[0] > 0.1


@on_both_backends
def test_a_pause_longer_than_the_deadline_fails_at_once(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(429, retry_after=3600)

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            with pytest.raises(RateLimitError):
                await client.identify_contact({"email": JANE})
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded) as caught:
                await client.track_contact({"email": JANE})
            assert time.monotonic() - began < 20  # and the deadline is 30
            error = caught.value
            assert isinstance(error.last, RateLimitError)
            assert error.last.retry_after == 3600
            assert (error.operation, error.attempts) == ("track_contact", 0)
            assert not error.maybe_delivered

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_a_shorter_pause_does_not_end_a_longer_one(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.latency = iter([0.0, 0.1, 0.0, 0.0, 0.0]).__next__
    fake_sendx.respond(429, retry_after="0.8")
    fake_sendx.respond(503, retry_after="0.1")

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await call_at_once(client, 2)

    anyio.run(main, backend=backend)
    at = moments(fake_sendx)
    assert len(at) == 4
    assert at[2] - at[0] > 0.79


@on_both_backends
def test_a_429_without_a_number_pauses_too(fake_sendx: FakeSendX, backend: str) -> None:
    told: list[Event] = []
    fake_sendx.respond(429)

    async def main() -> None:
        async with client_of(fake_sendx, on_event=told.append) as client:
            await client.identify_contact({"email": JANE}, retry=RetryPolicy(base=0.3))

    anyio.run(main, backend=backend)
    (paused,) = (event for event in told if event.kind == "paused")
    (retried,) = (event for event in told if event.kind == "retry_scheduled")
    assert paused.delay is not None
    assert 0 <= paused.delay <= 0.3
    assert retried.delay == paused.delay


@on_both_backends
def test_a_503_without_a_number_pauses_nobody(fake_sendx: FakeSendX, backend: str) -> None:
    told: list[Event] = []
    fake_sendx.respond(503)

    async def main() -> None:
        async with client_of(fake_sendx, on_event=told.append) as client:
            with pytest.raises(ServerError):
                await client.track_custom_event({"identifier": JANE, "name": "seen"})

    anyio.run(main, backend=backend)
    assert not any(event.kind == "paused" for event in told)


@on_both_backends
def test_cancelled_waiters_give_their_places_back(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, rate=Rate(4), deadline=None) as client:
            await client.identify_contact({"email": JANE})
            for _ in range(3):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(client.identify_contact, {"email": JANE})
                    await anyio.wait_all_tasks_blocked()
                    tasks.cancel_scope.cancel()
            # 300 places at four a second would be more than a minute.
            await client.identify_contact({"email": JANE}, deadline=5)

    anyio.run(main, backend=backend)


@on_both_backends
def test_waiters_of_a_client_that_is_closed_send_nothing(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> None:
        client = client_of(fake_sendx, rate=Rate(5))
        await client.identify_contact({"email": JANE})

        async def wait() -> None:
            with pytest.raises(ClientClosedError) as caught:
                await client.identify_contact({"email": JANE})
            assert not caught.value.maybe_delivered

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_waiters_who_have_to_wait_again_after_a_pause_keep_the_rate(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(200, times=10)
    fake_sendx.respond(429, retry_after="0.5")

    async def main() -> None:
        async with client_of(fake_sendx, rate=Rate(50), max_connections=70) as client:
            await call_at_once(client, 70)

    began = time.monotonic()
    anyio.run(main, backend=backend)
    at = moments(fake_sendx)
    assert len(at) == 71
    # Some requests may have been on their way while the refusal was.
    assert max(later - earlier for earlier, later in itertools.pairwise(at)) > 0.3
    # 70 intervals of 20 ms, and a pause more for those who had to queue again.
    assert 1.4 <= at[-1] - began < 20
    # Five are due in a tenth of a second, more arrive together on a slow machine, but not all.
    assert max(sum(start <= each < start + 0.1 for each in at) for start in at) < 40
    assert JANE in fake_sendx.contacts
