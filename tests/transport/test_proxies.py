"""Proxies of the environment: what goes through them, what they see, and what they can break."""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest
import trustme

from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    ResponseLost,
    RetryPolicy,
    SendXError,
    Timeout,
    TrackingClient,
)
from sendx_async.testing import FakeSendX

from .loopback import LIMIT
from .proxying import (
    EVENT,
    HOST,
    KEY,
    Proxy,
    Server,
    ServeRaw,
    failure,
    new_client,
    on_both_backends,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(serve_raw: ServeRaw, server: Server, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    proxy = Proxy(serve_raw, server.port)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    return proxy


def say_nothing(_: Iterator[bytes], connection: socket.socket) -> None:
    while connection.recv(100_000):
        pass


@on_both_backends
def test_calls_go_through_one_tunnel(server: Server, proxy: Proxy, backend: str) -> None:
    async def main() -> None:
        async with new_client() as client:
            for _ in range(3):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 3
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT api.sendx.test:443 HTTP/1.1\r\n")
    # The proxy sees the host, and the rest encrypted.
    assert KEY.encode() not in head
    assert KEY.encode() not in proxy.passed
    assert b"jane" not in proxy.passed


@on_both_backends
def test_any_request_goes_through_as_it_is(server: Server, proxy: Proxy, backend: str) -> None:
    server.reads_heads = True

    async def main() -> None:
        async with new_client() as client:
            for method in ("HEAD", "DELETE"):
                await client.request(
                    method, "/contact/{identifier}", path_params={"identifier": "jane@example.com"}
                )

    anyio.run(main, backend=backend)
    lines = [head.partition(b"\r\n")[0] for head in server.heads]
    path = b"/api/contact/jane%40example.com"
    assert lines == [b"HEAD %b HTTP/1.1" % path, b"DELETE %b HTTP/1.1" % path]
    assert len(proxy.heads) == 1


@on_both_backends
def test_several_calls_at_once(server: Server, proxy: Proxy, backend: str) -> None:
    async def main() -> None:
        async with new_client(max_connections=3) as client, anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(client.track_custom_event, EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 9
    assert 1 <= len(proxy.heads) <= 3


@on_both_backends
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_other_names_of_the_variable(
    server: Server, proxy: Proxy, backend: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")  # curl takes it without the scheme too

    async def main() -> None:
        async with new_client() as client:
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(proxy.heads) == len(server.bodies) == 1


@on_both_backends
def test_the_name_and_password_go_to_the_proxy_only(
    server: Server, proxy: Proxy, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:pass%20word@"))

    async def main() -> None:
        async with new_client() as client:
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    (head,) = proxy.heads
    assert b"\r\nproxy-authorization: basic dxnlcjpwyxnzihdvcmq=\r\n" in head.lower()


REFUSALS = {
    "407": (
        b"HTTP/1.1 407 user:password is wrong\r\ncontent-length: 0\r\n\r\n",
        "the proxy refuses with HTTP 407: check the name and the password in its URL",
    ),
    "502": (
        b"HTTP/1.1 502 user:password\r\ncontent-length: 5\r\n\r\nsorry",
        "the proxy refuses with HTTP 502",
    ),
    "hangs up": (b"", "the server closed before its answer was complete"),
    "nonsense": (b"SSH-2.0 password\r\n\r\n", "the proxy doesn't answer as an HTTP proxy does"),
    "no valid HTTP": (
        b"HTTP/1.1 200 OK\r\npassword\r\n\r\n",
        "the proxy doesn't answer as an HTTP proxy does",
    ),
    "not TLS behind it": (
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "spoke before the TLS handshake",
    ),
}


@on_both_backends
@pytest.mark.parametrize("refusal,reason", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_proxy_that_refuses_sends_nothing(
    *,
    server: Server,
    proxy: Proxy,
    backend: str,
    refusal: bytes,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:password@"))
    proxy.refusals += [refusal] * 3
    error = failure(backend)
    assert reason in str(error)
    # A proxy may repeat what it was told.
    assert "password" not in str(error).replace("the password", "")
    assert isinstance(error, ConnectError)
    assert error.attempts == 3
    assert not error.maybe_delivered
    assert server.bodies == []


@on_both_backends
@pytest.mark.parametrize("refusal", [refusal for refusal, _ in REFUSALS.values()], ids=REFUSALS)
def test_a_call_is_repeated_until_the_proxy_obeys(
    server: Server, proxy: Proxy, backend: str, refusal: bytes
) -> None:
    proxy.refusals += [refusal] * 2

    async def main() -> None:
        async with new_client(max_connections=1) as client:
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 1


@on_both_backends
def test_nobody_listens_where_the_proxy_should_be(
    server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:password@127.0.0.1:{port}")
    error = failure(backend)
    assert isinstance(error, ConnectError)
    assert not error.maybe_delivered
    assert "password" not in str(error)


@on_both_backends
def test_a_proxy_that_never_answers_sends_nothing(
    serve_raw: ServeRaw, server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve_raw(say_nothing)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    # The way through the proxy is a part of connecting.
    for timeout in (0.2, Timeout(LIMIT, connect=0.2)):
        error = failure(backend, timeout=timeout)
        assert isinstance(error, AttemptTimeout)
        assert not error.maybe_delivered
        assert error.attempts == 3
    error = failure(backend, deadline=0.2)
    assert isinstance(error, DeadlineExceeded)
    assert not error.maybe_delivered


@on_both_backends
def test_a_connection_that_dies_behind_the_proxy(
    server: Server, proxy: Proxy, backend: str
) -> None:
    server.drops = True
    error = failure(backend)
    assert isinstance(error, ResponseLost)
    assert error.maybe_delivered
    assert error.attempts == len(server.bodies) == 1


@on_both_backends
def test_a_server_behind_the_proxy_that_does_not_answer(
    server: Server, proxy: Proxy, backend: str
) -> None:
    async def main() -> None:
        async with new_client() as client:
            for timeout in (0.5, Timeout(LIMIT, read=0.5)):
                # The timeout must not have to cover the way through the proxy.
                server.deaf = False
                await client.track_custom_event(EVENT)
                server.deaf = True
                with pytest.raises(AttemptTimeout) as caught:
                    await client.track_custom_event(EVENT, timeout=timeout)
                assert caught.value.maybe_delivered
                assert caught.value.attempts == 1

    anyio.run(main, backend=backend)
    assert len(proxy.heads) == 2


@on_both_backends
def test_cancelled_calls_leave_nothing_stuck(server: Server, proxy: Proxy, backend: str) -> None:
    async def main() -> None:
        async with new_client(max_connections=3) as client:
            for round_ in range(6):
                server.deaf = round_ % 2 == 0
                async with anyio.create_task_group() as tasks:
                    for index in range(9):

                        async def cancelled(seconds: float) -> None:
                            with anyio.move_on_after(seconds), contextlib.suppress(SendXError):
                                await client.track_custom_event(EVENT)

                        tasks.start_soon(cancelled, index * 0.005)
            server.deaf = False
            with anyio.fail_after(LIMIT):
                async with anyio.create_task_group() as tasks:
                    for _ in range(9):
                        tasks.start_soon(client.track_custom_event, EVENT)

    anyio.run(main, backend=backend)


DIRECT = [
    "*", HOST, ".sendx.test", "other.test, sendx.test", HOST.upper(), f"{HOST}:443",
    "sendx.test:443", f"https://{HOST}", f"https://{HOST}:443", "other.test,*",
]  # fmt: skip
PROXIED = [f"{HOST}:8443", f"http://{HOST}", "api.sendx", "dx.test", "", " , ", "443", ":443"]


@on_both_backends
@pytest.mark.parametrize("pattern", DIRECT)
def test_no_proxy_is_obeyed(
    server: Server, proxy: Proxy, backend: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", pattern)
    # The name leads nowhere: without the proxy there is no connection.
    error = failure(backend, timeout=1, deadline=3, retry=RetryPolicy(0))
    assert not error.maybe_delivered
    assert proxy.heads == server.bodies == []


@pytest.mark.parametrize("pattern", PROXIED)
def test_no_proxy_is_for_what_it_names_only(
    server: Server, proxy: Proxy, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", pattern)
    with TrackingClient(KEY, base_url=f"https://{HOST}", timeout=LIMIT) as client:
        client.track_custom_event(EVENT)
    assert len(proxy.heads) == len(server.bodies) == 1


@on_both_backends
def test_this_machine_is_never_reached_through_a_proxy(
    fake_sendx: FakeSendX, proxy: Proxy, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())

    async def main() -> None:
        async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
            await client.identify_contact({"email": "jane@example.com"})
            here = fake_sendx.url.replace("127.0.0.1", "localhost")
            await client.with_options(base_url=here).identify_contact({"email": "j@example.com"})

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 2
    assert proxy.heads == []


UNUSABLE = [
    "socks4://user:password@127.0.0.1:1",
    "socks://user:password@127.0.0.1:1",
    f"socks5://user:{'password' * 32}@127.0.0.1:1",
    "ftp://user:password@127.0.0.1:1",
    "http://user:password@127.0.0.1:port",
    "http://user:password@[::1",
    "http://",
]


@pytest.mark.parametrize("address", UNUSABLE)
def test_a_proxy_that_can_not_be_used_is_refused_when_a_client_is_made(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client()
    monkeypatch.setenv("HTTPS_PROXY", address)
    for make in (
        new_client,
        lambda: client.with_options(base_url=f"https://{HOST}/other"),
        lambda: TrackingClient(KEY, base_url=f"https://{HOST}"),
    ):
        with pytest.raises(ConfigurationError, match="proxy for https") as caught:
            make()
        assert "password" not in str(caught.value)
        assert caught.value.__context__ is None
    # It is none of the matter of who goes another way.
    AsyncTrackingClient(KEY, base_url="http://127.0.0.1:1")
    borrowed = httpx.AsyncClient(trust_env=False)
    AsyncTrackingClient(KEY, base_url=f"https://{HOST}", http_client=borrowed)


@on_both_backends
def test_a_borrowed_client_goes_through_its_own_proxy(
    server: Server, proxy: Proxy, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    trusting = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    refusal, _ = REFUSALS["407"]
    proxy.refusals.append(refusal)

    async def main() -> None:
        address = proxy.url("user:password@")
        async with httpx.AsyncClient(proxy=address, verify=trusting) as borrowed:
            client = new_client(http_client=borrowed, retry=RetryPolicy(0))
            with pytest.raises(ConnectError, match="HTTP 407") as caught:
                await client.track_custom_event(EVENT)
            assert "password" not in str(caught.value)
            assert not caught.value.maybe_delivered
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(server.bodies) == 1


@on_both_backends
def test_a_proxy_that_came_to_be_named_later_is_a_wrong_setting(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with new_client() as client:
            monkeypatch.setenv("HTTPS_PROXY", UNUSABLE[0])
            with pytest.raises(ConfigurationError, match="proxy for https") as caught:
                await client.track_custom_event(EVENT)
            assert not caught.value.maybe_delivered

    anyio.run(main, backend=backend)


@on_both_backends
def test_a_proxy_that_speaks_tls_itself(
    serve_raw: ServeRaw, server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - as above
    proxy = Proxy(serve_raw, server.port, tls=context)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url("user:password@"))
    error = failure(backend)
    assert isinstance(error, ConnectError)
    assert "certificate" in str(error)
    assert proxy.heads == []
    with Path(os.environ["SSL_CERT_FILE"]).open("ab") as bundle:
        bundle.write(authority.cert_pem.bytes())

    async def main() -> None:
        async with new_client() as client:
            for _ in range(2):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert len(proxy.heads) == 1
    assert len(server.bodies) == 2
