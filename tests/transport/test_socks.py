"""SOCKS proxies of the environment: what they are asked, and how they refuse."""

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    ConnectError,
    RetryPolicy,
    SendXError,
    Timeout,
)

from .loopback import LIMIT
from .proxying import (
    EVENT,
    HOST,
    KEY,
    Server,
    ServeRaw,
    SocksProxy,
    failure,
    new_client,
    on_both_backends,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(serve_raw: ServeRaw, server: Server, monkeypatch: pytest.MonkeyPatch) -> SocksProxy:
    proxy = SocksProxy(serve_raw, server.port)
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
    return proxy


@on_both_backends
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_calls_go_through_one_connection(
    *,
    server: Server,
    proxy: SocksProxy,
    backend: str,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")

    async def main() -> None:
        async with new_client() as client:
            for _ in range(3):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 3
    # The proxy looks the name up, and sees nothing else.
    assert proxy.asked == [(3, HOST.encode(), 443)]
    assert KEY.encode() not in proxy.passed
    assert b"jane" not in proxy.passed


@on_both_backends
def test_the_name_and_password_go_to_the_proxy_if_it_wants_them(
    server: Server, proxy: SocksProxy, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:pass%20word@127.0.0.1:{proxy.port}")

    async def main() -> None:
        for proxy.wants in (None, (b"user", b"pass word")):
            async with new_client() as client:
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 2
    assert proxy.credentials == [(b"user", b"pass word")]


@on_both_backends
@pytest.mark.parametrize(
    "address,asked",
    [("192.0.2.7:8443", (1, bytes([192, 0, 2, 7]), 8443)),
     ("[2001:db8::7]", (4, bytes.fromhex("20010db8" + "0" * 23 + "7"), 443))],
)  # fmt: skip
def test_an_address_is_handed_on_as_one(
    server: Server, proxy: SocksProxy, backend: str, address: str, asked: tuple[int, bytes, int]
) -> None:
    async def main() -> None:
        url = f"https://{address}"
        async with AsyncTrackingClient(
            KEY, base_url=url, timeout=LIMIT, retry=RetryPolicy(0)
        ) as client:
            # The server's certificate is for another name.
            with pytest.raises(ConnectError, match="certificate"):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert proxy.asked == [asked]


@on_both_backends
@pytest.mark.parametrize("address", [b"\x03\x04name\x00\x50", b"\x04" + bytes(18)])
def test_a_proxy_may_tell_its_own_address_in_any_form(
    server: Server, proxy: SocksProxy, backend: str, address: bytes
) -> None:
    proxy.answers["address"] = b"\x05\x00\x00" + address

    async def main() -> None:
        async with new_client() as client:
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 1


REFUSALS = {
    "no SOCKS": ("method", b"HTTP/1.1 400 Bad Request\r\n\r\n", "as a SOCKS 5 proxy does"),
    "wants a password": ("method", b"\x05\xff", "wants a name and a password"),
    "hangs up": ("method", b"", "closed the connection"),
    "hangs up half-way": ("method", b"\x05", "closed the connection"),
    "forbids": ("address", b"\x05\x02\x00\x01" + bytes(6), "its rules forbid it"),
    "can't reach it": ("address", b"\x05\x04\x00\x01" + bytes(6), "the host can't be reached"),
    "another reason": ("address", b"\x05\x2a\x00\x01" + bytes(6), "code 42"),
}


@on_both_backends
@pytest.mark.parametrize("step,answer,reason", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_proxy_that_refuses_sends_nothing(
    *, server: Server, proxy: SocksProxy, backend: str, step: str, answer: bytes, reason: str
) -> None:
    proxy.answers[step] = answer
    expect_nothing_sent(failure(backend), server, reason)


@on_both_backends
def test_a_wrong_password_is_named_as_such(
    server: Server, proxy: SocksProxy, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"socks5://user:wrong-one@127.0.0.1:{proxy.port}")
    proxy.wants = (b"user", b"right")
    error = failure(backend)
    expect_nothing_sent(error, server, "refuses the name or the password in its URL")
    assert "wrong-one" not in str(error)


@on_both_backends
def test_a_name_that_is_too_long_is_not_sent(
    server: Server, proxy: SocksProxy, backend: str
) -> None:
    async def main() -> None:
        url = f"https://{'a' * 300}.test"
        async with AsyncTrackingClient(KEY, base_url=url, retry=RetryPolicy(0)) as client:
            with pytest.raises(ConnectError, match="too long for SOCKS"):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert proxy.asked == []


@on_both_backends
def test_a_proxy_that_never_answers_sends_nothing(
    serve_raw: ServeRaw, server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve_raw(lambda _, connection: [None for _ in iter(lambda: connection.recv(100), b"")])
    monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
    error = failure(backend, timeout=Timeout(LIMIT, connect=0.2))
    assert isinstance(error, AttemptTimeout)
    assert not error.maybe_delivered


def expect_nothing_sent(error: SendXError, server: Server, reason: str) -> None:
    assert isinstance(error, ConnectError)
    assert reason in str(error)
    assert error.attempts == 3
    assert not error.maybe_delivered
    assert server.bodies == []
