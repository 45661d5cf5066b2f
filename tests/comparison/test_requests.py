"""Fields, answers, the key, many contacts: what a call by hand and the official SDK do."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest
import sendx_python_sdk
import urllib3
from sendx_python_sdk.exceptions import ApiException

from sendx_async import IdentifyRequest
from sendx_async.testing import FakeSendX

from .callers import JANE, Official, by_hand, httpx_client, post

TYPO = {**JANE, "frist_name": "Jane"}
CONTACTS = [{"email": f"jane{number}@example.com"} for number in range(25)]


@pytest.mark.asyncio
async def test_httpx_has_a_foreign_error_for_an_unreadable_success(fake_sendx: FakeSendX) -> None:
    for misbehave in (fake_sendx.html, fake_sendx.empty):
        misbehave(200)
        with pytest.raises(json.JSONDecodeError):
            await by_hand(fake_sendx)
    assert [request.applied for request in fake_sendx.requests] == [True, True]
    fake_sendx.respond(200, body={"status": 200, "message": "OK"})
    assert (await by_hand(fake_sendx))["status"] == 200


def test_the_official_sdk_has_one_for_a_readable_success_too(
    fake_sendx: FakeSendX, official: Official
) -> None:
    fake_sendx.html(200)
    fake_sendx.empty(200)
    fake_sendx.respond(200, body={"status": 200, "message": "OK"})
    for _ in range(3):
        with pytest.raises(pydantic.ValidationError) as caught:
            official.identify()
        assert not isinstance(caught.value, ApiException)
    assert [request.applied for request in fake_sendx.requests] == [True, True, True]


def test_a_model_of_ours_refuses_a_typo() -> None:
    make: Any = IdentifyRequest
    with pytest.raises(TypeError, match="frist_name"):
        make("jane@example.com", frist_name="Jane")


@pytest.mark.asyncio
async def test_httpx_sends_a_typo(fake_sendx: FakeSendX) -> None:
    await by_hand(fake_sendx, TYPO)
    assert fake_sendx.requests[0].json == TYPO


def test_the_official_sdk_drops_a_typo(fake_sendx: FakeSendX, official: Official) -> None:
    assert official.identify(TYPO).status == "200"
    assert fake_sendx.requests[0].json == JANE


@pytest.mark.asyncio
async def test_httpx_shows_the_key_in_a_repr_and_in_no_log(
    fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with httpx_client(fake_sendx) as client:
        await post(client, fake_sendx, JANE)
        assert fake_sendx.api_key in repr(client.headers)
    assert "httpx" in {record.name for record in caplog.records}
    assert fake_sendx.api_key not in caplog.text


def test_the_official_sdk_prints_the_key_in_debug_mode_only(
    fake_sendx: FakeSendX,
    official: Official,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    official.identify()
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert fake_sendx.api_key not in caplog.text + capsys.readouterr().out
    loggers = official.configuration.logger.values()
    levels = [logger.level for logger in loggers]
    official.configuration.debug = True  # in every client of the process
    try:
        official.close()  # connections that are open go on as they were
        official.identify()
    finally:
        official.configuration.debug = False
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    assert f"X-Team-ApiKey: {fake_sendx.api_key}" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_httpx_takes_25_contacts_to_the_bulk_endpoint(fake_sendx: FakeSendX) -> None:
    async with httpx_client(fake_sendx) as client:
        response = await client.post(f"{fake_sendx.url}/contact/identify/bulk", json=CONTACTS)
    assert response.status_code == 200
    assert len(fake_sendx.contacts) == 25
    assert len(fake_sendx.requests) == 1


def test_the_official_sdk_has_no_way_to_the_bulk_endpoint(official: Official) -> None:
    modules = Path(sendx_python_sdk.__file__).parent.glob("api/*_api.py")
    text = "".join(module.read_text(encoding="utf-8") for module in modules)
    paths = set(re.findall(r"resource_path='([^']+)'", text))
    assert "/contact/identify" in paths
    assert not any("bulk" in path for path in paths)
    with pytest.raises(pydantic.ValidationError):
        official.identify_all([*CONTACTS])


@pytest.mark.asyncio
async def test_a_loop_over_httpx_ends_at_a_503(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200, times=2)
    fake_sendx.respond(503)

    async def loop() -> None:
        async with httpx_client(fake_sendx) as client:
            for contact in CONTACTS:
                await post(client, fake_sendx, contact)

    with pytest.raises(httpx.HTTPStatusError):
        await loop()
    assert len(fake_sendx.contacts) == 2


def test_a_loop_over_the_official_sdk_ends_at_a_503(
    fake_sendx: FakeSendX, official: Official
) -> None:
    fake_sendx.respond(200, times=2)
    fake_sendx.respond(503)
    with pytest.raises(ApiException):
        list(map(official.identify, CONTACTS))
    assert len(fake_sendx.contacts) == 2


@pytest.mark.asyncio
async def test_httpx_keeps_nothing_for_later(fake_sendx: FakeSendX) -> None:
    async with httpx_client(fake_sendx) as client:
        fake_sendx.stop()
        with pytest.raises(httpx.ConnectError):
            await post(client, fake_sendx, JANE)
        fake_sendx.start()
        await post(client, fake_sendx, CONTACTS[0])
    assert [request.json for request in fake_sendx.requests] == CONTACTS[:1]


def test_the_official_sdk_keeps_nothing_for_later(
    fake_sendx: FakeSendX, official: Official
) -> None:
    fake_sendx.stop()
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        official.identify()
    fake_sendx.start()
    official.identify(CONTACTS[0])
    assert [request.json for request in fake_sendx.requests] == CONTACTS[:1]
