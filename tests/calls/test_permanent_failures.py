"""What doesn't get better by waiting is not waited for, as long as nothing has ever succeeded."""

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import trustme

from sendx_async import (
    AsyncTrackingClient,
    ConnectError,
    IdentifyRequest,
    OutageError,
    RetryPolicy,
    TrackingClient,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock
from tests.waiting import until

JANE = {"email": "jane@example.com"}
RETRY = RetryPolicy(3, base=0, cap=0)
LIMIT = 120.0

Ask = Callable[..., ConnectError]
Forget = Callable[..., None]


@pytest.fixture(params=["asyncio", "trio", "httpx", "httpx2"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call over each transport in turn, and return the error."""
    way: str = request.param

    def ask(base_url: str) -> ConnectError:
        async def main() -> ConnectError:
            http_client: Any = None
            if way.startswith("httpx"):
                http_client = {"httpx": httpx, "httpx2": httpx2}[way].AsyncClient(trust_env=False)
            async with AsyncTrackingClient(
                "key", base_url=base_url, http_client=http_client, retry=RETRY, timeout=LIMIT
            ) as client:
                with pytest.raises(ConnectError) as caught:
                    await client.identify_contact(JANE)
            if http_client is not None:
                await http_client.aclose()
            return caught.value

        return anyio.run(main, backend="trio" if way == "trio" else "asyncio")

    return ask


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch) -> Forget:
    """Let the system find no host of this name any more, or fail otherwise."""
    ask_system = socket.getaddrinfo

    def forget(name: str, code: int | None = socket.EAI_NONAME) -> None:
        def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
            if host in {name, name.encode()} and code is not None:
                raise socket.gaierror(code, "the system's words")
            return ask_system(host, *arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return forget


def test_a_name_that_no_host_has_is_not_asked_for_again(ask: Ask, forget: Forget) -> None:
    forget("api.sendx.example")
    error = ask("https://api.sendx.example")
    assert error.is_permanent
    assert error.attempts == 1
    assert not error.maybe_delivered
    assert "does not pass by itself: no host has this name: correct base_url" in str(error)


def test_a_name_that_could_not_be_asked_for_is_asked_for_again(ask: Ask, forget: Forget) -> None:
    forget("api.sendx.example", socket.EAI_AGAIN)
    error = ask("https://api.sendx.example")
    assert not error.is_permanent
    assert error.attempts == 4
    assert "does not pass by itself" not in str(error)


def test_a_certificate_that_is_not_accepted_is_not_asked_for_again(
    ask: Ask, serve_raw: Callable[..., int]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    error = ask(f"https://localhost:{serve_raw(lambda *_: None, tls=context)}")
    assert error.is_permanent
    assert error.attempts == 1
    assert "certificate is not accepted: correct base_url, or trust" in str(error)


def test_a_port_without_tls_is_not_asked_again(ask: Ask, serve_raw: Callable[..., int]) -> None:
    def answer(_: Iterator[bytes], connection: socket.socket) -> None:
        connection.recv(100_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    error = ask(f"https://localhost:{serve_raw(answer)}")
    assert error.is_permanent
    assert error.attempts == 1
    assert "does not speak TLS: correct the port in base_url" in str(error)


def test_a_port_where_nobody_listens_is_asked_again(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = ask(f"http://127.0.0.1:{port}")
    assert not error.is_permanent
    assert error.attempts == 4


def test_a_name_that_can_be_none_is_not_asked_for_again() -> None:
    with (
        TrackingClient("key", base_url=f"https://{'x' * 64}.example", retry=RETRY) as client,
        pytest.raises(ConnectError, match="no host can have this name") as caught,
    ):
        client.identify_contact(JANE)
    assert caught.value.attempts == 1


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    """Make a client that looks the fake server's name up."""
    url = fake.url.replace("127.0.0.1", "localhost")
    return AsyncTrackingClient(fake.api_key, base_url=url, **{"retry": RETRY, **options})


def test_what_has_succeeded_before_is_an_outage(fake_sendx: FakeSendX, forget: Forget) -> None:
    async def main() -> None:
        async with client_of(fake_sendx, clock=StoppedClock()) as client:
            await client.identify_contact(JANE)
            forget("localhost")
            fake_sendx.close_connections()
            other = client.with_options(timeout=5)  # it is the same client
            with pytest.raises(ConnectError) as caught:
                await other.identify_contact(JANE)
            assert not caught.value.is_permanent
            assert caught.value.attempts == 4
            with pytest.raises(OutageError, match="longer than the patience of 20 s"):
                async with client.send_many([JANE], patience=20) as outcomes:
                    await anext(outcomes)

    anyio.run(main)


def test_an_answer_from_elsewhere_proves_nothing(fake_sendx: FakeSendX, forget: Forget) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await client.identify_contact(JANE)
            forget("api.sendx.example")
            misspelt = client.with_options(base_url="https://api.sendx.example")
            with pytest.raises(ConnectError) as caught:
                await misspelt.identify_contact(JANE)
            assert caught.value.is_permanent

    anyio.run(main)


def test_a_stream_ends_at_once_and_has_sent_nothing(fake_sendx: FakeSendX, forget: Forget) -> None:
    forget("localhost")
    clock = StoppedClock()
    began = clock.time

    async def main() -> None:
        contacts = [IdentifyRequest(f"c{number}@example.com") for number in range(60)]
        async with client_of(fake_sendx, clock=clock) as client:
            outcomes = client.send_many(contacts)
            async with outcomes:
                with pytest.raises(ConnectError) as caught:
                    await anext(outcomes)
        assert caught.value.is_permanent
        assert (
            "0 were delivered, 0 failed, 0 may have been delivered and 60 were not sent"
            in (caught.value.__notes__[0])
        )
        assert len(outcomes.unsent) == 60

    anyio.run(main)
    assert clock.time == began


def test_an_outbox_keeps_everything_says_why_and_goes_on(
    fake_sendx: FakeSendX, forget: Forget, tmp_path: Any
) -> None:
    forget("localhost")
    events: list[Any] = []

    async def main() -> None:
        with Outbox(tmp_path / "outbox.db", on_event=events.append) as outbox:
            outbox.put_sync(JANE)
            retry = RetryPolicy(1, base=0.01, cap=0.01)
            async with client_of(fake_sendx) as client, outbox.draining(client, retry=retry):
                await until(lambda: "no host has this name" in (outbox.stats().trouble or ""))
                assert outbox.stats().pending == 1
                forget("localhost", None)
                await until(lambda: not outbox.stats().pending)
        paused = next(event for event in events if event.kind == "paused")
        assert "no host has this name" in paused.error

    anyio.run(main)
    assert "jane@example.com" in fake_sendx.contacts
