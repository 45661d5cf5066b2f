"""One client in many event loops, one after the other and at the same time."""

import asyncio
import gc
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from sendx_async import AsyncTrackingClient, ConnectError, RetryPolicy
from sendx_async.testing import FakeSendX

from .loopback import LIMIT

pytestmark = pytest.mark.slow

JANE = "jane@example.com"
CALLS = 8

Main = Callable[[], Coroutine[Any, Any, None]]


def client_of(fake: FakeSendX) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, timeout=LIMIT)


def make_calls(client: AsyncTrackingClient) -> Main:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLS):
                tasks.start_soon(client.identify_contact, {"email": JANE})
        await client.track_custom_event({"identifier": JANE, "name": "seen"})

    return main


def run_on_uvloop(main: Main) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop doesn't exist for this platform")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def expect_nothing_open(fake: FakeSendX) -> None:
    fake.wait_for(lambda: fake.connections.open == 0, LIMIT)
    gc.collect()  # a socket that nobody closed would be a ResourceWarning, which is an error


def run_on_asyncio(main: Main) -> None:
    asyncio.run(main())


def run_on_trio(main: Main) -> None:
    trio.run(main)


RUNS: list[Callable[[Main], None]] = [run_on_asyncio, run_on_trio, run_on_uvloop]


def test_one_loop_after_the_other(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)
    runs = [run_on_asyncio, run_on_asyncio, run_on_trio, run_on_asyncio, run_on_asyncio]
    for count, run in enumerate([*runs, run_on_uvloop, run_on_trio], start=1):
        run(make_calls(client))
        # Connections end with the loop that opened them, the client lives on.
        expect_nothing_open(fake_sendx)
        assert len(fake_sendx.events) == count
    asyncio.run(client.aclose())
    assert client.is_closed


def test_six_threads_with_loops_of_their_own(fake_sendx: FakeSendX) -> None:
    client = client_of(fake_sendx)
    failures: list[BaseException] = []
    together = threading.Barrier(6)

    def thread(run: Callable[[Main], None]) -> None:
        try:
            together.wait(LIMIT)
            for _ in range(3):
                run(make_calls(client))
        except BaseException as error:  # noqa: BLE001 - reported in the test's thread
            failures.append(error)

    threads = [threading.Thread(target=thread, args=(run,)) for run in RUNS * 2]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LIMIT)
    assert failures == []
    assert len(fake_sendx.events) == 6 * 3
    assert len(fake_sendx.requests) == 6 * 3 * (CALLS + 1)
    expect_nothing_open(fake_sendx)
    asyncio.run(client.aclose())


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only Linux lists a process's open files there"
)
@pytest.mark.parametrize("run", RUNS)
def test_no_descriptor_is_left_open(fake_sendx: FakeSendX, run: Callable[[Main], None]) -> None:
    client = client_of(fake_sendx)

    def sockets() -> set[str]:
        links = set[str]()
        for each in Path("/proc/self/fd").iterdir():
            try:
                links.add(str(each.readlink()))
            except OSError:
                continue  # the descriptor of the listing itself
        return {link for link in links if link.startswith("socket:")}

    run(make_calls(client))
    expect_nothing_open(fake_sendx)
    before = sockets()
    for _ in range(3):
        run(make_calls(client))
        expect_nothing_open(fake_sendx)
    assert sockets() - before == set()
    asyncio.run(client.aclose())


@pytest.mark.parametrize("run", RUNS)
def test_calls_that_are_under_way_when_the_loop_ends(
    fake_sendx: FakeSendX, run: Callable[[Main], None]
) -> None:
    fake_sendx.black_hole(times=5)
    client = client_of(fake_sendx)

    class Over(Exception):  # noqa: N818 - not an error
        pass

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(client.identify_contact, {"email": JANE})
            await fake_sendx.until(lambda: len(fake_sendx.requests) == 5, LIMIT)
            raise Over

    with pytest.raises(BaseExceptionGroup):
        run(main)
    expect_nothing_open(fake_sendx)
    run(make_calls(client))
    expect_nothing_open(fake_sendx)
    asyncio.run(client.aclose())


def test_closed_in_one_loop_and_in_use_in_another(fake_sendx: FakeSendX) -> None:
    fake_sendx.latency = 0.2
    client = client_of(fake_sendx)
    failures: list[BaseException] = []

    def thread() -> None:
        try:
            asyncio.run(one_call())
        except BaseException as error:  # noqa: BLE001 - reported in the test's thread
            failures.append(error)

    async def one_call() -> None:
        await client.identify_contact({"email": JANE})

    other = threading.Thread(target=thread)
    other.start()
    fake_sendx.wait_for(lambda: fake_sendx.requests, LIMIT)
    asyncio.run(client.aclose())
    other.join(LIMIT)
    assert failures == []
    assert JANE in fake_sendx.contacts
    expect_nothing_open(fake_sendx)


@pytest.mark.parametrize("run", RUNS)
def test_an_async_with_in_each_loop(fake_sendx: FakeSendX, run: Callable[[Main], None]) -> None:
    for _ in range(3):

        async def main() -> None:
            async with client_of(fake_sendx) as client:
                await make_calls(client)()
                open_now = fake_sendx.connections.open
                assert 1 <= open_now <= CALLS
            await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)

        run(main)
    gc.collect()


def test_a_loop_that_has_ended_is_not_kept_alive(fake_sendx: FakeSendX) -> None:
    loops: list[weakref.ref[object]] = []
    client = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url)

    async def call() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await client.identify_contact({"email": "jane@example.com"})

    for _ in range(5):
        asyncio.run(call())
    asyncio.run(client.aclose())
    gc.collect()
    assert [loop() for loop in loops] == [None] * 5


def test_a_loop_that_ended_without_its_generators_is_not_kept_alive() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and doesn't listen
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        client = AsyncTrackingClient("team-key", base_url=url, retry=RetryPolicy(max_retries=0))

        def refused() -> weakref.ref[object]:
            loop = asyncio.new_event_loop()
            with pytest.raises(ConnectError):
                loop.run_until_complete(client.identify_contact({"email": JANE}))
            loop.close()
            return weakref.ref(loop)

        first = refused()
        second = refused()
        gc.collect()
        assert first() is None
        assert second() is not None  # until the client is used elsewhere, or goes
        asyncio.run(client.aclose())
