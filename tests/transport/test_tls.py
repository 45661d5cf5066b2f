"""Certificates are verified: against the usual authorities, or one that the environment names."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest
import trustme

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    ConnectError,
    RetryPolicy,
    SendXError,
    Timeout,
)

from .loopback import LIMIT

EVENT = {"identifier": "jane@example.com", "name": "seen"}
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Server:
    """A TLS server on loopback.

    Attributes:
        bodies: The requests of each connection whose handshake succeeded.
        closes: Whether it closes each connection after the first answer, and then sets `closed`.
    """

    def __init__(self, serve_raw: Callable[..., int], authority: trustme.CA, name: str) -> None:
        self.bodies: list[list[bytes]] = []
        self.closes = False
        self.closed = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = authority.issue_cert(name)
        # trustme's annotation names a class of pyOpenSSL, which need not be installed.
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        self.port = serve_raw(self._answer, tls=context)

    def _answer(self, bodies: Iterator[bytes], connection: socket.socket) -> None:
        received: list[bytes] = []
        self.bodies.append(received)
        for body in bodies:
            received.append(body)
            connection.sendall(GOOD)
            if self.closes:
                connection.close()
                self.closed.set()
                return


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """A private authority that SSL_CERT_FILE names."""
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return authority


def failure(backend: str, url: str) -> SendXError:
    async def main() -> SendXError:
        retry = RetryPolicy(1, base=0)
        async with AsyncTrackingClient("key", base_url=url, retry=retry, timeout=LIMIT) as client:
            with pytest.raises(SendXError) as caught:
                await client.track_custom_event(EVENT)
            return caught.value

    return anyio.run(main, backend=backend)


@on_both_backends
def test_a_private_authority_is_trusted_when_the_environment_says_so(
    serve_raw: Callable[..., int], authority: trustme.CA, backend: str
) -> None:
    server = Server(serve_raw, authority, "localhost")

    async def main() -> None:
        url = f"https://localhost:{server.port}"
        async with AsyncTrackingClient("key", base_url=url, timeout=LIMIT) as client:
            for _ in range(4):
                await client.track_custom_event(EVENT)
        patient = Timeout(LIMIT, connect=None)
        async with AsyncTrackingClient("key", base_url=url, timeout=patient) as client:
            await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert [len(received) for received in server.bodies] == [4, 1]


@on_both_backends
@pytest.mark.parametrize("name,host", [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")])
def test_a_certificate_for_another_name_is_refused(
    serve_raw: Callable[..., int], authority: trustme.CA, backend: str, name: str, host: str
) -> None:
    server = Server(serve_raw, authority, name)
    error = failure(backend, f"https://{host}:{server.port}")
    assert isinstance(error, ConnectError)
    assert not error.maybe_delivered
    assert error.attempts == 1
    assert "certificate is not accepted" in str(error)
    assert not any(server.bodies)


@on_both_backends
def test_an_unknown_authority_is_refused(
    serve_raw: Callable[..., int], authority: trustme.CA, backend: str
) -> None:
    server = Server(serve_raw, trustme.CA(), "localhost")
    error = failure(backend, f"https://localhost:{server.port}")
    assert isinstance(error, ConnectError)
    assert not error.maybe_delivered
    assert "certificate" in str(error)
    assert not any(server.bodies)


@on_both_backends
def test_a_private_authority_is_refused_unless_it_is_named(
    serve_raw: Callable[..., int],
    authority: trustme.CA,
    backend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    server = Server(serve_raw, authority, "localhost")
    error = failure(backend, f"https://localhost:{server.port}")
    assert isinstance(error, ConnectError)
    assert not any(server.bodies)


@on_both_backends
def test_a_server_without_tls_is_refused(serve_raw: Callable[..., int], backend: str) -> None:
    received: list[bytes] = []

    def answer(_: Iterator[bytes], connection: socket.socket) -> None:
        received.append(connection.recv(100_000))
        connection.sendall(GOOD)

    error = failure(backend, f"https://127.0.0.1:{serve_raw(answer)}")
    assert isinstance(error, ConnectError)
    assert "does not speak TLS" in str(error)
    assert not error.maybe_delivered
    assert not any(b"key" in each.lower() or b"jane" in each for each in received)


@on_both_backends
@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_a_wrong_setting(
    *,
    serve_raw: Callable[..., int],
    authority: trustme.CA,
    backend: str,
    content: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "other.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    server = Server(serve_raw, authority, "localhost")
    error = failure(backend, f"https://localhost:{server.port}")
    assert isinstance(error, ConfigurationError)
    assert "SSL_CERT_FILE" in str(error)
    assert not error.maybe_delivered


@on_both_backends
def test_an_encrypted_connection_that_the_server_closed_is_not_used(
    serve_raw: Callable[..., int], authority: trustme.CA, backend: str
) -> None:
    server = Server(serve_raw, authority, "localhost")
    server.closes = True

    async def main() -> None:
        url = f"https://localhost:{server.port}"
        async with AsyncTrackingClient("key", base_url=url, timeout=LIMIT) as client:
            for calls in (1, 2, 3):
                await client.track_custom_event(EVENT)
                # The client's event loop doesn't run meanwhile.
                assert server.closed.wait(LIMIT)
                server.closed.clear()
                assert [len(received) for received in server.bodies] == [1] * calls

    anyio.run(main, backend=backend)
