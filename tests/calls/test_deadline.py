"""The deadline is a hard stop, whatever the server does, and says what is known of the request."""

import contextlib
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    ConnectError,
    CustomEventRequest,
    DeadlineExceeded,
    IdentifyRequest,
    Rate,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    ServerError,
    Timeout,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

pytestmark = pytest.mark.slow

JANE = "jane@example.com"

on_both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def say_nothing(_: Iterator[bytes], connection: socket.socket) -> None:
    while connection.recv(100_000):
        pass


def fails(
    backend: str,
    url: str,
    *,
    key: str = "sandbox-key",
    deadline: float | None = 30,
    timeout: float | Timeout = 10,
    retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
    event: bool = False,
) -> SendXError:
    """Give the error of one call."""

    async def main() -> SendXError:
        async with AsyncTrackingClient(
            key, base_url=url, deadline=deadline, timeout=timeout, retry=retry
        ) as client:
            request = CustomEventRequest(JANE, "seen") if event else IdentifyRequest(JANE)
            with pytest.raises(SendXError) as caught:
                await client.send(request)
            return caught.value

    return anyio.run(main, backend=backend)


def fails_once_sent(
    backend: str, url: str, limit: Callable[[float], dict[str, Any]], **options: Any
) -> SendXError:
    """Give the error of a call with the first limit in which this machine sends its first attempt.

    Args:
        backend: The event loop.
        url: The server.
        limit: Gives the options that a number of seconds stands for.
        **options: The other options of `fails`.
    """
    for seconds in (0.2, 1.0, 5.0):
        error = fails(backend, url, **limit(seconds), **options)
        if error.maybe_delivered and error.attempts == 1:
            return error
    return fails(backend, url, **limit(15.0), **options)


def by_deadline(seconds: float) -> dict[str, Any]:
    return {"deadline": seconds}


@on_both_backends
@pytest.mark.parametrize("event", [False, True])
def test_a_deadline_ends_a_call_that_is_never_answered(
    fake_sendx: FakeSendX, backend: str, event: bool
) -> None:
    fake_sendx.black_hole(times=None)
    error = fails_once_sent(backend, fake_sendx.url, by_deadline, event=event)
    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error, TimeoutError)
    assert error.maybe_delivered
    assert error.last is None
    assert error.attempts == 1
    assert error.elapsed >= 0.2
    assert re.search(r"within the deadline of \d+(\.2)? s", str(error))


@on_both_backends
def test_a_deadline_ends_a_call_whose_answer_drips_in(fake_sendx: FakeSendX, backend: str) -> None:
    # Each byte arrives well within any time limit for reading.
    fake_sendx.drip(interval=0.02, times=None)
    timeout = Timeout(20, read=5)
    error = fails_once_sent(backend, fake_sendx.url, by_deadline, timeout=timeout)
    assert isinstance(error, DeadlineExceeded)
    assert error.maybe_delivered
    error = fails_once_sent(
        backend,
        fake_sendx.url,
        lambda seconds: {"timeout": Timeout(seconds, read=5)},
        retry=RetryPolicy(0),
    )
    assert isinstance(error, AttemptTimeout)
    assert error.maybe_delivered
    fake_sendx.wait_for(lambda: all(each.disconnected for each in fake_sendx.requests))


@on_both_backends
@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_would_pass_the_deadline_is_not_begun(
    fake_sendx: FakeSendX, backend: str, status: int
) -> None:
    fake_sendx.respond(status, retry_after=3600, times=None)
    error = fails(backend, fake_sendx.url, deadline=30)
    assert isinstance(error, RateLimitError if status == 429 else ServerError)
    assert error.retry_after == 3600
    assert error.attempts == 1
    assert not error.maybe_delivered
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_back_off_counts_for_the_deadline(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500, times=None)
    retry = RetryPolicy(1_000_000, base=0.02, cap=0.02, budget=1_000_000)
    error = fails(backend, fake_sendx.url, deadline=1, retry=retry)
    last = error.last if isinstance(error, DeadlineExceeded) else error
    assert isinstance(last, ServerError)
    # The deadline may cut an attempt off before its request arrives.
    assert len(fake_sendx.requests) > 1
    assert error.attempts - len(fake_sendx.requests) in {0, 1}
    assert error.maybe_delivered


@on_both_backends
def test_the_last_error_comes_with_the_deadline(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(429, retry_after=0)
    fake_sendx.black_hole()
    error = fails(backend, fake_sendx.url, deadline=2)
    assert isinstance(error, DeadlineExceeded)
    assert isinstance(error.last, RateLimitError)
    assert error.last.status_code == 429
    assert error.attempts == 2
    assert error.maybe_delivered
    assert "429" in str(error)


@on_both_backends
def test_the_wait_for_a_connection_counts_for_the_deadline(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole()

    async def main() -> None:
        async with (
            AsyncTrackingClient(
                fake_sendx.api_key, base_url=fake_sendx.url, max_connections=1
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.identify_contact, {"email": JANE})
            await fake_sendx.until(lambda: fake_sendx.requests)
            with pytest.raises(DeadlineExceeded) as late:
                await client.identify_contact({"email": JANE}, deadline=0.1)
            with pytest.raises(AttemptTimeout) as timed_out:
                await client.identify_contact({"email": JANE}, timeout=0.1, retry=RetryPolicy(0))
            assert not late.value.maybe_delivered
            assert not timed_out.value.maybe_delivered
            assert "could not be sent" in str(timed_out.value)
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_the_wait_for_the_rate_counts_for_the_deadline(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    async def main() -> None:
        async with AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, rate=Rate(0.01), clock=stopped_clock
        ) as client:
            await client.identify_contact({"email": JANE})
            with pytest.raises(DeadlineExceeded) as caught:
                await client.identify_contact({"email": JANE}, deadline=50)
            text = "the next request may begin in 100.0 s only, after the deadline of 50 s"
            assert str(caught.value) == text
            assert caught.value.elapsed == 0  # a wait that is too long is not begun
            assert caught.value.attempts == 0
            assert caught.value.last is None
            assert not caught.value.maybe_delivered

    anyio.run(main, backend=backend)
    assert len(fake_sendx.requests) == 1


@on_both_backends
def test_without_a_deadline_the_attempts_decide(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(times=None)
    retry = RetryPolicy(2, base=0)
    was_sent = False
    for seconds in (0.1, 1.0, 5.0, 15.0):
        if not was_sent:
            error = fails(backend, fake_sendx.url, deadline=None, timeout=seconds, retry=retry)
            assert isinstance(error, AttemptTimeout)
            assert error.attempts == 3
            was_sent = error.maybe_delivered
    assert was_sent


@on_both_backends
def test_an_attempt_that_timed_out_is_repeated(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole()

    async def main() -> None:
        async with AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            deadline=None,
            retry=RetryPolicy(1000, base=0, budget=1000),
        ) as client:
            await client.identify_contact({"email": JANE}, timeout=0.3)

    anyio.run(main, backend=backend)
    assert JANE in fake_sendx.contacts


@on_both_backends
def test_an_event_that_timed_out_is_not_repeated(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(times=None)
    for limit in (
        lambda seconds: {"timeout": seconds},
        lambda seconds: {"timeout": Timeout(20, read=seconds)},
    ):
        error = fails_once_sent(backend, fake_sendx.url, limit, event=True)
        assert isinstance(error, AttemptTimeout)
        assert error.attempts == 1
        assert error.maybe_delivered
        assert "was sent and not answered" in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "limit,kind", [("timeout", AttemptTimeout), ("deadline", DeadlineExceeded)]
)
async def test_an_event_over_a_borrowed_client_that_timed_out_is_not_repeated(
    fake_sendx: FakeSendX, library: Any, limit: str, kind: type[SendXError]
) -> None:
    errors: list[SendXError] = []
    async with (
        library.AsyncClient() as borrowed,
        AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=borrowed
        ) as client,
    ):
        await client.identify_contact({"email": JANE})
        fake_sendx.black_hole(applied=True, times=None)
        event = CustomEventRequest(JANE, "seen")
        # With the first limit in which this machine gets it to the server.
        for seconds in (0.2, 1.0, 5.0, 15.0):
            if not fake_sendx.events:
                options: dict[str, Any] = {limit: seconds}
                with pytest.raises(kind) as caught:
                    await client.track_custom_event(event, **options)
                errors.append(caught.value)
    assert errors[-1].maybe_delivered
    assert len(fake_sendx.events) == 1


@on_both_backends
def test_a_handshake_that_never_ends_sends_nothing(
    serve_raw: Callable[..., int], backend: str
) -> None:
    # Without TLS on the server's side; the handler reads the greeting and then waits.
    port = serve_raw(say_nothing)
    url = f"https://127.0.0.1:{port}"
    error = fails(
        backend, url, timeout=Timeout(10, connect=0.1), retry=RetryPolicy(1, base=0), event=True
    )
    assert isinstance(error, AttemptTimeout)
    assert error.attempts == 2
    assert not error.maybe_delivered
    error = fails(backend, url, timeout=0.1, retry=RetryPolicy(1, base=0), event=True)
    assert isinstance(error, AttemptTimeout)
    assert error.attempts == 2
    assert not error.maybe_delivered
    error = fails(backend, url, deadline=0.1, event=True)
    assert isinstance(error, DeadlineExceeded)
    assert not error.maybe_delivered


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ignores who comes when the backlog is full"
)
@on_both_backends
def test_a_connection_that_is_never_accepted_sends_nothing(backend: str) -> None:
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        sockets.enter_context(socket.create_connection(address, timeout=20))
        url = f"http://127.0.0.1:{address[1]}"
        error = fails(
            backend,
            url,
            timeout=Timeout(10, connect=0.1),
            retry=RetryPolicy(1, base=0),
            event=True,
        )
        assert isinstance(error, AttemptTimeout)
        assert error.attempts == 2
        assert not error.maybe_delivered
        error = fails(backend, url, deadline=0.2, event=True)
        assert isinstance(error, DeadlineExceeded)
        assert not error.maybe_delivered


@on_both_backends
def test_nobody_listens(backend: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = fails(backend, url, retry=RetryPolicy(2, base=0), event=True)
    assert isinstance(error, ConnectError)
    assert error.attempts == 3
    assert not error.maybe_delivered


@on_both_backends
def test_an_answer_in_a_million_pieces(serve_raw: Callable[..., int], backend: str) -> None:
    def answer(bodies: Iterator[bytes], connection: socket.socket) -> None:
        next(bodies)
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n" * 10_000)

    error = fails_once_sent(
        backend, f"http://127.0.0.1:{serve_raw(answer)}", by_deadline, event=True
    )
    assert isinstance(error, (DeadlineExceeded, ResponseDecodeError))
    assert error.maybe_delivered


@on_both_backends
def test_a_server_that_stops_reading(serve_raw: Callable[..., int], backend: str) -> None:
    over = threading.Event()

    def read_little(_: Iterator[bytes], connection: socket.socket) -> None:
        connection.recv(1000)
        over.wait(20)

    url = f"http://127.0.0.1:{serve_raw(read_little)}"
    event = {"identifier": JANE, "name": "seen", "data": {"text": "x" * 20_000_000}}

    async def main() -> None:
        async with AsyncTrackingClient("key", base_url=url) as client:
            with pytest.raises(AttemptTimeout) as caught:
                await client.track_custom_event(event, timeout=Timeout(20, write=0.3))
            assert caught.value.maybe_delivered
            assert caught.value.attempts == 1
            with pytest.raises(DeadlineExceeded) as late:
                await client.track_custom_event(event, deadline=2)
            assert late.value.maybe_delivered

    try:
        anyio.run(main, backend=backend)
    finally:
        over.set()
