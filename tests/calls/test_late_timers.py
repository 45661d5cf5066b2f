"""Event loops that were blocked for longer than a limit: what was answered meanwhile counts."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trustme

from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    CustomEventRequest,
    DeadlineExceeded,
    Event,
    RetryPolicy,
    SendXError,
    Timeout,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.waiting import until

pytestmark = pytest.mark.slow

LIMIT = 120.0  # seconds after which a test that waits has failed
SHORT = 0.1  # seconds that a call may take, and for which its loop is blocked at least
EVENT = {"identifier": "jane@example.com", "name": "seen"}
JANE = {"email": "jane@example.com"}

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
WHOLE = HEAD % 2 + b"{}"
# A body larger than httpcore reads at once, its beginning apart from the head.
LARGE = b"{" + b" " * 60_000 + b"}"

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


def spin(seconds: float) -> None:
    """Keep the loop from running, as a computation of the application does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class HeldAnswer:
    """A server that answers its first request at once, and the second when it is told to.

    Args:
        pieces: The second answer, one after the other.
    """

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self._arrived = threading.Event()
        self._may_answer = threading.Event()
        self._answered = threading.Event()

    def __call__(self, bodies: Iterator[bytes], connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        next(bodies)
        connection.sendall(WHOLE)
        if next(bodies, None) is None:
            return  # the client wasn't quick enough
        self._arrived.set()
        assert self._may_answer.wait(LIMIT)
        for piece in self._pieces:
            connection.sendall(piece)
        self._answered.set()
        assert next(bodies, None) is None

    @property
    def has_arrived(self) -> bool:
        """Whether the second request has."""
        return self._arrived.is_set()

    def wait(self) -> None:
        """Wait until the second request is here."""
        assert self._arrived.wait(LIMIT)

    def answer_while_blocked(self, seconds: float = SHORT) -> None:
        """Block the calling event loop until the answer is here and the time for it is over."""
        self.wait()
        self._may_answer.set()
        assert self._answered.wait(LIMIT)
        spin(seconds + SHORT)


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    """A private authority that SSL_CERT_FILE names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


def tls_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # trustme's annotation names a class of pyOpenSSL, which need not be installed.
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


def serve_held(
    serve_raw: Callable[..., int], authority: trustme.CA, *, encrypted: bool = True
) -> tuple[HeldAnswer, str]:
    """Start a server whose second answer is large and held back; give its URL, too."""
    held = HeldAnswer(HEAD % len(LARGE), LARGE[:1], LARGE[1:])
    port = serve_raw(held, tls=tls_of(authority) if encrypted else None)
    return held, f"{'https' if encrypted else 'http'}://localhost:{port}"


async def call_while_blocked(
    client: AsyncTrackingClient, block: Callable[[], object], **options: Any
) -> None:
    """Block the loop in the turn in which a call has sent its request."""
    await client.track_custom_event(EVENT)  # opens the connection
    async with anyio.create_task_group() as tasks:

        async def call() -> None:
            await client.track_custom_event(EVENT, **options)

        tasks.start_soon(call)
        for _ in range(10):  # turns, in which nothing else can happen
            await anyio.lowlevel.checkpoint()
        block()


@pytest.mark.parametrize("limit", ["timeout", "deadline", "read"])
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_an_answer_that_came_while_the_loop_was_blocked_is_read(
    serve_raw: Callable[..., int],
    authority: trustme.CA,
    loop: str,
    encrypted: bool,
    limit: Literal["timeout", "deadline", "read"],
) -> None:
    held, url = serve_held(serve_raw, authority, encrypted=encrypted)
    options: dict[str, Any] = {limit: SHORT}
    if limit == "read":
        options = {"timeout": Timeout(LIMIT, read=SHORT)}

    async def main() -> None:
        async with AsyncTrackingClient("key", base_url=url, timeout=LIMIT, deadline=None) as client:
            await call_while_blocked(client, held.answer_while_blocked, **options)

    anyio.run(main, **LOOPS[loop])


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_so_is_one_over_a_borrowed_client(
    serve_raw: Callable[..., int],
    authority: trustme.CA,
    library: Any,
    *,
    loop: str,
    encrypted: bool,
    limit: str,
) -> None:
    held, url = serve_held(serve_raw, authority, encrypted=encrypted)

    async def main() -> None:
        async with (
            library.AsyncClient() as borrowed,
            AsyncTrackingClient(
                "key", base_url=url, timeout=LIMIT, deadline=None, http_client=borrowed
            ) as client,
        ):
            await call_while_blocked(client, held.answer_while_blocked, **{limit: SHORT})

    anyio.run(main, **LOOPS[loop])


@pytest.mark.parametrize("loop", LOOPS)
def test_so_is_one_that_callers_share(
    serve_raw: Callable[..., int], authority: trustme.CA, loop: str
) -> None:
    def failures(seconds: float) -> list[SendXError]:
        """Call three times at once: the first goes alone, the others together after it."""
        held, url = serve_held(serve_raw, authority)
        failed: list[SendXError] = []

        async def call(client: AsyncTrackingClient, name: str) -> None:
            try:
                await client.identify_contact({"email": f"{name}@example.com"}, deadline=seconds)
            except SendXError as error:
                failed.append(error)

        async def main() -> None:
            async with (
                AsyncTrackingClient("key", base_url=url, batch_identify=True) as client,
                anyio.create_task_group() as tasks,
            ):
                for name in ("alone", "jane", "joe"):
                    tasks.start_soon(call, client, name)
                await until(lambda: held.has_arrived or failed)
                if held.has_arrived:
                    held.answer_while_blocked(seconds)

        anyio.run(main, **LOOPS[loop])
        return failed

    # With the first limit in which this machine sends both requests.
    assert [] in (failures(seconds) for seconds in (0.5, 3, 15))


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("loop", LOOPS)
def test_so_is_one_that_a_drainer_waits_for_when_it_is_stopped(
    serve_raw: Callable[..., int],
    authority: trustme.CA,
    tmp_path: Path,
    loop: str,
    encrypted: bool,
) -> None:
    held, url = serve_held(serve_raw, authority, encrypted=encrypted)

    async def block() -> None:
        for _ in range(10):  # turns, in which the drainer is told to stop
            await anyio.lowlevel.checkpoint()
        held.answer_while_blocked()

    async def main() -> None:
        async with (
            AsyncTrackingClient("key", base_url=url, timeout=LIMIT) as client,
            anyio.create_task_group() as tasks,
            outbox.draining(client, grace=SHORT),
        ):
            await anyio.to_thread.run_sync(held.wait)
            tasks.start_soon(block)

    with Outbox(tmp_path / "outbox.db") as outbox:
        for _ in range(2):
            outbox.put_sync(CustomEventRequest("jane@example.com", "seen"))
        anyio.run(main, **LOOPS[loop])
        assert outbox.failed() == []
        assert outbox.stats().pending == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_sent_when_its_time_was_over_before(
    fake_sendx: FakeSendX, loop: str, lend: Any
) -> None:
    def block(event: Event) -> None:
        if event.kind == "call_started":
            spin(SHORT)

    async def main() -> None:
        async with (
            lend() as borrowed,
            AsyncTrackingClient(
                fake_sendx.api_key,
                base_url=fake_sendx.url,
                timeout=LIMIT,
                on_event=block,
                http_client=borrowed,
            ) as client,
        ):
            await client.identify_contact(JANE)
            with pytest.raises(DeadlineExceeded) as caught:
                await client.identify_contact(JANE, deadline=SHORT / 2)
            assert not caught.value.maybe_delivered

    anyio.run(main, **LOOPS[loop])
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_sent_when_its_time_was_over_in_the_queue(
    fake_sendx: FakeSendX, loop: str
) -> None:
    caught: list[SendXError] = []

    def block(event: Event) -> None:
        if event.kind == "attempt_finished":
            spin(2 * SHORT)  # after the connection was given back to who waits for it

    async def main() -> None:
        async with AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            timeout=LIMIT,
            max_connections=1,
            retry=RetryPolicy(0),
        ) as client:

            async def call() -> None:
                await client.with_options(on_event=block).identify_contact(JANE)

            async def call_in_a_hurry() -> None:
                with pytest.raises(AttemptTimeout) as failed:
                    await client.identify_contact(JANE, timeout=SHORT)
                caught.append(failed.value)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                for _ in range(5):  # it takes the connection, and can't have an answer yet
                    await anyio.lowlevel.checkpoint()
                tasks.start_soon(call_in_a_hurry)

    anyio.run(main, **LOOPS[loop])
    assert not caught[0].maybe_delivered
    assert len(fake_sendx.requests) == 1
