"""Other people's test tools and tracers: what they mean to keep from the network stays there.

Nothing in the library knows one of them. Each is used as its own documentation says.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pook
import pytest
import pytest_socket
import respx
import vcr
from mocket import Mocketizer
from mocket.mockhttp import Entry
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from vcr.errors import CannotOverwriteExistingCassetteException

from sendx_async import (
    ApiResponse,
    AsyncTrackingClient,
    ConnectError,
    IdentifyResponse,
    RateLimitError,
    RetryPolicy,
    TrackingClient,
)
from sendx_async.testing import FakeSendX

pytest_plugins = ["pytester"]

JANE = {"email": "jane@example.com"}
MOCKED = {"status": "200", "message": "not SendX"}
NOWHERE = "https://sendx.test/api/v1/rest"
REFUSED = "http://127.0.0.1:9"
ONCE = RetryPolicy(max_retries=0)

Call = Callable[[FakeSendX | str], ApiResponse[IdentifyResponse]]


def address_of(server: FakeSendX | str) -> dict[str, Any]:
    if isinstance(server, str):
        return {"api_key": "team-key", "base_url": server, "retry": ONCE}
    return {"api_key": server.api_key, "base_url": server.url, "retry": ONCE}


def call_without_await(server: FakeSendX | str) -> ApiResponse[IdentifyResponse]:
    with TrackingClient(**address_of(server)) as client:
        return client.identify_contact_with_http_info(JANE)


async def call_with_await(server: FakeSendX | str) -> ApiResponse[IdentifyResponse]:
    async with AsyncTrackingClient(**address_of(server)) as client:
        return await client.identify_contact_with_http_info(JANE)


def call_in_trio(server: FakeSendX | str) -> ApiResponse[IdentifyResponse]:
    return anyio.run(call_with_await, server, backend="trio")


def call_in_asyncio(server: FakeSendX | str) -> ApiResponse[IdentifyResponse]:
    return anyio.run(call_with_await, server)


in_each_way = pytest.mark.parametrize("call", [call_without_await, call_in_asyncio, call_in_trio])
on_sockets_of_asyncio = pytest.mark.parametrize("call", [call_without_await, call_in_asyncio])


class TestRespx:
    @in_each_way
    @pytest.mark.parametrize("using", ["httpcore", "httpx"])
    def test_a_route_answers(self, using: str, call: Call) -> None:
        with respx.mock(using=using) as router:
            router.post(NOWHERE + "/contact/identify").respond(json=MOCKED)
            assert call(NOWHERE).data.message == "not SendX"

    @in_each_way
    @pytest.mark.parametrize("using", ["httpcore", "httpx"])
    def test_what_may_pass_is_sent_as_ever(
        self, using: str, call: Call, fake_sendx: FakeSendX
    ) -> None:
        with respx.mock(using=using) as router:
            route = router.route().pass_through()
            assert call(fake_sendx).data.message == "OK"
        assert route.called
        assert len(fake_sendx.requests) == 1


class TestVcr:
    @in_each_way
    def test_what_isnt_recorded_reaches_no_server(
        self, call: Call, fake_sendx: FakeSendX, tmp_path: Path
    ) -> None:
        with (
            vcr.use_cassette(tmp_path / "none.yaml", record_mode="none"),
            pytest.raises(CannotOverwriteExistingCassetteException),
        ):
            call(fake_sendx)
        assert fake_sendx.requests == []

    @in_each_way
    def test_an_answer_is_replayed_as_it_was_recorded(
        self, call: Call, fake_sendx: FakeSendX, tmp_path: Path
    ) -> None:
        cassette = tmp_path / "once.yaml"
        with vcr.use_cassette(cassette):
            recorded = call(fake_sendx)
        with vcr.use_cassette(cassette, record_mode="none") as used:
            replayed = call(fake_sendx)
        assert used.all_played
        assert len(fake_sendx.requests) == 1
        assert replayed.data == recorded.data
        assert replayed.raw_data == recorded.raw_data
        assert replayed.headers == recorded.headers

    @in_each_way
    def test_a_refusal_is_replayed_with_its_headers(
        self, call: Call, fake_sendx: FakeSendX, tmp_path: Path
    ) -> None:
        fake_sendx.respond(429, retry_after=7)
        for mode in ("once", "none"):
            with (
                vcr.use_cassette(tmp_path / "refused.yaml", record_mode=mode),
                pytest.raises(RateLimitError) as caught,
            ):
                call(fake_sendx)
            assert caught.value.retry_after == 7
        assert len(fake_sendx.requests) == 1

    @in_each_way
    def test_the_key_stays_out_of_a_cassette_that_filters_it(
        self, call: Call, fake_sendx: FakeSendX, tmp_path: Path
    ) -> None:
        cassette = tmp_path / "filtered.yaml"
        for mode in ("once", "none"):
            with vcr.use_cassette(cassette, record_mode=mode, filter_headers=["X-Team-ApiKey"]):
                assert call(fake_sendx).data.message == "OK"
        assert len(fake_sendx.requests) == 1
        assert fake_sendx.api_key not in cassette.read_text()


@in_each_way
def test_pook_answers(call: Call) -> None:
    with pook.use():
        pook.post(NOWHERE + "/contact/identify").reply(200).json(MOCKED)
        assert call(NOWHERE).data.message == "not SendX"


@on_sockets_of_asyncio
@pytest.mark.parametrize("strict", [True, False])
def test_mocket_answers_in_the_place_of_a_socket(strict: bool, call: Call) -> None:
    with Mocketizer(strict_mode=strict):
        # Not https, for which mocket leaves a socket open.
        Entry.single_register("POST", REFUSED + "/contact/identify", body=json.dumps(MOCKED))
        assert call(REFUSED).data.message == "not SendX"


@pytest.fixture
def only_host_of_others() -> Iterator[None]:
    pytest_socket.socket_allow_hosts(["10.0.0.1"])
    yield
    pytest_socket._remove_restrictions()


@on_sockets_of_asyncio
@pytest.mark.filterwarnings("ignore:A test tried")
def test_pytest_socket_allows_hosts(
    call: Call, fake_sendx: FakeSendX, only_host_of_others: None
) -> None:
    with pytest.raises(pytest_socket.SocketConnectBlockedError):
        call(fake_sendx)
    assert fake_sendx.requests == []


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:A test tried")
async def test_pytest_socket_disables_sockets(fake_sendx: FakeSendX) -> None:
    pytest_socket.disable_socket()
    try:
        with pytest.raises(ConnectError, match="SocketBlockedError"):
            await call_with_await(fake_sendx)
    finally:
        pytest_socket.enable_socket()
    assert fake_sendx.requests == []


@pytest.mark.slow
class TestPlugins:
    """Plugins of pytest, in a test suite of their own."""

    def passes(self, pytester: pytest.Pytester, code: str, *, count: int) -> None:
        pytester.makepyfile(code)
        pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
        options = ("-n0", "-p", "no:randomly", "-p", "no:hypothesispytest")
        pytester.runpytest_inprocess(*options).assert_outcomes(passed=count)

    def test_the_fixture_of_pytest_httpx_answers(self, pytester: pytest.Pytester) -> None:
        code = f"""
            from sendx_async import TrackingClient

            def test_it(httpx_mock):
                httpx_mock.add_response(json={MOCKED!r})
                with TrackingClient("key", base_url={NOWHERE!r}) as client:
                    assert client.identify_contact({JANE!r}).message == "not SendX"
                [request] = httpx_mock.get_requests()
                assert request.headers["x-team-apikey"] == "key"
        """
        self.passes(pytester, code, count=1)

    def test_pytest_recording_keeps_requests_from_the_network(
        self, pytester: pytest.Pytester, fake_sendx: FakeSendX
    ) -> None:
        code = f"""
            import pytest
            from sendx_async import TrackingClient
            from vcr.errors import CannotOverwriteExistingCassetteException

            def call():
                with TrackingClient("key", base_url={fake_sendx.url!r}) as client:
                    client.identify_contact({JANE!r})

            @pytest.mark.vcr
            def test_what_isnt_in_the_cassette():
                with pytest.raises(CannotOverwriteExistingCassetteException):
                    call()

            @pytest.mark.block_network(allowed_hosts=["10.0.0.1"])
            def test_a_host_of_others():
                with pytest.raises(RuntimeError, match="Network is disabled"):
                    call()
        """
        self.passes(pytester, code, count=2)
        assert fake_sendx.requests == []


class TestOpenTelemetry:
    """Its instrumentation of httpx wraps the transport's method for good, and sends nothing."""

    @pytest.fixture
    def spans(self) -> Iterator[InMemorySpanExporter]:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        HTTPXClientInstrumentor().instrument(tracer_provider=provider)
        yield exporter
        HTTPXClientInstrumentor().uninstrument()

    @pytest.mark.anyio
    async def test_each_request_has_its_span_and_the_connections_are_the_librarys(
        self, spans: InMemorySpanExporter, fake_sendx: FakeSendX, anyio_backend: str
    ) -> None:
        fake_sendx.respond(503, retry_after=0)
        options = {**address_of(fake_sendx), "retry": RetryPolicy(base=0, cap=0)}
        async with AsyncTrackingClient(**options) as client:
            await client.identify_contact(JANE)
            await client.track_contact(JANE)
        statuses = [
            (span.attributes or {})["http.status_code"] for span in spans.get_finished_spans()
        ]
        assert statuses == [503, 200, 200]
        assert all("traceparent" in request.headers for request in fake_sendx.requests)
        assert fake_sendx.connections.accepted == 1

    def test_without_await(self, spans: InMemorySpanExporter, fake_sendx: FakeSendX) -> None:
        call_without_await(fake_sendx)
        assert len(spans.get_finished_spans()) == 1


@pytest.mark.slow
def test_sentry_sees_each_request_and_the_connections_are_the_librarys(
    fake_sendx: FakeSendX,
) -> None:
    # In a process of its own, since its integrations can't be taken out again.
    code = f"""
import sentry_sdk
from sentry_sdk.transport import Transport
from sendx_async import TrackingClient

class Kept(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            for span in (item.payload.json or {{}}).get("spans", []):
                print(span["op"], span["data"]["http.response.status_code"])

sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", traces_sample_rate=1.0, transport=Kept)
with sentry_sdk.start_transaction(name="sign-up"), \\
        TrackingClient({fake_sendx.api_key!r}, base_url={fake_sendx.url!r}) as client:
    client.identify_contact({JANE!r})
    client.track_contact({JANE!r})
sentry_sdk.flush()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    assert done.stdout.splitlines() == ["http.client 200"] * 2
    assert fake_sendx.connections.accepted == 1


def test_a_mock_transport_of_httpx_answers() -> None:
    async def call() -> str | None:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=MOCKED))
        async with (
            httpx.AsyncClient(transport=transport) as http_client,
            AsyncTrackingClient("team-key", http_client=http_client) as client,
        ):
            return (await client.identify_contact(JANE)).message

    assert anyio.run(call) == "not SendX"
