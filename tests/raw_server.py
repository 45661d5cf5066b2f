"""Raw servers on loopback, for what the fake server can't do."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

Handler = Callable[[Iterator[bytes], socket.socket], object]
"""Handles one connection: gets the bodies of its requests as they arrive, and the connection."""


def _bodies(connection: socket.socket) -> Iterator[bytes]:
    with connection.makefile("rb") as stream:
        while stream.readline():
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            yield stream.read(length)


@pytest.fixture
def serve_raw() -> Iterator[Callable[..., int]]:
    """Call it with a `Handler` to start a server and get its port; ``tls`` makes it speak TLS.

    At the end of the test each handler must have come to its end, as it does when the client
    closes the connection; an exception in a handler fails the test.
    """
    failures: list[BaseException] = []
    with contextlib.ExitStack() as servers:

        def serve(handle: Handler, *, tls: ssl.SSLContext | None = None) -> int:
            class Connection(socketserver.BaseRequestHandler):
                def handle(self) -> None:
                    plain: socket.socket = self.request
                    plain.settimeout(30)  # only bounds a failing test
                    try:
                        with (
                            tls.wrap_socket(plain, server_side=True) if tls else plain as connection
                        ):
                            handle(_bodies(connection), connection)
                    except (ConnectionError, ssl.SSLError):
                        pass  # the client went away
                    except BaseException as error:  # noqa: BLE001 - reported in the test's thread
                        failures.append(error)

            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
            servers.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            servers.callback(thread.join)
            servers.callback(server.shutdown)
            port: int = server.server_address[1]
            return port

        yield serve
    if failures:
        raise failures[0]
