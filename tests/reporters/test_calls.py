"""What tools collect of a call that fails: nothing of the request, the key, or the answer."""

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

import sendx_async
from sendx_async import AsyncTrackingClient, Event, RetryPolicy, SendXError, TrackingClient
from sendx_async.testing import FakeSendX

from .held import account, address, contact, event, headers, mapping, said, shown_in
from .tools import COLLECTORS, assert_masked

if TYPE_CHECKING:
    from types import FrameType

LIBRARY = Path(sendx_async.__file__).parent

Handler = Callable[[Iterator[bytes], socket.socket], object]
Serve = Callable[[Handler], int]
Call = Callable[[AsyncTrackingClient], Coroutine[Any, Any, object]]


def answers(status: bytes, body: bytes = b"") -> Handler:
    """Make a handler that gives each request this answer."""

    def handle(bodies: Iterator[bytes], connection: socket.socket) -> None:
        for _ in bodies:
            head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            connection.sendall(head + body)

    return handle


def garbage(bodies: Iterator[bytes], connection: socket.socket) -> None:
    connection.sendall(said() + next(bodies) + b"\r\n\r\n")


def half_an_answer(bodies: Iterator[bytes], connection: socket.socket) -> None:
    for _ in bodies:
        head = b"HTTP/1.1 404 No\r\nContent-Length: 9999\r\nX-A: %s\r\n\r\n" % said()
        connection.sendall(head + said())


ANSWERS: dict[str, Handler] = {
    "a failure": answers(b"500 No"),
    "an unknown contact": answers(b"404 No", said()),
    "a refusal": answers(b"422 No", said()),
    "a page": answers(b"200 OK", b"<html>" + said()),
    "a failure in disguise": answers(b"200 OK", said(status="error")),
    "a redirect": answers(b"307 No", said()),
    "garbage": garbage,
}
CALLS: dict[str, Call] = {
    "a model": lambda client: client.identify_contact(contact()),
    "a mapping": lambda client: client.identify_contact(mapping(), headers=headers()),
    "info": lambda client: client.identify_contact_with_http_info(mapping()),
    "several": lambda client: client.identify_contacts([mapping(), contact()]),
    "an event": lambda client: client.track_custom_event(event()),
    "anything": lambda client: client.send(event(), headers=headers()),
    "any endpoint": lambda client: client.request(
        "PUT",
        "/contact/{id}",
        path_params={"id": address()},
        params={"q": address()},
        json=mapping(),
        headers=headers(),
    ),
}


def options(url: str) -> dict[str, Any]:
    retry = RetryPolicy(max_retries=1, base=0)
    return {**account(), "base_url": url, "retry": retry}


async def failure(call: Call, url: str = "http://127.0.0.1:9", **more: Any) -> BaseException:
    async with AsyncTrackingClient(**options(url), **more) as client:
        try:
            await call(client)
        except Exception as error:  # noqa: BLE001 - whatever it is
            return error
    raise AssertionError("the call succeeded")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.asyncio
async def test_a_call_that_fails(serve_raw: Serve, answer: str, call: str) -> None:
    url = f"http://127.0.0.1:{serve_raw(ANSWERS[answer])}"
    error = await failure(CALLS[call], url)
    assert isinstance(error, SendXError)
    assert_masked(error)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.asyncio
async def test_a_call_over_a_borrowed_client(serve_raw: Serve, answer: str) -> None:
    url = f"http://127.0.0.1:{serve_raw(ANSWERS[answer])}"
    async with httpx.AsyncClient() as http_client:
        error = await failure(CALLS["a mapping"], url, http_client=http_client)
    assert isinstance(error, SendXError)
    assert_masked(error)


@pytest.mark.parametrize("answer", ["a failure", "a refusal"])
@pytest.mark.asyncio
async def test_a_call_that_shares_a_request(serve_raw: Serve, answer: str) -> None:
    url = f"http://127.0.0.1:{serve_raw(ANSWERS[answer])}"

    async def call(client: AsyncTrackingClient) -> None:
        calls = [client.identify_contact(mapping(email=f"{n}@b.co")) for n in range(3)]
        *_, last = await asyncio.gather(
            *calls, client.identify_contact(mapping()), return_exceptions=True
        )
        assert isinstance(last, SendXError)
        raise last

    assert_masked(await failure(call, url, batch_identify=True))


@pytest.mark.parametrize("call", CALLS)
def test_a_synchronous_call(serve_raw: Serve, call: str) -> None:
    # The same for the event loop's thread: the frames of both are in the traceback.
    url = f"http://127.0.0.1:{serve_raw(ANSWERS['an unknown contact'])}"
    with TrackingClient(**options(url)) as client, pytest.raises(SendXError) as caught:
        CALLS[call](cast("AsyncTrackingClient", client)).close()
    assert_masked(caught.value)


@pytest.mark.asyncio
async def test_no_connection() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert_masked(await failure(CALLS["a mapping"], url))
        async with httpx.AsyncClient() as http_client:
            assert_masked(await failure(CALLS["a mapping"], url, http_client=http_client))


@pytest.mark.slow
@pytest.mark.parametrize("collect", COLLECTORS)
@pytest.mark.asyncio
async def test_every_tool(serve_raw: Serve, collect: Callable[[BaseException], str]) -> None:
    url = f"http://127.0.0.1:{serve_raw(ANSWERS['an unknown contact'])}"
    for call in ("a model", "anything"):
        error = await failure(CALLS[call], url)
        assert shown_in(collect(error)) == []
        assert "SendX answered with HTTP 404" in str(error)


@pytest.mark.parametrize("handler", [half_an_answer, lambda bodies, _: list(bodies)])
@pytest.mark.parametrize("is_borrowed", [False, True])
@pytest.mark.asyncio
async def test_a_call_that_is_cancelled(
    serve_raw: Serve, handler: Handler, is_borrowed: bool
) -> None:
    has_come = threading.Event()

    def handle(bodies: Iterator[bytes], connection: socket.socket) -> None:
        def noted() -> Iterator[bytes]:
            for body in bodies:
                yield body
                has_come.set()

        handler(noted(), connection)

    url = f"http://127.0.0.1:{serve_raw(handle)}"
    async with httpx.AsyncClient() as http_client:
        borrowed: dict[str, Any] = {"http_client": http_client} if is_borrowed else {}
        async with AsyncTrackingClient(**options(url), **borrowed) as client:
            call = asyncio.create_task(client.send(mapping(), headers=headers()))
            call.add_done_callback(lambda _: None)
            await asyncio.to_thread(has_come.wait)
            for _ in range(20):  # what the server has sent is here, and is read in the meantime
                await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call
    assert_masked(caught.value)


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.asyncio
async def test_the_stack_while_a_call_is_made(batches: bool) -> None:
    # Reporters can attach the stack to any log record, and debuggers show it.
    seen: set[str] = set()
    shown: list[str] = []

    def look(_: Event) -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if Path(frame.f_code.co_filename).is_relative_to(LIBRARY):
                seen.add(frame.f_code.co_name)
                shown.extend(shown_in(repr(frame.f_locals)))
            frame = frame.f_back

    fake = FakeSendX(api_key=account()["api_key"])
    fake.respond(500)
    with fake.serving():
        async with AsyncTrackingClient(
            **options(fake.url), on_event=look, batch_identify=batches
        ) as client:
            await client.identify_contact(mapping(), headers=headers())
            await client.send(mapping())
            await client.request("GET", "/contact/{id}", path_params={"id": address()})
    assert {"identify_contact", "_call", "run", "_until_final", "_tell", "request"} <= seen
    assert shown == []
