"""Proxies of the environment: what goes through them, what they see, and what they can break."""

import contextlib
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import anyio
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
)
from sendx_async.testing import FakeSendX

from .loopback import LIMIT

pytestmark = pytest.mark.slow

EVENT = {"identifier": "jane@example.com", "name": "seen"}
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
HOST = "api.sendx.test"
KEY = "the-secret-key"

ServeRaw = Callable[..., int]

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Proxy:
    """A CONNECT proxy that leads every host to one port of this machine.

    Attributes:
        heads: The CONNECT requests, as they came.
        passed: Everything that the client sent through the tunnels.
        refusals: Answers to give instead of a tunnel, the next one first.
    """

    def __init__(self, serve_raw: ServeRaw, port: int) -> None:
        self.heads: list[bytes] = []
        self.passed = bytearray()
        self.refusals: list[bytes] = []
        self._port = port
        self.port = serve_raw(self._tunnel)

    def url(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}"

    def _tunnel(self, _bodies: Iterator[bytes], client: socket.socket) -> None:
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return
            head += byte
        self.heads.append(bytes(head))
        if self.refusals:
            client.sendall(self.refusals.pop(0))
            return
        with socket.create_connection(("127.0.0.1", self._port), timeout=LIMIT) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                readable, *_ = select.select([client, server], [], [], LIMIT)
                for each in readable:
                    data = each.recv(100_000)
                    if not data:
                        return
                    if each is client:
                        self.passed += data
                    (server if each is client else client).sendall(data)


class Server:
    """The TLS server behind the proxy; it has a certificate for `HOST`.

    Attributes:
        bodies: The requests it received.
        heads: What came with each read, if ``reads_heads``: then it isn't taken apart.
        deaf: Whether it takes requests and doesn't answer.
    """

    def __init__(self, serve_raw: ServeRaw, authority: trustme.CA) -> None:
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.reads_heads = False
        self.deaf = False
        self.drops = False
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = authority.issue_cert(HOST)
        # trustme's annotation names a class of pyOpenSSL, which need not be installed.
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        self.port = serve_raw(self._answer, tls=context)

    def _answer(self, bodies: Iterator[bytes], connection: socket.socket) -> None:
        while self.reads_heads and (head := connection.recv(100_000)):
            self.heads.append(head)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        for body in bodies:
            self.bodies.append(body)
            if self.drops:
                return
            if not self.deaf:
                connection.sendall(GOOD)


@pytest.fixture
def server(
    serve_raw: ServeRaw, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return Server(serve_raw, authority)


@pytest.fixture
def proxy(serve_raw: ServeRaw, server: Server, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    proxy = Proxy(serve_raw, server.port)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    return proxy


def new_client(**options: Any) -> AsyncTrackingClient:
    options = {"retry": RetryPolicy(2, base=0, cap=0), "timeout": LIMIT, **options}
    return AsyncTrackingClient(KEY, base_url=f"https://{HOST}/api", **options)


def say_nothing(_: Iterator[bytes], connection: socket.socket) -> None:
    while connection.recv(100_000):
        pass


def failure(backend: str, **options: Any) -> SendXError:
    """Return the error of one call."""

    async def main() -> SendXError:
        async with new_client(**options) as client:
            with pytest.raises(SendXError) as caught:
                await client.track_custom_event(EVENT)
            return caught.value

    return anyio.run(main, backend=backend)


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
    "407": b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
    "502": b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nsorry",
    "hangs up": b"",
    "nonsense": b"SSH-2.0\r\n\r\n",
    "not TLS behind it": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
}


@on_both_backends
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_proxy_that_refuses_sends_nothing(
    server: Server, proxy: Proxy, backend: str, refusal: bytes
) -> None:
    proxy.refusals += [refusal] * 3
    error = failure(backend)
    assert isinstance(error, ConnectError)
    assert error.attempts == 3
    assert not error.maybe_delivered
    assert server.bodies == []


@on_both_backends
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
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
    for timeout in (0.2, Timeout(LIMIT, read=0.2)):
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


@on_both_backends
@pytest.mark.parametrize("pattern", ["*", HOST, ".sendx.test", "other.test, sendx.test"])
def test_no_proxy_is_obeyed(
    server: Server, proxy: Proxy, backend: str, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", pattern)
    # The name leads nowhere: without the proxy there is no connection.
    error = failure(backend, timeout=1, deadline=3, retry=RetryPolicy(0))
    assert not error.maybe_delivered
    assert proxy.heads == server.bodies == []


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


@on_both_backends
@pytest.mark.parametrize(
    "address",
    [
        "socks5://user:password@127.0.0.1:1",
        "socks5h://user:password@127.0.0.1:1",
        "socks4://user:password@127.0.0.1:1",
        "socks://user:password@127.0.0.1:1",
        "ftp://user:password@127.0.0.1:1",
        "http://user:password@127.0.0.1:port",
        "http://user:password@[::1",
        "http://",
    ],
)
def test_a_proxy_that_can_not_be_used_is_a_wrong_setting(
    server: Server, backend: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    error = failure(backend)
    assert isinstance(error, ConfigurationError)
    assert "password" not in str(error)
    assert "proxy" in str(error)
    assert not error.maybe_delivered
