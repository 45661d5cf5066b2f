"""The server that every benchmark talks to, in a process of its own.

It is a bare asyncio protocol, so that what is measured is the client. The first part of a request's
path says how to answer: `ok` at once, `delay-50` after 50 milliseconds.
"""

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs

_OK = b'{"status":"200","message":"OK"}'
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


_RESPONSE_OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_OK)
) + _OK


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:head_end]
            length = _CONTENT_LENGTH.search(head)
            request_end = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < request_end:
                return
            self._buffer = self._buffer[request_end:]
            self.answer(head.split(b" ", 2)[1].split(b"/")[1])

    def answer(self, behaviour: bytes) -> None:
        """Answer one request, in the way that the first part of its path asks for."""
        name, _, argument = behaviour.partition(b"-")
        if name == b"delay":
            self._loop.call_later(int(argument) / 1000, self._transport.write, _RESPONSE_OK)
        else:
            self._transport.write(_RESPONSE_OK)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # The parent's end of the pipe closes when the parent ends, however it ends.
    await asyncio.to_thread(sys.stdin.read)


@attrs.frozen
class Server:
    """A running server, seen from the benchmark."""

    port: int

    def url(self, behaviour: str) -> str:
        """The base URL under which every request is answered by `behaviour`."""
        return f"http://127.0.0.1:{self.port}/{behaviour}"


def _cores() -> list[int]:
    """The processor cores this process may use; empty where the system can't say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextlib.contextmanager
def running_server(*, core: int | None = None) -> Iterator[Server]:
    """Run the server in a process of its own, on processor core `core` if one is given."""
    command = [sys.executable, str(Path(__file__))]
    if core is not None:
        command += ["--core", str(core)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(int(process.stdout.readline()))
        finally:
            process.stdin.close()


@contextlib.contextmanager
def server_on_another_core() -> Iterator[Server]:
    """Run the server on one processor core and this process on another, if the system can do it.

    What this process starts afterwards inherits its core: so enter it before there are threads.
    """
    available = _cores()
    with running_server(core=available[-1] if len(available) > 1 else None) as server:
        if available:
            os.sched_setaffinity(0, available[:1])
        yield server


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int)
    core = parser.parse_args().core
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(_serve())
