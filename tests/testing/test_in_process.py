"""FakeSendX misbehaving in process, on asyncio and trio, and waiting without sleeping."""

import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import httpx
import pytest

import sendx_async.testing
from sendx_async.testing import FakeSendX

JANE = "jane@example.com"
backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def fake() -> FakeSendX:
    return FakeSendX()


def in_process(fake: FakeSendX) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=fake),
        base_url="http://sendx.test",
        headers={"X-Team-ApiKey": fake.api_key},
    )


async def identify(client: httpx.AsyncClient, email: str = JANE) -> httpx.Response:
    return await client.post("/contact/identify", json={"email": email})


@backends
def test_the_usual_answer_and_every_kind_of_delay(fake: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with in_process(fake) as client:
            assert (await identify(client)).is_success
            fake.latency = 0.01
            assert (await identify(client)).is_success
            fake.drip(interval=0.0, padding=2)
            assert (await identify(client)).content.startswith(b"  {")

    anyio.run(main, backend=backend)


@backends
def test_drop_is_a_connection_reset(fake: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with in_process(fake) as client:
            fake.drop(applied=True)
            with pytest.raises(ConnectionResetError, match="without an answer"):
                await identify(client)

    anyio.run(main, backend=backend)
    assert fake.requests[0].applied
    assert not fake.requests[0].disconnected


@backends
def test_leaving_a_black_hole_is_noted(fake: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with in_process(fake) as client:
            fake.black_hole()
            with anyio.move_on_after(0.05) as scope:
                await identify(client)
            assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert fake.requests[0].disconnected
    assert repr(fake.requests[0]).endswith("-> no answer, disconnected>")


@backends
def test_until_waits_without_blocking_the_loop(fake: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with in_process(fake) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(identify, client)
            contact = await fake.until(lambda: fake.contact(JANE))
            assert contact.email == JANE

    anyio.run(main, backend=backend)


@backends
def test_until_gives_up(fake: FakeSendX, backend: str) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError, match="It has received no request"):
            await fake.until(lambda: False, timeout=0.01)

    anyio.run(main, backend=backend)


def test_wait_for_returns_what_came_true(fake: FakeSendX) -> None:
    def later() -> None:
        async def main() -> None:
            async with in_process(fake) as client:
                await identify(client)

        anyio.run(main)

    thread = threading.Thread(target=later)
    thread.start()
    assert fake.wait_for(lambda: fake.contact(JANE)).email == JANE
    assert fake.wait_for(lambda: len(fake.requests)) == 1
    thread.join()


def test_wait_for_shows_what_was_received_instead(fake: FakeSendX) -> None:
    async def main() -> None:
        async with in_process(fake) as client:
            for number in range(12):
                await identify(client, f"c{number}@example.com")

    anyio.run(main)
    with pytest.raises(TimeoutError) as raised:
        fake.wait_for(lambda: fake.contact(JANE), timeout=0.01)
    text = str(raised.value)
    assert "within 0.01 s" in text
    assert "12 requests; the latest:" in text
    assert "c11@example.com" in text
    assert "c1@example.com" not in text
    assert fake.api_key not in text
    assert isinstance(raised.value.__cause__, LookupError)


def test_an_unknown_contact_is_explained(fake: FakeSendX) -> None:
    with pytest.raises(LookupError) as nothing:
        fake.contact("x@y.co")
    assert str(nothing.value) == (
        "The fake server holds no contact 'x@y.co'. It holds no contact. "
        "It has received no request."
    )

    async def main() -> None:
        async with in_process(fake) as client:
            await identify(client)

    anyio.run(main)
    with pytest.raises(LookupError) as another:
        fake.contact("x@y.co")
    assert f"It holds {JANE}. It has received 1 request; the latest:\n  <POST" in str(another.value)


def test_only_the_latest_requests_may_be_kept() -> None:
    seen: list[str] = []
    fake = FakeSendX(keep=2, on_request=lambda request: seen.append(request.json["email"]))

    async def main() -> None:
        async with in_process(fake) as client:
            for number in range(4):
                await identify(client, f"c{number}@example.com")

    anyio.run(main)
    assert [request.json["email"] for request in fake.requests] == [
        "c2@example.com",
        "c3@example.com",
    ]
    assert seen == [f"c{number}@example.com" for number in range(4)]
    assert len(fake.contacts) == 4


def test_a_request_that_is_under_way_survives_a_reset(fake: FakeSendX) -> None:
    async def main() -> None:
        async with in_process(fake) as client, anyio.create_task_group() as tasks:
            fake.latency = 0.05
            tasks.start_soon(identify, client)
            await fake.until(lambda: fake.requests)
            fake.reset()

    anyio.run(main)
    assert fake.requests == []


async def exchange(
    fake: FakeSendX, scope: MutableMapping[str, Any], *messages: MutableMapping[str, Any]
) -> list[MutableMapping[str, Any]]:
    incoming = list(messages)
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return incoming.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    app: Callable[..., Awaitable[None]] = fake
    await app(scope, receive, send)
    return sent


def test_a_client_that_leaves_before_its_request_is_whole() -> None:
    reported: list[object] = []
    fake = FakeSendX(on_request=reported.append)
    scope = {"type": "http", "method": "POST", "path": "/contact/identify", "headers": []}
    sent = anyio.run(
        exchange,
        fake,
        scope,
        {"type": "http.request", "body": b'{"email"', "more_body": True},
        {"type": "http.disconnect"},
    )
    assert sent == []
    (request,) = fake.requests
    assert (request.raw, request.disconnected, request.applied) == (b'{"email"', True, False)
    assert reported == [request]


def test_a_header_sent_twice_is_joined(fake: FakeSendX) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/contact/identify",
        "headers": [(b"x-a", b"1"), (b"x-a", b"2")],
    }
    anyio.run(exchange, fake, scope, {"type": "http.request"})
    assert fake.requests[0].headers == {"x-a": "1, 2"}


def test_other_protocols_are_refused(fake: FakeSendX) -> None:
    with pytest.raises(NotImplementedError, match="FakeSendX speaks HTTP, not lifespan"):
        anyio.run(exchange, fake, {"type": "lifespan"})


def test_the_package_shows_its_public_names() -> None:
    assert dir(sendx_async.testing) == sendx_async.testing.__all__
    for name in sendx_async.testing.__all__:
        assert getattr(sendx_async.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        sendx_async.testing.Nothing  # noqa: B018 - the mistake
