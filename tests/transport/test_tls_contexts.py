"""Certificates are read once for all clients, beside the event loop, and anew when they change."""

import logging
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import socket
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trustme

from sendx_async import AsyncTrackingClient, ConfigurationError, ConnectError, RetryPolicy
from tests.waiting import until

from .loopback import LIMIT

EVENT = {"identifier": "jane@example.com", "name": "seen"}

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Server:
    """A TLS server that closes each connection after one answer, with a private authority.

    Attributes:
        url: Where it is.
        bundle: The file that SSL_CERT_FILE names.
        authority: Who has signed its certificate.
    """

    def __init__(self, serve_raw: Callable[..., int], bundle: Path) -> None:
        self.authority = trustme.CA()
        self.bundle = bundle
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self.authority.issue_cert("localhost")
        # trustme's annotation names a class of pyOpenSSL, which need not be installed.
        certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
        self.url = f"https://localhost:{serve_raw(self._answer, tls=context)}"
        self.trust(self.authority)

    def trust(self, authority: trustme.CA) -> None:
        """Put another file in the place of the bundle."""
        other = self.bundle.with_suffix(".new")
        authority.cert_pem.write_to_path(str(other))
        other.replace(self.bundle)

    def client(self) -> AsyncTrackingClient:
        return AsyncTrackingClient("key", base_url=self.url, retry=RetryPolicy(0), timeout=LIMIT)

    async def call(self) -> None:
        """Make the first call of a client."""
        async with self.client() as client:
            await client.track_custom_event(EVENT)

    def _answer(self, bodies: Iterator[bytes], connection: socket) -> None:
        next(bodies)
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")


@pytest.fixture
def server(
    serve_raw: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    bundle = tmp_path / "authority.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return Server(serve_raw, bundle)


class Readings:
    """Counts how often certificates are read, and can hold that up.

    Attributes:
        count: How often.
        may_end: Whether reading may go on.
        has_begun: Whether it has begun.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.has_begun = threading.Event()
        self._read = ssl.create_default_context
        monkeypatch.setattr(ssl, "create_default_context", self._counted)

    def _counted(self, **options: Any) -> ssl.SSLContext:
        self.count += 1
        self.has_begun.set()
        assert self.may_end.wait(LIMIT)
        return self._read(**options)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    return Readings(monkeypatch)


@on_both_backends
def test_many_first_calls_of_many_clients_read_the_certificates_once(
    server: Server, readings: Readings, backend: str
) -> None:
    async def call_at_once() -> None:
        async with server.client() as client, anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(client.track_custom_event, EVENT)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(call_at_once)
        await server.call()

    anyio.run(main, backend=backend)
    assert readings.count == 1


@on_both_backends
def test_the_event_loop_goes_on_while_certificates_are_read(
    server: Server, readings: Readings, backend: str
) -> None:
    readings.may_end.clear()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.call)
            await until(readings.has_begun.is_set)
            readings.may_end.set()

    anyio.run(main, backend=backend)


async def cancel_while_reading(server: Server, readings: Readings) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.call)
        await until(readings.has_begun.is_set)
        tasks.cancel_scope.cancel()


@on_both_backends
def test_who_is_cancelled_leaves_the_reading_to_the_others(
    server: Server, readings: Readings, backend: str
) -> None:
    readings.may_end.clear()

    async def main() -> None:
        await cancel_while_reading(server, readings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.call)
            await anyio.lowlevel.checkpoint()
            readings.may_end.set()

    anyio.run(main, backend=backend)
    assert readings.count == 1


@on_both_backends
def test_a_loop_that_ends_before_the_certificates_are_read_disturbs_nobody(
    server: Server, readings: Readings, backend: str
) -> None:
    readings.may_end.clear()

    anyio.run(cancel_while_reading, server, readings, backend=backend)
    readings.may_end.set()
    anyio.run(server.call, backend=backend)
    assert readings.count == 1


@on_both_backends
def test_where_no_thread_can_be_started_the_loop_reads(
    server: Server, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "sendx_async certificates":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    anyio.run(server.call, backend=backend)


@on_both_backends
def test_a_file_that_was_replaced_is_read_again(
    server: Server, readings: Readings, backend: str
) -> None:
    async def main() -> None:
        async with server.client() as client:
            await client.track_custom_event(EVENT)
            server.trust(trustme.CA())
            with pytest.raises(ConnectError, match="certificate"):
                await client.track_custom_event(EVENT)
            server.trust(server.authority)
            for _ in range(2):
                await client.track_custom_event(EVENT)

    anyio.run(main, backend=backend)
    assert readings.count == 3


@on_both_backends
def test_what_was_read_before_counts_while_its_file_can_not_be_read(
    server: Server, readings: Readings, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with server.client() as client:
            await client.track_custom_event(EVENT)
            server.bundle.write_text("half a")
            for _ in range(2):
                await client.track_custom_event(EVENT)
            server.trust(server.authority)
            await client.track_custom_event(EVENT)

    with caplog.at_level(logging.WARNING, "sendx_async"):
        anyio.run(main, backend=backend)
    assert readings.count == 3
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "SSL_CERT_FILE" in warning
    assert warning.endswith("those that were read before still count")


def test_a_directory_of_certificates_counts(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConnectError, match="certificate"):
        anyio.run(server.call)


def test_a_log_of_keys_that_can_not_be_written_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys.log"))
    with pytest.raises(ConfigurationError, match="SSLKEYLOGFILE names can't be written"):
        anyio.run(server.call)
    # An error isn't kept.
    (tmp_path / "nowhere").mkdir()
    anyio.run(server.call)
    assert (tmp_path / "nowhere" / "keys.log").read_text()


@on_both_backends
def test_whatever_keeps_certificates_from_being_read_ends_the_call(
    server: Server, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    def read(**_: object) -> None:
        raise RecursionError("as of what was patched twice")

    with monkeypatch.context() as patched:
        patched.setattr(ssl, "create_default_context", read)
        with pytest.raises(ConfigurationError, match="RecursionError: as of what"):
            anyio.run(server.call, backend=backend)
    anyio.run(server.call, backend=backend)


FORK = """
import os, ssl, sys, threading, time, warnings
warnings.simplefilter("ignore")
import anyio
import anyio.lowlevel
from sendx_async._transport.tls_contexts import tls_contexts

begun, may_end, read = threading.Event(), threading.Event(), ssl.create_default_context

def held_up(**options):
    begun.set()
    may_end.wait(60)
    return read(**options)

ssl.create_default_context = held_up
thread = threading.Thread(target=anyio.run, args=(tls_contexts.get,), daemon=True)
thread.start()
begun.wait(60)
while not any(making.thread for making in tls_contexts._under_way.values()):
    time.sleep(0.001)  # it is noted after it was started
child = os.fork()
if not child:
    ssl.create_default_context = read
    anyio.run(tls_contexts.get)
    os._exit(7)
may_end.set()
thread.join(60)
anyio.run(tls_contexts.get)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no forks")
def test_a_child_that_was_forked_while_certificates_were_read_reads_them_itself(
    server: Server,
) -> None:
    done = subprocess.run([sys.executable, "-c", FORK], check=False, timeout=LIMIT)
    assert done.returncode == 7
