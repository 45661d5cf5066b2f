"""The key and the contact stay out of what a call leaves behind: errors, logs, events."""

import asyncio
import copy
import gc
import logging
import pickle
import traceback
import types
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ClientClosedError,
    Event,
    IdentifyRequest,
    InvalidRequestError,
    RetryPolicy,
    SendXError,
)
from sendx_async.testing import FakeSendX

KEY = "key-5f3c9a7e1b2d"
LOCAL_PART = "distinctive.person"
PERSONAL = (
    LOCAL_PART,
    "Wilhelmina-Q",
    "Quuxenberg",
    "Zyx-Works",
    "field-77c1",
    "tag-41f0",
    "renamed",
)
CONTACT = IdentifyRequest(
    f"{LOCAL_PART}@example.com",
    first_name="Wilhelmina-Q",
    last_name="Quuxenberg",
    company="Zyx-Works",
    custom_fields={"Role": "field-77c1"},
    tags=["tag-41f0"],
    new_email="renamed@example.com",
    extra={"interests": "field-77c1"},
)

Scenario = Callable[[FakeSendX, AsyncTrackingClient], Coroutine[Any, Any, object]]


async def _refused(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(422)
    return await client.identify_contact(CONTACT)


async def _bad_key(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(401)
    return await client.identify_contacts([CONTACT, CONTACT])


async def _slow_down(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(429, retry_after=3600)
    return await client.identify_contact_with_http_info(CONTACT)


async def _failing(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.html(502, times=None)
    return await client.send(CONTACT)


async def _unreadable(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.html(200)
    return await client.identify_contact(CONTACT)


async def _lost(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.drop(times=None)
    return await client.identify_contact(CONTACT)


async def _unreachable(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.stop()
    return await client.identify_contact(CONTACT)


async def _silent(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.black_hole(times=None)
    return await client.identify_contact(CONTACT, timeout=0.1)


async def _too_late(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(500)
    fake.black_hole(times=None)
    track = client.with_options(deadline=0.2)
    return await track.track_contact({"email": CONTACT.email, "add_tags": CONTACT.tags})


async def _closed(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    await client.aclose()
    return await client.identify_contact(CONTACT)


async def _any_endpoint(client: AsyncTrackingClient, **options: Any) -> object:
    return await client.request(
        "PUT",
        "/contact/{identifier}",
        path_params={"identifier": CONTACT.email},
        params={"search": CONTACT.first_name},
        json={"company": CONTACT.company, "tags": list(CONTACT.tags or ())},
        **options,
    )


async def _endpoint_missing(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(404)
    return await _any_endpoint(client)


async def _endpoint_failing(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.respond(429, retry_after=0)
    fake.respond(500, times=None)
    return await _any_endpoint(client)


async def _endpoint_unreadable(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.html(200)
    return await _any_endpoint(client)


async def _endpoint_elsewhere(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.redirect("https://elsewhere.example/login")
    return await _any_endpoint(client)


async def _endpoint_lost(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.drop(times=None)
    return await _any_endpoint(client)


async def _endpoint_silent(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.black_hole(times=None)
    return await _any_endpoint(client, timeout=0.1)


async def _endpoint_unreachable(fake: FakeSendX, client: AsyncTrackingClient) -> object:
    fake.stop()
    return await _any_endpoint(client)


FAILURES: list[Scenario] = [
    _refused, _bad_key, _slow_down, _failing, _unreadable, _lost, _unreachable, _silent, _too_late,
    _closed, _endpoint_missing, _endpoint_failing, _endpoint_unreadable, _endpoint_elsewhere,
    _endpoint_lost, _endpoint_silent, _endpoint_unreachable,
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[FakeSendX]:
    fake = FakeSendX(api_key=KEY)
    with fake.serving():
        yield fake


def said_by(error: BaseException) -> Iterator[str]:
    """Everything that an error shows, to whichever tool looks at it."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
    yield "".join(traceback.format_exception(error))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps(error, protocol).decode("latin-1")
    duplicate = copy.deepcopy(error)
    assert (str(duplicate), type(duplicate)) == (str(error), type(error))
    yield repr(vars(duplicate))


def locals_in(error: BaseException) -> Iterator[str]:
    """What tools print that show local variables, in all frames but those of this file."""
    summary: traceback.TracebackException | None = traceback.TracebackException.from_exception(
        error, capture_locals=True
    )
    while summary is not None:
        for frame in summary.stack:
            if frame.filename != __file__:
                yield f"{frame.name}: {frame.locals}"
        summary = summary.__cause__ or summary.__context__


def reachable_from(error: BaseException) -> Iterator[object]:
    """Everything that hangs on an error, the tracebacks and the program's code left out."""
    not_data = (
        types.TracebackType, types.FrameType, types.ModuleType, types.FunctionType,
        types.BuiltinFunctionType, types.CodeType, type,
    )  # fmt: skip
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, not_data):
            continue
        seen.add(id(found))
        yield found
        waiting.extend(gc.get_referents(found))
        if isinstance(found, BaseException):
            # Some errors keep what failed outside of the garbage collector's sight.
            waiting.extend(getattr(found, name, None) for name in ("object", "doc", "request"))


def assert_tells_nothing(texts: Iterator[str], *, secrets: tuple[str, ...]) -> None:
    for text in texts:
        shown = [secret for secret in secrets if secret in text]
        assert not shown, f"{shown} in {text}"


async def failure(scenario: Scenario, fake: FakeSendX, **options: Any) -> SendXError:
    options = {"retry": RetryPolicy(max_retries=1, base=0), **options}
    async with AsyncTrackingClient(KEY, base_url=fake.url, **options) as client:
        try:
            await scenario(fake, client)
        except SendXError as error:
            return error
        finally:
            fake.recover()
    raise AssertionError("the call succeeded")


@pytest.mark.parametrize("scenario", FAILURES)
@pytest.mark.asyncio
async def test_no_error_shows_the_key_or_the_contact(server: FakeSendX, scenario: Scenario) -> None:
    error = await failure(scenario, server)
    assert_tells_nothing(said_by(error), secrets=(KEY, *PERSONAL))
    assert (error.__cause__, error.__context__) == (None, None)
    texts = (repr(found) for found in reachable_from(error) if isinstance(found, (str, bytes)))
    assert_tells_nothing(texts, secrets=(KEY, *PERSONAL))
    for found in reachable_from(error):
        assert not isinstance(found, (httpx.Request, httpx.Response, AsyncTrackingClient))


@pytest.mark.parametrize("scenario", FAILURES)
@pytest.mark.asyncio
async def test_no_local_variable_of_the_library_shows_the_key_or_the_contact(
    server: FakeSendX, scenario: Scenario
) -> None:
    error = await failure(scenario, server)
    # What the caller passed as a plain mapping stays the plain mapping that it was.
    is_plain = scenario is _too_late
    assert_tells_nothing(locals_in(error), secrets=(KEY,) if is_plain else (KEY, *PERSONAL))


@pytest.mark.parametrize("scenario", FAILURES)
@pytest.mark.asyncio
async def test_no_error_of_a_borrowed_client_shows_them(
    server: FakeSendX, library: Any, scenario: Scenario
) -> None:
    async with library.AsyncClient() as http_client:
        error = await failure(scenario, server, http_client=http_client)
    assert_tells_nothing(said_by(error), secrets=(KEY, *PERSONAL))
    for found in reachable_from(error):
        assert KEY not in repr(found) if isinstance(found, (str, bytes)) else True
        assert not isinstance(found, (httpx.Request, httpx.Response))
        assert not isinstance(found, (library.Request, library.Response))


@pytest.mark.asyncio
async def test_a_cancelled_call_shows_no_key_in_its_local_variables(server: FakeSendX) -> None:
    server.black_hole()
    async with AsyncTrackingClient(KEY, base_url=server.url) as client:
        call = asyncio.create_task(client.identify_contact(CONTACT))
        await server.until(lambda: server.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert_tells_nothing(said_by(caught.value), secrets=(KEY, *PERSONAL))
    assert_tells_nothing(locals_in(caught.value), secrets=(KEY,))


@pytest.mark.asyncio
async def test_no_log_record_or_event_shows_them(
    server: FakeSendX, library: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    events: list[Event] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for scenario in FAILURES:
            if scenario not in {_unreachable, _endpoint_unreachable, _closed}:
                await failure(scenario, server, on_event=events.append)
                async with library.AsyncClient() as http_client:
                    await failure(scenario, server, on_event=events.append, http_client=http_client)
        client = AsyncTrackingClient(KEY, base_url=server.url, on_event=events.append)
        await client.identify_contact(CONTACT)
        renamed = {"identifier": CONTACT.new_email}
        answer = await client.request("GET", "/contact/{identifier}", path_params=renamed)
        assert str(CONTACT.new_email) in answer.raw_data.decode()
        assert_tells_nothing(iter([repr(answer)]), secrets=(KEY, *PERSONAL))
        del client
        gc.collect()
    loop.set_debug(False)
    records = [record for record in caplog.records if not record.name.startswith("uvicorn")]
    names = {record.name.split(".")[0] for record in records}
    assert names >= {"sendx_async", "httpx", library.AsyncClient.__module__, "asyncio"}
    for name in {"httpx", library.AsyncClient.__module__}:
        shown = [record.getMessage() for record in records if record.name == name]
        assert any("/contact/%7Bidentifier%7D" in line for line in shown)
    secrets = (KEY, *PERSONAL)
    assert_tells_nothing((f"{r.getMessage()} {vars(r)}" for r in records), secrets=secrets)
    assert {event.kind for event in events} >= {"call_started", "paused", "call_finished"}
    assert_tells_nothing(map(repr, events), secrets=secrets)
    assert any(each.category is ResourceWarning for each in warned)
    assert_tells_nothing((str(each.message) for each in warned), secrets=secrets)


@pytest.mark.parametrize(
    "problem",
    [
        {"email": f"{LOCAL_PART} @example.com"},
        {"email": f"{LOCAL_PART}@{LOCAL_PART}@example.com"},
        {"email": f"{LOCAL_PART}\n"},
        {"email": LOCAL_PART * 20 + "@example.com"},
        {"email": "a@b.co", "first_name": ["Wilhelmina-Q"]},
        {"email": "a@b.co", "first_name": "Wilhelmina-Q\ud800"},
        {"email": "a@b.co", "tags": "tag-41f0"},
        {"email": "a@b.co", "tags": ["ok", b"tag-41f0"]},
        {"email": "a@b.co", "custom_fields": {"Role": ["field-77c1"]}},
        {"email": "a@b.co", "custom_fields": {f"{LOCAL_PART}@example.com": float("nan")}},
        {"email": f"mailto:{LOCAL_PART}@example.com"},
        {"email": f"{LOCAL_PART}@example,com"},
        {"email": f"'{LOCAL_PART}@example.com'"},
        {"email": "a@b.co", "new_email": "renamed"},
        {"email": "a@b.co", "extra": {"x": {"y": {"field-77c1"}}}},
        {"email": "a@b.co", f"{LOCAL_PART}@example.com": 1},
        {"email": "a@b.co", "extra": {"email": f"{LOCAL_PART}@example.com"}},
    ],
)
@pytest.mark.asyncio
async def test_what_is_wrong_with_a_request_is_said_without_its_values(
    server: FakeSendX, problem: dict[str, Any]
) -> None:
    async with AsyncTrackingClient(KEY, base_url=server.url) as client:
        with pytest.raises(InvalidRequestError) as single:
            await client.identify_contact(problem)
        with pytest.raises(InvalidRequestError) as bulk:
            await client.identify_contacts([problem])
    for error in (single.value, bulk.value):
        assert_tells_nothing(said_by(error), secrets=(KEY, *PERSONAL))
        assert error.__context__ is None


@pytest.mark.parametrize(
    "problem",
    [
        {"path": f"/contact/{LOCAL_PART}@example.com"},
        {"path": f"/contact?search={LOCAL_PART}"},
        {"path_params": {"identifier": f"{LOCAL_PART}\n"}},
        {"path_params": {"identifier": f"../{LOCAL_PART}"}},
        {"path_params": {f"{LOCAL_PART}@example.com": "a"}},
        {"params": {"search": {LOCAL_PART}, "q": {"a": LOCAL_PART}}},
        {"params": {f"{LOCAL_PART}@example.com": object()}},
        {"json": {"email": LOCAL_PART, "tags": b"tag-41f0"}},
        {"json": {f"{LOCAL_PART}@example.com": {LOCAL_PART}}},
    ],
)
@pytest.mark.asyncio
async def test_what_is_wrong_with_any_request_is_said_without_its_values(
    server: FakeSendX, problem: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"path": "/contact/{identifier}", "path_params": {"identifier": "a"}}
    async with AsyncTrackingClient(KEY, base_url=server.url) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.request("POST", **given | problem)
    assert_tells_nothing(said_by(caught.value), secrets=(KEY, *PERSONAL))
    assert_tells_nothing(locals_in(caught.value), secrets=(KEY, *PERSONAL))
    assert caught.value.__context__ is None


@pytest.mark.asyncio
async def test_errors_of_a_closed_client_hold_no_client() -> None:
    client = AsyncTrackingClient(KEY)
    await client.aclose()
    with pytest.raises(ClientClosedError) as caught:
        await client.identify_contact(CONTACT)
    assert not any(isinstance(each, AsyncTrackingClient) for each in reachable_from(caught.value))
