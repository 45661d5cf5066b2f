"""Tests of a FastAPI application that uses SendX, here of fastapi_app.py: copy what you need.

    pip install 'sendx-async[fastapi,sandbox]' pytest httpx2
    pytest test_my_app.py

Run it beside fastapi_app.py and outside of this library's clone, whose own settings pytest would
take.

The fixtures `fake_sendx` and `async_sendx_client` come with the library. `fake_sendx` is a server
on this machine, a new one for each test: it shows what it was told, and misbehaves if it is asked
to. When a test fails, its report has a section with all that the server received and holds.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from fastapi_app import make_app

from sendx_async import AsyncTrackingClient
from sendx_async.fastapi import get_sendx
from sendx_async.testing import Contact, FakeSendX

JANE = {"email": "jane@example.com", "name": "Jane"}


# One way: the application as it runs in production, with settings that lead to the fake server.


@pytest.fixture
def settings(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client in this process talk to the fake server."""
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)


@pytest.fixture
def visitor(settings: None) -> Iterator[TestClient]:
    """Somebody who visits the application; `with` is what starts and stops it."""
    with TestClient(make_app()) as visitor:
        yield visitor


def test_a_signup_reaches_sendx(visitor: TestClient, fake_sendx: FakeSendX) -> None:
    assert visitor.post("/signup", json=JANE).status_code == 201
    jane = Contact(email="jane@example.com", first_name="Jane", tags={"new_user"})
    assert fake_sendx.contacts == {"jane@example.com": jane}


def test_a_wrong_address_is_the_visitors_mistake(
    visitor: TestClient, fake_sendx: FakeSendX
) -> None:
    answer = visitor.post("/signup", json={"email": "jane"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["sendx", "email"]
    assert fake_sendx.requests == []


def test_a_wrong_key_is_not(visitor: TestClient, fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(401)
    answer = visitor.post("/signup", json=JANE)
    assert answer.status_code == 502
    assert answer.json() == {"detail": "A service that is needed for this has failed."}


@pytest.mark.usefixtures("settings")
def test_an_order_outlives_an_outage(fake_sendx: FakeSendX, tmp_path: Path) -> None:
    with TestClient(make_app(outbox=tmp_path / "outbox.db")) as visitor:
        fake_sendx.stop()
        answer = visitor.post("/order", json={"email": "jane@example.com", "amount": 49})
        assert answer.status_code == 202

        fake_sendx.start()
        fake_sendx.wait_for(lambda: fake_sendx.events, timeout=100)  # no sleep: it waits for that
    assert fake_sendx.contact("jane@example.com").tags == {"customer"}
    assert [event.amount for event in fake_sendx.events] == [49]


# Another way: a client that repeats calls without waiting, in the place of the application's own.


@pytest.fixture
def anyio_backend() -> str:
    """Run what is marked with ``anyio`` on asyncio, as FastAPI is."""
    return "asyncio"


@pytest.fixture
async def hasty_visitor(
    async_sendx_client: AsyncTrackingClient,
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who visits the application while nothing waits."""
    app = make_app()
    transport = httpx.ASGITransport(app)  # it doesn't start the application, so there is no client
    async with (
        async_sendx_client as client,
        httpx.AsyncClient(transport=transport, base_url="http://app") as visitor,
    ):
        app.dependency_overrides[get_sendx] = lambda: client
        yield visitor


@pytest.mark.anyio
async def test_a_short_outage_is_not_noticed(
    hasty_visitor: httpx.AsyncClient, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(503, times=2)
    fake_sendx.respond(429, retry_after=5)
    answer = await hasty_visitor.post("/signup", json=JANE)
    assert answer.status_code == 201
    assert [request.status for request in fake_sendx.requests] == [503, 503, 429, 200]


@pytest.mark.anyio
async def test_a_long_outage_is_answered_with_503(
    hasty_visitor: httpx.AsyncClient, fake_sendx: FakeSendX
) -> None:
    fake_sendx.stop()
    answer = await hasty_visitor.post("/signup", json=JANE)
    assert answer.status_code == 503
    assert "jane@example.com" not in answer.text


@pytest.mark.anyio
async def test_the_visitor_is_told_when_to_come_back(
    hasty_visitor: httpx.AsyncClient, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(429, retry_after=3600)
    answer = await hasty_visitor.post("/signup", json=JANE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3600")
