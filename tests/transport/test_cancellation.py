"""Cancelled calls leave nothing behind: no connection, no place at the gate, no open socket."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from socket import socket
from typing import Any

import anyio
import pytest

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.testing import FakeSendX

from .loopback import LIMIT

pytestmark = pytest.mark.slow

JANE = "jane@example.com"
TEN = 10

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def client_of(fake: FakeSendX, *, max_connections: int = TEN) -> AsyncTrackingClient:
    return AsyncTrackingClient(
        fake.api_key,
        base_url=fake.url,
        max_connections=max_connections,
        retry=RetryPolicy(base=0.001),
        timeout=LIMIT,
    )


def say_nothing(_: Iterator[bytes], connection: socket) -> None:
    while connection.recv(100_000):
        pass


def in_flight(fake: FakeSendX) -> int:
    return sum(each.status is None and not each.disconnected for each in fake.requests)


async def expect_all_ten_places_free(fake: FakeSendX, client: AsyncTrackingClient) -> None:
    """Fail unless ten calls can be under way at once, and the next ten succeed."""
    fake.reset()
    fake.black_hole(times=None)
    async with anyio.create_task_group() as tasks:
        for _ in range(TEN):
            tasks.start_soon(client.identify_contact, {"email": JANE})
        await fake.until(lambda: in_flight(fake) == TEN, LIMIT)
        tasks.cancel_scope.cancel()
    fake.reset()
    async with anyio.create_task_group() as tasks:
        for index in range(TEN):
            tasks.start_soon(client.identify_contact, {"email": f"after{index}@example.com"})
    assert set(fake.contacts) == {f"after{index}@example.com" for index in range(TEN)}
    await fake.until(lambda: fake.connections.open <= TEN, LIMIT)


def misbehave_at_random(fake: FakeSendX, rng: random.Random) -> None:
    fake.latency = lambda: rng.choice([0.0, 0.0, rng.random() / 50])
    for _ in range(40):
        faults: list[Callable[[], None]] = [fake.drop, fake.black_hole, fake.html, fake.drip]
        rng.choice(faults)()
        fake.respond(200, times=rng.randint(1, 10))


@on_both_backends
@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_scopes_that_end_at_random(
    fake_sendx: FakeSendX, backend: str, seed: int
) -> None:
    rng = random.Random(seed)
    misbehave_at_random(fake_sendx, rng)

    async def main() -> None:
        async with client_of(fake_sendx) as client:

            async def cancelled(seconds: float) -> None:
                with anyio.move_on_after(seconds), contextlib.suppress(Exception):
                    await client.identify_contact({"email": JANE})

            async with anyio.create_task_group() as tasks:
                for _ in range(400):
                    tasks.start_soon(cancelled, rng.random() / 2)
            await expect_all_ten_places_free(fake_sendx, client)
        await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)


@pytest.mark.asyncio
async def test_a_storm_of_cancelled_tasks(fake_sendx: FakeSendX) -> None:
    rng = random.Random(3)
    misbehave_at_random(fake_sendx, rng)
    loop = asyncio.get_running_loop()
    async with client_of(fake_sendx) as client:
        tasks = [asyncio.create_task(client.identify_contact({"email": JANE})) for _ in range(400)]
        for task in tasks:
            at = rng.random() / 2
            loop.call_later(at, task.cancel)
            if rng.random() < 0.3:  # somebody who is impatient cancels twice
                loop.call_later(at + rng.random() / 1000, task.cancel)
        await asyncio.wait(tasks)
        assert any(task.cancelled() for task in tasks)
        await expect_all_ten_places_free(fake_sendx, client)
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)


@pytest.mark.asyncio
async def test_cancelled_after_each_number_of_turns_of_the_loop(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx, max_connections=2) as client:
        for turns in range(60):
            tasks = [
                asyncio.create_task(client.identify_contact({"email": JANE})) for _ in range(4)
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*(client.identify_contact({"email": JANE}) for _ in range(6)))
        fake_sendx.black_hole(times=2)
        left = [asyncio.create_task(client.identify_contact({"email": JANE})) for _ in range(2)]
        await fake_sendx.until(lambda: in_flight(fake_sendx) == 2, LIMIT)
        for task in left:
            task.cancel()
        await asyncio.wait(left)
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)


@pytest.mark.asyncio
async def test_cancelled_in_the_turn_in_which_a_place_becomes_free(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx, max_connections=1) as client:
        for _ in range(30):
            first = asyncio.create_task(client.identify_contact({"email": JANE}))
            waiting = [
                asyncio.create_task(client.identify_contact({"email": JANE})) for _ in range(3)
            ]

            def cancel_all(_: object, waiting: list[asyncio.Task[Any]] = waiting) -> None:
                for each in waiting:
                    each.cancel()

            first.add_done_callback(cancel_all)
            await asyncio.wait([first, *waiting])
            assert first.exception() is None
        async with asyncio.timeout(LIMIT):
            await client.identify_contact({"email": JANE})


@on_both_backends
def test_cancelled_while_waiting_at_the_gate(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(times=TEN)

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            async with anyio.create_task_group() as holders:
                for _ in range(TEN):
                    holders.start_soon(client.identify_contact, {"email": JANE})
                await fake_sendx.until(lambda: in_flight(fake_sendx) == TEN, LIMIT)
                async with anyio.create_task_group() as waiting:
                    for _ in range(50):
                        waiting.start_soon(client.identify_contact, {"email": JANE})
                    await anyio.wait_all_tasks_blocked()
                    waiting.cancel_scope.cancel()
                assert len(fake_sendx.requests) == TEN
                holders.cancel_scope.cancel()
            await expect_all_ten_places_free(fake_sendx, client)

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_cancelled_call_ends_on_the_server_too(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.identify_contact, {"email": JANE})
                await fake_sendx.until(lambda: in_flight(fake_sendx) == 1, LIMIT)
                tasks.cancel_scope.cancel()
            await fake_sendx.until(lambda: fake_sendx.requests[0].disconnected, LIMIT)
            assert fake_sendx.connections.open == 0

    anyio.run(main, backend=backend)


@on_both_backends
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cancelled_while_connecting(
    serve_raw: Callable[..., int], backend: str, scheme: str
) -> None:
    # The server never says a word, so with https the handshake doesn't end. A socket that is left
    # open would be a ResourceWarning here, and would keep the server from ending.
    heard = threading.Semaphore(0)

    def listen(bodies: Iterator[bytes], connection: socket) -> None:
        connection.recv(1)
        heard.release()
        say_nothing(bodies, connection)

    port = serve_raw(listen)

    async def main() -> None:
        url = f"{scheme}://127.0.0.1:{port}"
        async with AsyncTrackingClient("key", base_url=url, max_connections=2) as client:
            for _ in range(5):
                async with anyio.create_task_group() as tasks:
                    for _ in range(4):
                        tasks.start_soon(client.identify_contact, {"email": JANE})
                    for _ in range(2):  # as many as there are connections
                        assert await anyio.to_thread.run_sync(heard.acquire, True, LIMIT)
                    tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_cancelled_backoff_sends_nothing_more(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(503, retry_after=20)

    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.identify_contact, {"email": JANE})
            await fake_sendx.until(lambda: fake_sendx.requests, LIMIT)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_cancellation_reaches_the_caller(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(times=None)

    async def cancel_when_sent(scope: anyio.CancelScope, count: int) -> None:
        await fake_sendx.until(lambda: len(fake_sendx.requests) == count, LIMIT)
        scope.cancel()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: client.identify_contact({"email": JANE}),
                lambda: client.track_custom_event({"identifier": JANE, "name": "seen"}),
            ]
            for count, call in enumerate(calls, start=1):
                async with anyio.create_task_group() as tasks:
                    with anyio.CancelScope() as scope:
                        tasks.start_soon(cancel_when_sent, scope, count)
                        await call()
                    assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 2
