"""The key in a client at rest, in a refused configuration, and in what a server echoes."""

import asyncio
import contextlib
import copy
import gc
import json
import logging
import pickle
import traceback
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    ConfigurationError,
    IdentifyRequest,
    IdentifyResponse,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    TrackingClient,
)

KEY = "key-5f3c9a7e1b2d"
ADDRESS = "distinctive.person@example.com"
LOCAL_PART = "distinctive.person"

Answer = Callable[[bytes], bytes]


def http(status: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@contextlib.asynccontextmanager
async def answering(answer: Answer) -> AsyncGenerator[str]:
    """Serve one raw answer, made of the raw request, on each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        writer.write(answer(head + await reader.readexactly(length)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def failure(answer: Answer, *, key: str = KEY, prefix: str | None = None) -> SendXError:
    async with (
        answering(answer) as url,
        AsyncTrackingClient(
            key, api_key_prefix=prefix, base_url=url, retry=RetryPolicy(max_retries=0)
        ) as client,
    ):
        with pytest.raises(SendXError) as caught:
            await client.identify_contact(IdentifyRequest(ADDRESS, first_name="Wilhelmina-Q"))
    return caught.value


def everything_in(error: SendXError) -> str:
    shown = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    shown.append(repr(pickle.dumps(error)))
    for found in gc.get_referents(error):
        shown.append(repr(found))
        shown.extend(repr(each) for each in gc.get_referents(found))
    return "\n".join(shown)


ECHOES: dict[str, Answer] = {
    "message": lambda request: http(
        b"422 No", json.dumps({"message": f"{KEY} in {request!r}"}).encode()
    ),
    "error": lambda request: http(b"500 No", json.dumps({"error": {"message": KEY}}).encode()),
    "body": lambda request: http(b"400 No", b"<pre>" + request + b"</pre>"),
    "headers": lambda request: http(b"403 No", b"", b"X-Debug: " + KEY.encode()),
    "success": lambda request: http(b"200 OK", request),
    "reason": lambda request: http(b"404 " + KEY.encode(), b""),
    "bad header": lambda request: b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n",
    "bad status": lambda request: KEY.encode() + b" HTTP/1.1 200 OK\r\n\r\n",
    "the request": lambda request: request,
    "location": lambda request: http(b"307 No", b"", b"Location: http://127.0.0.1/" + KEY.encode()),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.asyncio
async def test_a_server_that_echoes_the_key_does_not_bring_it_into_the_error(echo: str) -> None:
    error = await failure(ECHOES[echo])
    assert KEY not in everything_in(error)


@pytest.mark.parametrize(
    "key, prefix", [(KEY, "Bearer"), ("two words-" + KEY, None), (KEY + " a", "Team Key")]
)
@pytest.mark.asyncio
async def test_a_prefix_or_a_blank_in_the_key_does_not_help_it_out(
    key: str, prefix: str | None
) -> None:
    error = await failure(lambda request: http(b"400 No", request), key=key, prefix=prefix)
    assert KEY not in everything_in(error)
    error = await failure(lambda _: http(b"400 No", key.encode()), key=key, prefix=prefix)
    assert KEY not in everything_in(error)


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.asyncio
async def test_no_record_above_debug_shows_an_echoed_key(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await failure(ECHOES[echo])
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        f"({ADDRESS})",
        f"<{ADDRESS}>",
        "distinctive.person+tag@example.com",
        "distinctive'person@example.com",
        "distinctive(person@example.com",
        '"distinctive=person"@example.com',
        "distinctive.person@exämple.com",
        "distinctive.person%40example.com",
    ],
)
@pytest.mark.asyncio
async def test_the_text_of_an_error_masks_the_address_that_the_server_names(address: str) -> None:
    body = json.dumps({"message": f"The contact {address} is bad"}).encode()
    error = await failure(lambda _: http(b"422 No", body))
    assert isinstance(error, ApiError)
    assert error.body == body  # documented: the server's own words
    assert error.message is not None
    assert "istinctive" not in f"{error} {error.message}"
    assert "istinctive" not in "".join(traceback.format_exception(error))
    assert "istinctive" not in repr(error)


@pytest.mark.asyncio
async def test_an_unreadable_success_does_not_show_its_body() -> None:
    error = await failure(lambda request: http(b"200 OK", request))
    assert isinstance(error, ResponseDecodeError)
    assert LOCAL_PART not in f"{error} {error!r}" + "".join(traceback.format_exception(error))


def test_the_repr_of_a_response_shows_no_address() -> None:
    response = IdentifyResponse(
        status=ADDRESS, message=ADDRESS, data={"email": ADDRESS}, extra={"x": ADDRESS}
    )
    assert LOCAL_PART not in repr(response)


@pytest.mark.parametrize("prefix", [None, "Bearer"])
@pytest.mark.parametrize("kind", [AsyncTrackingClient, TrackingClient])
def test_nothing_that_a_client_consists_of_shows_the_key(
    kind: type[AsyncTrackingClient | TrackingClient], prefix: str | None
) -> None:
    client = kind(KEY, api_key_prefix=prefix)
    copied = client.with_options(api_key=KEY + "2", timeout=3)
    for each in (client, copied):
        assert KEY not in f"{each} {each!r} {vars(each)!r}"
        inner = each._client if isinstance(each, TrackingClient) else each
        assert KEY not in repr(vars(inner))
        assert KEY not in repr(vars(inner._shared)) + repr(vars(inner._shared.http))
        settings = inner._settings
        assert KEY not in f"{settings} {settings!r} {settings.secret} {settings.secret!r}"


@pytest.mark.parametrize("kind", [AsyncTrackingClient, TrackingClient])
def test_a_client_can_be_neither_pickled_nor_deeply_copied(
    kind: type[AsyncTrackingClient | TrackingClient],
) -> None:
    client = kind(KEY)
    inner = client._client if isinstance(client, TrackingClient) else client
    for holder in (client, inner, inner._settings, inner._settings.secret):
        with pytest.raises(TypeError) as copied:
            copy.deepcopy(holder)
        assert KEY not in str(copied.value)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError) as pickled:
                pickle.dumps(holder, protocol)
            assert KEY not in str(pickled.value)


REFUSED: dict[str, dict[str, Any]] = {
    "line break": {"api_key": KEY + "\n"},
    "not latin-1": {"api_key": KEY + "€"},
    "not a str": {"api_key": KEY.encode()},
    "in the prefix": {"api_key": KEY, "api_key_prefix": f"Bearer {KEY}\n"},
    "prefix not latin-1": {"api_key": KEY, "api_key_prefix": f"{KEY}€"},
    "beside another": {"api_key": KEY, "timeout": -1},
}
REFUSED_ELSEWHERE: dict[str, dict[str, Any]] = {
    "in a header": {"headers": {"X-Token": f"{KEY}\n"}},
    "in a header, not latin-1": {"headers": {"X-Token": f"{KEY}€"}},
    "as a header's name": {"headers": {f"{KEY}\n": "a"}},
    "in the URL": {"base_url": f"https://user:{KEY}@sendx.test"},
    "as the URL's port": {"base_url": f"https://user:{KEY}/b@sendx.test"},
    "in the query": {"base_url": f"https://sendx.test/?key={KEY}"},
}


def refusals(options: dict[str, Any]) -> list[ConfigurationError]:
    """The errors of a new client, and of a copy of another one, that have these options."""
    errors: list[ConfigurationError] = []
    given: dict[str, Any] = {"api_key": "another", **options}
    for make in (AsyncTrackingClient, AsyncTrackingClient("another").with_options):
        with pytest.raises(ConfigurationError) as caught:
            make(**given)
        errors.append(caught.value)
    return errors


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_ELSEWHERE])
def test_a_refused_configuration_shows_no_key(case: str) -> None:
    for error in refusals({**REFUSED, **REFUSED_ELSEWHERE}[case]):
        assert KEY not in everything_in(error)
        assert error.__context__ is None


@pytest.mark.parametrize("case", REFUSED)
def test_no_local_variable_shows_a_refused_key(case: str) -> None:
    for error in refusals(REFUSED[case]):
        summary = traceback.TracebackException.from_exception(error, capture_locals=True)
        for frame in summary.stack:
            if frame.filename != __file__:
                assert KEY not in repr(frame.locals), frame.name


def test_a_refused_key_from_the_environment_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDX_API_KEY", KEY + "\n")
    with pytest.raises(ConfigurationError, match="SENDX_API_KEY") as caught:
        AsyncTrackingClient()
    assert KEY not in everything_in(caught.value)


@pytest.mark.asyncio
async def test_a_client_keeps_nothing_of_a_call_that_made_it_pause() -> None:
    def slow_down(_: bytes) -> bytes:
        return http(b"429 No", b"", b"Retry-After: 3600")

    async with (
        answering(slow_down) as url,
        AsyncTrackingClient(KEY, base_url=url, deadline=5) as client,
    ):
        request = IdentifyRequest(ADDRESS)
        with pytest.raises(SendXError, match="429"):
            await client.identify_contact(request)
        alive = weakref.ref(request)
        del request
        gc.collect()
        assert alive() is None
        with pytest.raises(SendXError) as caught:
            await client.track_contact({"email": None})
    assert LOCAL_PART not in everything_in(caught.value)
