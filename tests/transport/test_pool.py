"""The pool keeps, limits, notices and closes connections; seen from the server's side."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from socket import socket

import anyio
import pytest

from sendx_async import AsyncTrackingClient, RetryPolicy, TrackRequest
from sendx_async._transport import http1, pool
from sendx_async.testing import Connections, FakeSendX

from .loopback import LIMIT

JANE = "jane@example.com"
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def client_of(fake: FakeSendX, *, max_connections: int = 20) -> AsyncTrackingClient:
    return AsyncTrackingClient(
        fake.api_key,
        base_url=fake.url,
        max_connections=max_connections,
        retry=RetryPolicy(0),
        timeout=LIMIT,
    )


async def call_at_once(client: AsyncTrackingClient, count: int) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(client.identify_contact, {"email": JANE})


def in_flight(fake: FakeSendX) -> int:
    return sum(each.status is None and not each.disconnected for each in fake.requests)


@on_both_backends
def test_calls_in_turn_share_one_connection(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            for _ in range(5):
                await client.identify_contact({"email": JANE})
            copy = client.with_options(timeout=5)
            await copy.track_contact({"email": JANE, "add_tags": ["vip"]})
            await client.track_custom_event({"identifier": JANE, "name": "seen"})
            assert fake_sendx.connections == Connections(accepted=1, open=1)
        fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)


@on_both_backends
def test_an_answer_that_refuses_keeps_the_connection(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(422)
    fake_sendx.html(502)
    fake_sendx.redirect("https://example.com/")

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            for status in (422, 502, 307):
                with pytest.raises(Exception, match=str(status)):
                    await client.track_custom_event({"identifier": JANE, "name": "seen"})
            await client.identify_contact({"email": JANE})
            assert fake_sendx.connections == Connections(accepted=1, open=1)

    anyio.run(main, backend=backend)


@on_both_backends
def test_the_connection_used_last_is_used_first(
    serve_raw: Callable[..., int], backend: str
) -> None:
    used: Counter[int] = Counter()
    three = threading.Barrier(3)

    def answer(bodies: Iterator[bytes], connection: socket) -> None:
        for index, _ in enumerate(bodies):
            used[id(connection)] += 1
            if index == 0:
                three.wait(LIMIT)
            connection.sendall(GOOD)

    async def main() -> None:
        url = f"http://127.0.0.1:{serve_raw(answer)}"
        async with AsyncTrackingClient("key", base_url=url) as client:
            await call_at_once(client, 3)
            assert sorted(used.values()) == [1, 1, 1]
            for _ in range(6):
                await client.identify_contact({"email": JANE})
            assert sorted(used.values()) == [1, 1, 7]

    anyio.run(main, backend=backend)


@on_both_backends
def test_no_more_than_max_connections_are_under_way(fake_sendx: FakeSendX, backend: str) -> None:
    most = 0

    def count() -> float:
        # Asked while a request is being decided on, which is not in the log as answered.
        nonlocal most
        most = max(most, in_flight(fake_sendx), fake_sendx.connections.open)
        return 0.005

    fake_sendx.latency = count

    async def main() -> None:
        async with client_of(fake_sendx, max_connections=3) as client:
            await call_at_once(client, 30)

    anyio.run(main, backend=backend)
    assert most == 3
    assert fake_sendx.connections.accepted == 3
    assert len(fake_sendx.requests) == 30


@on_both_backends
def test_all_of_max_connections_are_used(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(times=None)

    async def main() -> None:
        async with (
            client_of(fake_sendx, max_connections=4) as client,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(9):
                tasks.start_soon(client.identify_contact, {"email": JANE})
            await fake_sendx.until(lambda: in_flight(fake_sendx) == 4, LIMIT)
            assert fake_sendx.connections.open == 4
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 4


@on_both_backends
def test_a_kept_alive_connection_that_the_server_closed_is_not_used(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await call_at_once(client, 3)
            # When stop() returns, the server's sockets are closed. The client's event loop has not
            # run since, so only a look at its own sockets can tell. An event is never sent twice.
            for name in ("first", "second", "third"):
                fake_sendx.stop()
                fake_sendx.start()
                await client.track_custom_event({"identifier": JANE, "name": name})

    anyio.run(main, backend=backend)
    assert [event.name for event in fake_sendx.events] == ["first", "second", "third"]


@on_both_backends
def test_cold_connections_are_closed_while_a_warm_one_is_used(
    serve_raw: Callable[..., int], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the pool's own clock: how old a connection gets must not depend on the machine.
    now = 1000.0
    monkeypatch.setattr(http1, "monotonic", lambda: now)
    monkeypatch.setattr(pool, "monotonic", lambda: now)
    five = threading.Barrier(5)
    hung_up: list[int] = []

    def answer(bodies: Iterator[bytes], connection: socket) -> None:
        count = 0
        for count, _ in enumerate(bodies, start=1):
            if count == 1:
                five.wait(LIMIT)
            connection.sendall(GOOD)
        hung_up.append(count)

    async def main() -> None:
        nonlocal now
        url = f"http://127.0.0.1:{serve_raw(answer)}"
        async with AsyncTrackingClient("key", base_url=url, timeout=LIMIT) as client:
            await call_at_once(client, 5)
            now += 0.6 * http1.KEEP_ALIVE
            await client.identify_contact({"email": JANE})
            assert hung_up == []
            now += 0.6 * http1.KEEP_ALIVE
            await client.identify_contact({"email": JANE})
            with anyio.fail_after(LIMIT):
                while len(hung_up) < 4:  # noqa: ASYNC110 - a thread appends to it
                    await anyio.sleep(0.001)
            await client.identify_contact({"email": JANE})
            assert hung_up == [1] * 4

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_connection_is_not_used_after_its_keep_alive(
    fake_sendx: FakeSendX, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "KEEP_ALIVE", 0.0)

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            for accepted in (1, 2, 3):
                await client.identify_contact({"email": JANE})
                assert fake_sendx.connections.accepted == accepted
                ended = time.monotonic()
                while time.monotonic() == ended:
                    pass  # the clock of some systems is coarse
        fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_connection_whose_call_ends_after_the_client_was_closed_is_closed(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.latency = 0.2

    async def main() -> None:
        client = client_of(fake_sendx)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.identify_contact, {"email": JANE})
            await fake_sendx.until(lambda: fake_sendx.requests, LIMIT)
            await client.aclose()
        assert JANE in fake_sendx.contacts
        await fake_sendx.until(lambda: fake_sendx.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_copy_for_another_server_has_connections_of_its_own(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> None:
        other = FakeSendX()
        with other.serving() as url:
            async with client_of(fake_sendx) as client:
                copy = client.with_options(base_url=url)
                for _ in range(3):
                    await client.identify_contact({"email": JANE})
                    await copy.identify_contact({"email": "john@example.com"})
            assert fake_sendx.connections.accepted == other.connections.accepted == 1
            assert set(fake_sendx.contacts) == {JANE}
            assert set(other.contacts) == {"john@example.com"}
            other.wait_for(lambda: other.connections.open == 0, LIMIT)

    anyio.run(main, backend=backend)


@on_both_backends
def test_calls_at_once_get_each_their_own_answer(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, max_connections=7) as client:

            async def call(index: int) -> None:
                email = f"contact{index}@example.com"
                await client.identify_contact({"email": email, "first_name": str(index)})
                if index % 3 == 0:
                    with pytest.raises(Exception, match="404"):
                        await client.send(TrackRequest(f"nobody{index}@example.com"))
                await client.send(TrackRequest(email, add_tags=[f"tag {index}"]))

            async with anyio.create_task_group() as tasks:
                for index in range(100):
                    tasks.start_soon(call, index)

    anyio.run(main, backend=backend)
    assert len(fake_sendx.contacts) == 100
    for index in range(100):
        contact = fake_sendx.contact(f"contact{index}@example.com")
        assert contact.first_name == str(index)
        assert contact.tags == {f"tag {index}"}
