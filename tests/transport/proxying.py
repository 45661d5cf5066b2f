"""A proxy and a TLS server behind it, both on this machine, and clients that go through them."""

import select
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
import trustme

from sendx_async import AsyncTrackingClient, RetryPolicy, SendXError

from .loopback import LIMIT

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

    def __init__(
        self, serve_raw: ServeRaw, port: int, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.heads: list[bytes] = []
        self.passed = bytearray()
        self.refusals: list[bytes] = []
        self._port = port
        self._scheme = "https" if tls else "http"
        self.port = serve_raw(self._tunnel, tls=tls)

    def url(self, user: str = "") -> str:
        return f"{self._scheme}://{user}127.0.0.1:{self.port}"

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
        else:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            lead_on(client, self._port, self.passed)


class SocksProxy:
    """A SOCKS 5 proxy that leads every host to one port of this machine.

    Attributes:
        asked: The kind of address, the address and the port that each client has asked for.
        credentials: The name and the password that each client has given.
        passed: Everything that the client sent through.
        wants: The name and the password that it wants; None for neither.
        answers: What to say instead of the usual, by step: "method", "password", "address".
    """

    def __init__(self, serve_raw: ServeRaw, port: int) -> None:
        self.asked: list[tuple[int, bytes, int]] = []
        self.credentials: list[tuple[bytes, bytes]] = []
        self.passed = bytearray()
        self.wants: tuple[bytes, bytes] | None = None
        self.answers: dict[str, bytes] = {}
        self._port = port
        self.port = serve_raw(self._serve)

    def _serve(self, _bodies: Iterator[bytes], client: socket.socket) -> None:
        with client.makefile("rb") as stream:

            def read(size: int) -> bytes:
                return stream.read(size)

            def answer(step: str, usual: bytes) -> bool:
                said = self.answers.get(step, usual)
                for byte in said:  # one by one, as a network may
                    client.sendall(bytes([byte]))
                return said == usual

            version, count = read(2)
            method = 2 if self.wants else 0
            assert version == 5
            is_offered = method in read(count)
            if not answer("method", bytes([5, method if is_offered else 255])) or not is_offered:
                return
            if self.wants:
                assert read(1) == b"\x01"
                given = read(read(1)[0]), read(read(1)[0])
                self.credentials.append(given)
                is_right = given == self.wants
                if not answer("password", bytes([1, not is_right])) or not is_right:
                    return
            if read(3) != b"\x05\x01\x00":
                return  # it hung up
            kind = read(1)[0]
            host = read({1: 4, 4: 16}.get(kind) or read(1)[0])
            self.asked.append((kind, host, int.from_bytes(read(2), "big")))
            if self.answers.get("address", b"\x05\x00").startswith(b"\x05\x00"):
                answer("address", b"\x05\x00\x00\x01" + bytes(6))
                lead_on(client, self._port, self.passed)
            else:
                answer("address", b"")


def lead_on(client: socket.socket, port: int, passed: bytearray) -> None:
    """Pass on what a client and a server say, until one of them hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as server:
        while True:
            readable, *_ = select.select([client, server], [], [], LIMIT)
            for each in readable:
                data = each.recv(100_000)
                while isinstance(each, ssl.SSLSocket) and each.pending():
                    data += each.recv(100_000)
                if not data:
                    return
                if each is client:
                    passed += data
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


def new_client(**options: Any) -> AsyncTrackingClient:
    options = {"retry": RetryPolicy(2, base=0, cap=0), "timeout": LIMIT, **options}
    return AsyncTrackingClient(KEY, base_url=f"https://{HOST}/api", **options)


def failure(backend: str, **options: Any) -> SendXError:
    """Return the error of one call."""

    async def main() -> SendXError:
        async with new_client(**options) as client:
            with pytest.raises(SendXError) as caught:
                await client.track_custom_event(EVENT)
            return caught.value

    return anyio.run(main, backend=backend)
