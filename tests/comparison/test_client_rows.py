"""What the official SDKs get wrong, row 9 and rows 11 to 16: requests, keys and clients."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    IdentifyRequest,
    InvalidRequestError,
    TrackRequest,
)
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}
KEY = "key-9f8e7d6c5b4a"


def client_of(fake: FakeSendX) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url)


@pytest.mark.asyncio
async def test_row_09_an_unknown_request_key_is_an_error(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx) as client:
        with pytest.raises(InvalidRequestError, match=r"'frist_name'.*'first_name'"):
            await client.identify_contact({**JANE, "frist_name": "Jane"})
        with pytest.raises(InvalidRequestError, match=r"'addTag'.*'addTags'"):
            await client.track_contact({**JANE, "addTag": ["a"]})
        assert fake_sendx.requests == []
        await client.identify_contact({**JANE, "extra": {"frist_name": "Jane"}})
    assert fake_sendx.requests[0].json == {**JANE, "frist_name": "Jane"}


@pytest.mark.asyncio
async def test_row_11_debug_logging_does_not_print_the_key(
    fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncTrackingClient(KEY, base_url=fake_sendx.url) as client:
        with pytest.raises(Exception, match="401"):
            await client.identify_contact(JANE)
        assert KEY not in repr(client)
    assert fake_sendx.requests[0].headers["x-team-apikey"] == KEY
    assert caplog.records
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "text",
    ["{}\n", "{}\r\nX-Injected: 1", "{}\n{}", "{}\0{}", " {}", "{} ", "\x7f{}", "\x85{}", "{}€"],
)
def test_row_11_a_key_that_could_inject_headers_is_refused(text: str) -> None:
    key = text.replace("{}", KEY)
    with pytest.raises(ConfigurationError, match="api_key has") as caught:
        AsyncTrackingClient(key)
    assert KEY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="api_key_prefix has"):
        AsyncTrackingClient(KEY, api_key_prefix=key)


@pytest.mark.parametrize("key", [None, "", "   "])
def test_row_12_a_missing_key_is_refused_at_construction(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"api_key|API key"):
        AsyncTrackingClient(key)


@pytest.mark.parametrize("key", [b"key", 7, {"X-Team-ApiKey": "key"}, ["key"]])
def test_row_12_a_key_of_another_type_is_refused_at_construction(key: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"must be a str, got {type(key).__name__}"):
        AsyncTrackingClient(key)


@pytest.mark.parametrize("slashes", ["", "/", "//"])
@pytest.mark.asyncio
async def test_row_13_a_trailing_slash_is_normalised(fake_sendx: FakeSendX, slashes: str) -> None:
    async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url + slashes) as client:
        await client.identify_contact(JANE)
    assert fake_sendx.requests[0].path == "/api/v1/rest/contact/identify"


@pytest.mark.asyncio
async def test_row_14_closing_the_client_closes_its_connections(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx) as client:
        await client.identify_contact(JANE)
        assert fake_sendx.connections.open == 1
    await fake_sendx.until(lambda: fake_sendx.connections.open == 0)


@pytest.mark.asyncio
async def test_row_14_clients_have_nothing_in_common(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx) as one:
        async with client_of(fake_sendx) as other:
            await one.identify_contact(JANE)
            await other.identify_contact(JANE)
            assert fake_sendx.connections.open == 2
        await fake_sendx.until(lambda: fake_sendx.connections.open == 1)
        assert other.is_closed
        assert not one.is_closed
        await one.identify_contact(JANE)
    assert fake_sendx.connections.accepted == 2


@pytest.mark.parametrize("value", ["vip", "", b"vip", {"vip": 1}, 7])
def test_row_15_a_bare_string_of_tags_is_an_error(value: Any) -> None:
    for name in ("tags", "lists"):
        with pytest.raises(InvalidRequestError, match=rf"{name} must be an iterable of str"):
            IdentifyRequest("jane@example.com", **{name: value})
    for name in ("add_tags", "remove_tags"):
        with pytest.raises(InvalidRequestError, match=rf"{name} must be an iterable of str"):
            TrackRequest("jane@example.com", **{name: value})


@pytest.mark.asyncio
async def test_row_15_it_is_an_error_in_a_mapping_too(fake_sendx: FakeSendX) -> None:
    async with client_of(fake_sendx) as client:
        with pytest.raises(InvalidRequestError, match="bare str"):
            await client.identify_contact({**JANE, "tags": "vip"})
    assert fake_sendx.requests == []


def _modules_after(statement: str) -> set[str]:
    code = f"import json, sys\nbefore = set(sys.modules)\n{statement}\n"
    code += "print(json.dumps([m.__name__ for n, m in sys.modules.items() if n not in before]))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=150
    )
    return set(json.loads(done.stdout))


@pytest.mark.slow
def test_row_16_importing_loads_few_modules() -> None:
    loaded = _modules_after("import sendx_async")
    assert sorted(name for name in loaded if name.startswith("sendx_async")) == [
        "sendx_async",
        "sendx_async._version",
    ]
    assert len(loaded) < 30  # the official SDK: 327
    assert not loaded & {"httpx", "httpcore", "anyio", "attrs", "cattrs", "sqlite3", "ssl"}


@pytest.mark.slow
def test_row_16_the_client_loads_nothing_that_it_does_not_need() -> None:
    # anyio loads its parts, and asyncio, when they are first used.
    needed = _modules_after(
        "import asyncio, anyio.abc, anyio.lowlevel, httpx, httpcore, attrs, cattrs.gen, cattrs"
    )
    own = _modules_after("from sendx_async import AsyncTrackingClient") - needed
    assert len(own) < 100
    assert not own & {
        "sqlite3", "uvicorn", "typer", "rich", "pytest", "trio", "sendx_async._clients.sync_client",
        "sendx_async._runtime.loop_thread", "sendx_async._cli", "sendx_async.testing",
    }  # fmt: skip
