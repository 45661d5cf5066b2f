"""An application's own client of httpx or httpx2, whatever protocol it speaks: what it says."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    AttemptTimeout,
    ConnectError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    TransportError,
)
from sendx_async.testing import FakeSendX

REVENUE = {"identifier": "jane@example.com", "amount": 1}
KEY = "team-key-5d1f"


def transport_of(library: Any, *answers: Any, tells: bool = True) -> Any:
    """Make a transport of a library that gives these answers, or raises them.

    It may tell by httpcore's trace what an HTTP/2 connection tells, without the package h2.
    """

    class Transport(library.AsyncBaseTransport):  # type: ignore[misc]  # it may be either's
        requests = 0

        async def handle_async_request(self, request: Any) -> Any:
            self.requests += 1
            answer = waiting.pop(0)
            trace: Any = request.extensions["trace"]
            if tells:
                post = SimpleNamespace(method=b"POST")
                await trace("connection.connect_tcp.started", {"host": "sendx.test"})
                await trace("http2.send_request_headers.started", {"request": post})
            if isinstance(answer, Exception):
                raise answer
            if tells:
                headers = [(b"retry-after", b"0"), (b"x-server", b"h2")]
                told = {"return_value": (answer.status_code, headers)}
                await trace("http2.receive_response_headers.complete", told)
            return answer

    waiting = list(answers)
    return Transport()


def client_of(library: Any, transport: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(
        KEY,
        base_url="https://sendx.test",
        http_client=library.AsyncClient(transport=transport),
        retry=RetryPolicy(max_retries=1, base=0, cap=0),
    )


@pytest.mark.asyncio
async def test_an_answer_over_http2_is_read(library: Any) -> None:
    transport = transport_of(library, library.Response(200, json={"status": "success"}))
    response = await client_of(library, transport).track_revenue_event(REVENUE)
    assert response.status == "success"


@pytest.mark.asyncio
async def test_a_redirect_over_http2_is_told(library: Any) -> None:
    location = {"location": "mailto:jane@example.com"}
    transport = transport_of(library, library.Response(302, headers=location))
    with pytest.raises(ApiError, match="302") as caught:
        await client_of(library, transport).track_revenue_event(REVENUE)
    # httpx fails on such a redirect, and the trace knows; httpx2 gives the response.
    assert caught.value.headers in ({"retry-after": "0", "x-server": "h2"}, location)


@pytest.mark.asyncio
async def test_an_event_is_not_repeated_after_a_protocol_error_on_this_side(library: Any) -> None:
    # h2 calls a server's bad frame a local error when it meets it while it is sending.
    error = library.LocalProtocolError("received data on a closed stream")
    transport = transport_of(library, error)
    with pytest.raises(ResponseLost) as caught:
        await client_of(library, transport).track_revenue_event(REVENUE)
    assert caught.value.maybe_delivered
    assert transport.requests == 1


@pytest.mark.parametrize(
    "name,text,said",
    [
        ("ProxyError", "407 user:password is wrong", "(ProxyError: HTTP 407)"),
        ("ProxyError", "no way through http://user:password@proxy", "(ProxyError)"),
        ("RemoteProtocolError", "illegal status line: b'password'", "doesn't speak HTTP/1.1"),
        ("RemoteProtocolError", "illegal header line: b'password'", "(RemoteProtocolError)"),
    ],
)
@pytest.mark.asyncio
async def test_of_what_the_other_side_says_nothing_is_quoted(
    library: Any, name: str, text: str, said: str
) -> None:
    error = getattr(library, name)(text)
    client = client_of(library, transport_of(library, error, error))
    with pytest.raises(TransportError) as caught:
        await client.track_revenue_event(REVENUE)
    assert said in str(caught.value)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    "name,expected,maybe_delivered",
    [
        ("ConnectError", ConnectError, False),
        ("UnsupportedProtocol", ConnectError, False),
        ("ProxyError", ConnectError, False),
        ("ConnectTimeout", AttemptTimeout, False),
        ("PoolTimeout", AttemptTimeout, False),
        ("ReadTimeout", AttemptTimeout, True),
        ("WriteTimeout", AttemptTimeout, True),
        ("ReadError", ResponseLost, True),
        ("WriteError", ResponseLost, True),
        ("CloseError", ResponseLost, True),
        ("RemoteProtocolError", ResponseLost, True),
        ("DecodingError", ResponseLost, True),
        ("TooManyRedirects", ResponseLost, True),
        ("InvalidURL", ResponseLost, True),
    ],
)
@pytest.mark.parametrize("is_subclass", [False, True])
@pytest.mark.asyncio
async def test_what_the_library_raises_means_the_same_in_either(
    library: Any,
    name: str,
    expected: type[TransportError],
    *,
    maybe_delivered: bool,
    is_subclass: bool,
) -> None:
    kind = getattr(library, name)
    if is_subclass:  # of an application's transport, with a name that means something else
        kind = type("Timeout", (kind,), {})
    transport = transport_of(library, *[kind("the reason")] * 2, tells=False)
    with pytest.raises(expected) as caught:
        await client_of(library, transport).track_revenue_event(REVENUE)
    assert caught.value.maybe_delivered is maybe_delivered
    assert transport.requests == (1 if maybe_delivered else 2)
    # These may quote the answer, which may quote the request, or a password.
    is_quoted = name in {"RemoteProtocolError", "InvalidURL", "ProxyError"}
    assert ("the reason" in str(caught.value)) is not is_quoted


@pytest.mark.asyncio
async def test_a_foreign_error_of_a_hook_is_the_applications_own(
    fake_sendx: FakeSendX, library: Any
) -> None:
    async def hook(request: Any) -> None:
        raise RuntimeError("of the application, in a loop")

    async with library.AsyncClient(event_hooks={"request": [hook]}) as http_client:
        client = AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=http_client
        )
        with pytest.raises(RuntimeError, match="of the application"):
            await client.identify_contact({"email": "jane@example.com"})


@pytest.mark.asyncio
async def test_a_hook_that_cant_reach_another_server_sends_no_event_again(
    library: Any, fake_sendx: FakeSendX
) -> None:
    async def audit(_: Any) -> None:
        async with library.AsyncClient() as other:
            await other.post("http://127.0.0.1:9")

    async with (
        library.AsyncClient(event_hooks={"response": [audit]}) as http_client,
        AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=http_client
        ) as client,
    ):
        with pytest.raises(ResponseLost, match="ConnectError") as caught:
            await client.track_revenue_event(REVENUE)
    assert caught.value.maybe_delivered
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("reads", ["aread", "aiter_bytes", "aclose"])
@pytest.mark.asyncio
async def test_a_hook_may_have_read_the_answer(
    fake_sendx: FakeSendX, library: Any, reads: str
) -> None:
    async def hook(response: Any) -> None:
        if reads == "aiter_bytes":
            [piece async for piece in response.aiter_bytes()]
        else:
            await getattr(response, reads)()

    async with library.AsyncClient(event_hooks={"response": [hook]}) as http_client:
        client = AsyncTrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, http_client=http_client
        )
        if reads == "aread":
            assert (await client.identify_contact({"email": "jane@example.com"})).status == "200"
        else:
            with pytest.raises(ResponseDecodeError):
                await client.identify_contact({"email": "jane@example.com"})
    assert len(fake_sendx.requests) == 1


@pytest.mark.asyncio
async def test_a_server_in_process_is_reached(fake: FakeSendX, library: Any) -> None:
    transport = library.ASGITransport(app=fake)
    async with library.AsyncClient(transport=transport) as http_client:
        client = AsyncTrackingClient(
            fake.api_key, base_url="https://sendx.test/api/v1/rest", http_client=http_client
        )
        async with client.send_many({"email": f"{n}@example.com"} for n in range(30)) as outcomes:
            assert [outcome.error async for outcome in outcomes] == [None] * 30
    assert len(fake.contacts) == 30


@pytest.mark.slow
def test_httpx2_is_imported_by_nobody_but_the_application() -> None:
    script = """
import asyncio, sys, httpx
from sendx_async import *
def answer(request):
    return httpx.Response(200, json={})
async def main():
    http_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    await AsyncTrackingClient("key", http_client=http_client).identify_contact({"email": "a@b.co"})
    try:
        AsyncTrackingClient("key", http_client=object())
    except ConfigurationError:
        pass
asyncio.run(main())
assert "httpx2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=100)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(httpx2, "alias_httpx"), reason="an older httpx2 can't do that")
def test_an_application_may_have_put_httpx2_in_the_place_of_httpx(fake_sendx: FakeSendX) -> None:
    script = """
import asyncio, sys, httpx2
httpx2.alias_httpx()
import httpx
from sendx_async import *
key, url = sys.argv[1:]
async def main():
    async with httpx.AsyncClient() as http_client:
        options = {"base_url": url, "retry": RetryPolicy(0)}
        own, borrowing = (AsyncTrackingClient(key, http_client=each, **options)
                          for each in (None, http_client))
        async with own:
            for client in own, borrowing:
                await client.identify_contact({"email": "jane@example.com"})
                try:
                    elsewhere = client.with_options(base_url="http://127.0.0.1:9")
                    await elsewhere.identify_contact({"email": "jane@example.com"})
                except ConnectError:
                    pass
                else:
                    sys.exit("reached")
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, fake_sendx.api_key, fake_sendx.url]
    subprocess.run(command, check=True, timeout=100)
    assert len(fake_sendx.requests) == 2
