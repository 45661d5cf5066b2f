"""The settings of a client, of its copies and of single calls: what they do, what is refused."""

import inspect
import math
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import sendx_async
from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    ConfigurationError,
    DeadlineExceeded,
    IdentifyRequest,
    Rate,
    RetryPolicy,
    SendXError,
    Timeout,
    TrackingClient,
)
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}

MakeClient = Callable[..., AsyncTrackingClient]

CALLS: dict[str, Any] = {
    "identify_contact": JANE,
    "identify_contacts": [JANE],
    "track_contact": JANE,
    "track_custom_event": {"identifier": "jane@example.com", "name": "signup"},
    "track_revenue_event": {"identifier": "jane@example.com", "amount": 1},
    "send": sendx_async.TrackRequest("jane@example.com"),
}
METHODS = [*CALLS, *(f"{name}_with_http_info" for name in list(CALLS)[:-1])]


async def identify(client: AsyncTrackingClient, fake: FakeSendX) -> Any:
    await client.identify_contact(JANE)
    return fake.requests[-1]


def test_the_defaults_are_those_of_the_design() -> None:
    parameters = inspect.signature(AsyncTrackingClient).parameters
    assert {name: each.default for name, each in parameters.items()} == {
        "api_key": None,
        "base_url": None,
        "api_key_prefix": None,
        "timeout": 10.0,
        "deadline": 30.0,
        "retry": RetryPolicy(max_retries=3, base=0.5, cap=8),
        "max_connections": 20,
        "rate": None,
        "headers": None,
        "http_client": None,
        "on_event": None,
        "batch_identify": False,
        "clock": None,
    }
    assert [name for name, each in parameters.items() if each.kind is not each.KEYWORD_ONLY] == [
        "api_key"
    ]


@pytest.mark.parametrize("prefix", ["Bearer", "Token v2"])
@pytest.mark.asyncio
async def test_a_prefix_stands_before_the_key(
    fake: FakeSendX, make_client: MakeClient, prefix: str
) -> None:
    fake.respond(200, times=None)
    async with make_client(api_key_prefix=prefix) as client:
        request = await identify(client, fake)
        assert request.headers["x-team-apikey"] == f"{prefix} {fake.api_key}"
        request = await identify(client.with_options(api_key="other"), fake)
        assert request.headers["x-team-apikey"] == f"{prefix} other"
        request = await identify(client.with_options(api_key="o", api_key_prefix=None), fake)
        assert request.headers["x-team-apikey"] == "o"


@pytest.mark.asyncio
async def test_a_key_may_use_all_of_latin_1(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200)
    async with AsyncTrackingClient("schlüssel-ÿ", base_url=fake_sendx.url) as client:
        request = await identify(client, fake_sendx)
    assert request.headers["x-team-apikey"] == "schlüssel-ÿ"


@pytest.mark.parametrize(
    "base_url, path",
    [
        ("https://sendx.test", "/contact/identify"),
        ("https://sendx.test/", "/contact/identify"),
        ("https://sendx.test:8443//", "/contact/identify"),
        ("https://sendx.test/a/b", "/a/b/contact/identify"),
        ("https://sendx.test/a/b///", "/a/b/contact/identify"),
        ("http://127.0.0.1:1/a", "/a/contact/identify"),
        ("http://localhost/a", "/a/contact/identify"),
        ("http://[::1]:8025/a/", "/a/contact/identify"),
    ],
)
@pytest.mark.asyncio
async def test_base_urls_are_normalised(
    fake: FakeSendX, make_client: MakeClient, base_url: str, path: str
) -> None:
    fake.respond(200, times=None)
    async with make_client(base_url=base_url) as client:
        request = await identify(client, fake)
        assert request.path == path
        assert request.headers["host"] == base_url.split("/")[2]
        moved = client.with_options(base_url="https://elsewhere.test/c/")
        assert (await identify(moved, fake)).path == "/c/contact/identify"
        assert (await identify(client, fake)).path == path


@pytest.mark.parametrize(
    "base_url",
    [
        "http://sendx.test", "http://10.0.0.1", "http://127.0.0.1.evil.test", "ftp://127.0.0.1",
        "sendx.test", "/api", "", "https://", "https://sendx.test?x=1", "https://sendx.test#x",
        "https://user:pw@sendx.test", "https://sendx.test:port", "https://sendx.test:99999",
        "https://send x.test", "https://sendx.test\n", "https://[::1", 7, b"https://sendx.test",
    ],
)  # fmt: skip
def test_bad_base_urls_are_refused(base_url: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        AsyncTrackingClient("team-key", base_url=base_url)
    with pytest.raises(ConfigurationError, match="base_url"):
        AsyncTrackingClient("team-key").with_options(base_url=base_url)


@pytest.mark.asyncio
async def test_the_environment_stands_in(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url + "/")
    async with AsyncTrackingClient() as client:
        assert (await identify(client, fake_sendx)).status == 200
    assert "https://given.test" in repr(AsyncTrackingClient("k", base_url="https://given.test"))
    monkeypatch.setenv("SENDX_BASE_URL", "http://sendx.test")
    with pytest.raises(ConfigurationError, match="SENDX_BASE_URL"):
        AsyncTrackingClient()
    monkeypatch.setenv("SENDX_BASE_URL", "")
    assert "https://api.sendx.io/api/v1/rest" in repr(AsyncTrackingClient())
    monkeypatch.setenv("SENDX_API_KEY", "")
    with pytest.raises(ConfigurationError, match="SENDX_API_KEY is empty"):
        AsyncTrackingClient()
    monkeypatch.delenv("SENDX_API_KEY")
    with pytest.raises(ConfigurationError, match="SENDX_API_KEY"):
        AsyncTrackingClient()


@pytest.mark.asyncio
async def test_headers_are_added_and_replaced_by_name(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client(headers={"X-App": "shop", "user-agent": "shop/1"}) as client:
        copy = client.with_options(headers={"x-app": "crm", "X-New": "1"})
        await client.identify_contact(JANE)
        await copy.identify_contact(JANE)
        await copy.identify_contact(JANE, headers={"X-APP": "call"})
        await client.identify_contact(JANE)
    shown = [(each.headers["x-app"], each.headers.get("x-new")) for each in fake.requests]
    assert shown == [("shop", None), ("crm", "1"), ("call", "1"), ("shop", None)]
    assert {each.headers["user-agent"] for each in fake.requests} == {"shop/1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Team-ApiKey": "other"}, {"x-team-apikey": "other"}, {"Content-Length": "1"},
        {"HOST": "a"}, {"Accept": "text/html"}, {"Content-Type": "a/b"}, {"X-A\r\nX-B": "a"},
        {"X-A": "a\r\nX-B: b"}, {"X A": "a"}, {"": "a"}, {"X-A": 7}, {"X-A": ""}, {"X-A": "€"},
        {b"X-A": "a"}, [("X-A", "a")], "X-A: a",
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_bad_headers_are_refused(
    fake: FakeSendX, make_client: MakeClient, headers: Any
) -> None:
    with pytest.raises(ConfigurationError, match="headers"):
        make_client(headers=headers)
    async with make_client() as client:
        with pytest.raises(ConfigurationError, match="headers"):
            client.with_options(headers=headers)
        with pytest.raises(ConfigurationError, match="headers"):
            await client.identify_contact(JANE, headers=headers)
    assert fake.requests == []


@pytest.mark.parametrize(
    "option, wrong",
    [
        *(
            (name, value)
            for name in ("timeout", "deadline")
            for value in (0, -1, math.nan, "5", True)
        ),
        ("timeout", None),
        ("retry", 3),
        ("retry", None),
    ],
)
@pytest.mark.asyncio
async def test_bad_limits_are_refused_everywhere(
    fake: FakeSendX, make_client: MakeClient, option: str, wrong: Any
) -> None:
    changes: dict[str, Any] = {option: wrong}
    with pytest.raises(ConfigurationError, match=option):
        make_client(**changes)
    async with make_client() as client:
        with pytest.raises(ConfigurationError, match=option):
            client.with_options(**changes)
        with pytest.raises(ConfigurationError, match=option):
            await client.identify_contact(JANE, **changes)
    assert fake.requests == []


@pytest.mark.parametrize(
    "options",
    [{"max_connections": n} for n in (0, -1, 1.5, "2", True, None)]
    + [{"rate": rate} for rate in (5, (5, 1), "5/s")],
)
def test_other_bad_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        AsyncTrackingClient("team-key", **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.asyncio
async def test_every_call_takes_the_four_options_and_no_other(
    fake: FakeSendX, make_client: MakeClient, method: str
) -> None:
    request = CALLS[method.removesuffix("_with_http_info")]
    fake.respond(200)
    async with make_client() as client:
        call = getattr(client, method)
        with pytest.raises(TypeError, match="deadline, headers, retry, timeout") as caught:
            await call(request, time_out=3)
        assert "'time_out'" in str(caught.value)
        with pytest.raises(TypeError, match="'api_key'"):
            await call(request, api_key="other")
        assert fake.requests == []
        retry = RetryPolicy(max_retries=0)
        await call(request, timeout=Timeout(5), deadline=None, retry=retry, headers={"X-A": "1"})
    assert fake.requests[0].headers["x-a"] == "1"


def test_a_copy_names_what_it_can_change() -> None:
    client = AsyncTrackingClient("team-key")
    known = (
        "api_key, api_key_prefix, base_url, batch_identify, deadline, headers, on_event, retry, "
        "timeout"
    )
    for unknown in ("rate", "max_connections", "http_client", "tiemout"):
        with pytest.raises(TypeError, match=known) as caught:
            client.with_options(**{unknown: None})  # type: ignore[arg-type]
        assert repr(unknown) in str(caught.value)


@pytest.mark.asyncio
async def test_the_options_of_a_call_count_for_it_alone(fake_sendx: FakeSendX) -> None:
    options: dict[str, Any] = {"timeout": 20, "retry": RetryPolicy(base=0, cap=0)}
    async with AsyncTrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url, **options
    ) as client:
        fake_sendx.black_hole()
        with pytest.raises(AttemptTimeout) as attempt:
            await client.identify_contact(JANE, timeout=0.1, retry=RetryPolicy(max_retries=0))
        assert attempt.value.attempts == 1
        fake_sendx.black_hole()
        with pytest.raises(DeadlineExceeded) as call:
            await client.identify_contact(JANE, deadline=0.5)
        assert call.value.attempts == 1
        fake_sendx.latency = 0.3
        assert (await client.identify_contact(JANE)).status == "200"


@pytest.mark.asyncio
async def test_the_policy_of_a_call_replaces_that_of_the_client(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    fake.respond(500, times=None)
    async with make_client(retry=RetryPolicy(max_retries=1, base=0)) as client:
        for policy, requests in ((RetryPolicy(max_retries=0), 1), (RetryPolicy(2, base=0), 3)):
            with pytest.raises(SendXError) as caught:
                await client.identify_contact(JANE, retry=policy)
            assert caught.value.attempts == requests
        with pytest.raises(SendXError) as caught:
            await client.identify_contact(JANE)
        assert caught.value.attempts == 2
    assert len(fake.requests) == 1 + 3 + 2


@pytest.mark.asyncio
async def test_a_rate_spaces_requests(fake: FakeSendX, make_client: MakeClient) -> None:
    async with make_client(rate=Rate(20, burst=2)) as client:
        began = time.monotonic()
        for _ in range(6):
            await client.identify_contact(JANE)
        assert time.monotonic() - began >= 4 / 20
    assert len(fake.requests) == 6


@pytest.mark.parametrize("base_url", ["https://[v1.a]", "https://xn--/"])
def test_an_address_that_only_httpx_refuses_is_a_wrong_setting(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        AsyncTrackingClient("team-key", base_url=base_url)


@pytest.mark.asyncio
async def test_the_own_http_client_takes_no_cookies() -> None:
    async with AsyncTrackingClient("team-key") as client:
        http: Any = client._shared.http
        with pytest.raises(AttributeError, match="keeps no cookies"):
            http.cookies = httpx.Cookies({"a": "b"})
        assert not http.cookies


def test_closing_a_copy_that_was_never_used_leaves_the_client_open() -> None:
    with TrackingClient("team-key") as client:
        client.with_options(timeout=1).close()
        assert not client.is_closed
    assert client.is_closed


def test_a_subclass_keeps_its_own_attributes_in_a_copy() -> None:
    class Client(AsyncTrackingClient):
        team = ""

    client = Client("team-key")
    client.team = "marketing"
    assert client.with_options(timeout=1).team == "marketing"


def test_requests_are_not_subclassed() -> None:
    with pytest.raises(TypeError, match="extra"):
        type("Mine", (IdentifyRequest,), {})
