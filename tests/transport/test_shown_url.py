"""Who gets to see what fills a path: who answers does, who looks on doesn't."""

import functools
import logging
import unittest.mock
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pook
import pytest
import vcr
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sendx_async import AsyncTrackingClient
from sendx_async._transport.shown_url import is_answered_by_url
from sendx_async.testing import FakeSendX

JANE = "jane@example.com"
SHOWN = "/contact/%7Bidentifier%7D"


async def read(fake: FakeSendX, **options: Any) -> None:
    async with AsyncTrackingClient(fake.api_key, base_url=fake.url, **options) as client:
        await client.identify_contact({"email": JANE})
        answer = await client.request(
            "GET", "/contact/{identifier}", path_params={"identifier": JANE}, params={"a": JANE}
        )
    assert answer.data["email"] == JANE


@pytest.mark.asyncio
async def test_who_looks_on_sees_the_template(
    fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = httpx.AsyncClient.send

    async def watched(
        self: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        seen.append(str(request.url))
        return await original(self, request, **options)

    monkeypatch.setattr(httpx.AsyncClient, "send", watched)
    await read(fake_sendx)
    assert seen == [f"{fake_sendx.url}/contact/identify", f"{fake_sendx.url}{SHOWN}"]


def test_a_proxy_around_a_method_looks_on_and_a_mock_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Proxy:
        """What tracers put around a method: it isn't one, and leads to it."""

        def __init__(self, wrapped: object) -> None:
            self.__wrapped__ = wrapped

    assert not is_answered_by_url()
    original = httpx.AsyncHTTPTransport.handle_async_request
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", Proxy(Proxy(original)))
    assert not is_answered_by_url()
    for mock in (unittest.mock.AsyncMock(), Proxy(unittest.mock.AsyncMock()), read):
        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", mock)
        assert is_answered_by_url()


@pytest.mark.parametrize(
    "owner, name",
    [
        (httpx.AsyncClient, "_transport_for_url"),
        (httpx.AsyncClient, "_send_single_request"),
        (httpx.AsyncHTTPTransport, "handle_async_request"),
        (httpcore.AsyncConnectionPool, "handle_async_request"),
    ],
)
@pytest.mark.asyncio
async def test_who_answers_in_the_place_of_the_server_sees_the_real_url(
    fake_sendx: FakeSendX,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    owner: type,
    name: str,
) -> None:
    caplog.set_level(logging.INFO, "httpx")
    seen: list[httpx.URL] = []
    original = getattr(owner, name)

    @functools.wraps(original)
    def replaced(self: Any, given: Any) -> Any:
        url = getattr(given, "url", given)
        seen.append(url if isinstance(url, httpx.URL) else httpx.URL(str(url.target, "ascii")))
        return original(self, given)

    monkeypatch.setattr(owner, name, replaced)
    await read(fake_sendx)
    assert seen[-1].path == f"/api/v1/rest/contact/{JANE}"
    assert seen[-1].params["a"] == JANE
    assert JANE not in caplog.text
    assert "jane" not in caplog.text


@pytest.mark.asyncio
async def test_a_tracer_of_httpx_sees_the_template(fake_sendx: FakeSendX) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        await read(fake_sendx)
    finally:
        HTTPXClientInstrumentor().uninstrument()
    urls = [(span.attributes or {})["http.url"] for span in exporter.get_finished_spans()]
    assert urls == [f"{fake_sendx.url}/contact/identify", f"{fake_sendx.url}{SHOWN}"]
    assert [request.path for request in fake_sendx.requests][1].endswith(f"/contact/{JANE}")


@pytest.mark.asyncio
async def test_a_recorder_tells_requests_apart(fake_sendx: FakeSendX, tmp_path: Path) -> None:
    async with AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client:
        for name in (JANE, "joe@example.com"):
            await client.identify_contact({"email": name})
        for mode in ("once", "none"):
            with vcr.use_cassette(tmp_path / "read.yaml", record_mode=mode):
                for name in ("joe@example.com", JANE):
                    answer = await client.request(
                        "GET", "/contact/{identifier}", path_params={"identifier": name}
                    )
                    assert answer.data["email"] == name
    assert len(fake_sendx.requests) == 4


@pytest.mark.asyncio
async def test_a_mock_goes_by_the_real_url() -> None:
    with pook.use():
        pook.delete(f"https://sendx.test/contact/{JANE.replace('@', '%40')}").reply(204)
        async with AsyncTrackingClient("key", base_url="https://sendx.test") as client:
            answer = await client.request(
                "DELETE", "/contact/{identifier}", path_params={"identifier": JANE}
            )
    assert (answer.status_code, answer.data) == (204, None)


@pytest.mark.asyncio
async def test_the_log_of_an_own_client_shows_its_other_requests_as_they_are(
    fake_sendx: FakeSendX, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "httpx")
    async with httpx.AsyncClient() as http_client:
        await read(fake_sendx, http_client=http_client)
        await http_client.get(f"{fake_sendx.url}/contact/mine")
    logging.getLogger("httpx").info("nothing to fill in")
    told = [record.getMessage().partition(" HTTP/")[0] for record in caplog.records]
    assert told == [
        f'HTTP Request: POST {fake_sendx.url}/contact/identify "HTTP/1.1 200 OK"',
        f'HTTP Request: GET {fake_sendx.url}{SHOWN} "HTTP/1.1 200 OK"',
        f'HTTP Request: GET {fake_sendx.url}/contact/mine "HTTP/1.1 401 Unauthorized"',
        "nothing to fill in",
    ]
