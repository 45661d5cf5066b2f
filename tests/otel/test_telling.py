"""What a span and a duration say of a call, and what they never say."""

import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.semconv._incubating.attributes import url_attributes as development
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.trace import SpanKind, StatusCode

import sendx_async
from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    Event,
    IdentifyRequest,
    RetryPolicy,
    SendXError,
)
from sendx_async.otel import Telemetry
from sendx_async.testing import FakeSendX

from .recorded import Recorded, attributes

JANE = {"email": "jane@example.com"}
IDENTIFY = "/api/v1/rest/contact/identify"
BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

Call = Callable[[AsyncTrackingClient], Any]


def make(fake: FakeSendX, telemetry: Telemetry, **options: Any) -> AsyncTrackingClient:
    options = {"retry": RetryPolicy(base=0, cap=0), **options}
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, on_event=telemetry, **options)


def call(client: AsyncTrackingClient, function: Call | None = None) -> SendXError | None:
    """Make one call, and give its error."""

    async def main() -> SendXError | None:
        async with client:
            try:
                await (function or (lambda client: client.identify_contact(JANE)))(client)
            except SendXError as error:
                return error
        return None

    return anyio.run(main)


class TestSuccess:
    def test_the_span(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        events: list[Event] = []
        assert call(make(fake_sendx, recorded.telemetry(then=events.append))) is None
        span, url = recorded.span, httpx.URL(fake_sendx.url)
        assert span.name == f"POST {IDENTIFY}"
        assert span.kind is SpanKind.CLIENT
        assert span.status.status_code is StatusCode.UNSET
        assert span.parent is None
        assert span.events == ()
        assert attributes(span) == {
            http_attributes.HTTP_REQUEST_METHOD: "POST",
            http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
            server_attributes.SERVER_ADDRESS: url.host,
            server_attributes.SERVER_PORT: url.port,
            url_attributes.URL_FULL: f"{fake_sendx.url}/contact/identify",
            development.URL_TEMPLATE: IDENTIFY,
            "sendx.operation": "identify_contact",
            "sendx.call_id": events[0].call_id,
        }

    def test_any_endpoint_is_named_by_its_template(
        self, fake_sendx: FakeSendX, recorded: Recorded
    ) -> None:
        async def several(client: AsyncTrackingClient) -> None:
            for method in ("GET", "DELETE"):
                for name in ("jane@example.com", "joe@example.com"):
                    await client.identify_contact({"email": name})
                    await client.request(
                        method, "/contact/{identifier}", path_params={"identifier": name}
                    )

        assert call(make(fake_sendx, recorded.telemetry()), several) is None
        path = "/api/v1/rest/contact/{identifier}"
        names = [span.name for span in recorded.spans if "identify" not in span.name]
        assert names == [f"GET {path}"] * 2 + [f"DELETE {path}"] * 2
        for span in recorded.spans:
            assert "example.com" not in str(attributes(span))
        read = attributes(recorded.spans[1])
        assert read[http_attributes.HTTP_REQUEST_METHOD] == "GET"
        assert read[url_attributes.URL_FULL] == f"{fake_sendx.url}/contact/{{identifier}}"
        assert read[development.URL_TEMPLATE] == path
        assert read["sendx.operation"] == "request"
        measured = {
            (point.attributes or {})[http_attributes.HTTP_REQUEST_METHOD]: point.count
            for point in recorded.durations
        }
        assert measured == {"POST": 4, "GET": 2, "DELETE": 2}

    def test_the_duration(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        call(make(fake_sendx, recorded.telemetry()))
        (point,) = recorded.durations
        url, span = httpx.URL(fake_sendx.url), recorded.span
        assert point.count == 1
        assert tuple(point.explicit_bounds) == BOUNDARIES
        assert dict(point.attributes or {}) == {
            http_attributes.HTTP_REQUEST_METHOD: "POST",
            http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
            server_attributes.SERVER_ADDRESS: url.host,
            server_attributes.SERVER_PORT: url.port,
            development.URL_TEMPLATE: IDENTIFY,
        }
        assert span.start_time is not None
        assert span.end_time is not None
        assert point.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=2e-9)
        (exemplar,) = point.exemplars
        assert span.context is not None
        assert exemplar.span_id == span.context.span_id

    def test_who_tells(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        call(make(fake_sendx, recorded.telemetry()))
        metrics = recorded.metrics
        assert metrics is not None
        measured = metrics.resource_metrics[0].scope_metrics[0]
        for scope in (recorded.span.instrumentation_scope, measured.scope):
            assert scope is not None
            assert scope.name == "sendx_async"
            assert scope.version == sendx_async.__version__
            assert scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"
        (metric,) = measured.metrics
        assert (metric.name, metric.unit) == (http_metrics.HTTP_CLIENT_REQUEST_DURATION, "s")

    @pytest.mark.parametrize(
        "base_url, address, port",
        [
            ("https://SendX.test/api/v1/rest/", "sendx.test", 443),
            ("https://sendx.test:8443", "sendx.test", 8443),
            ("http://localhost", "localhost", 80),
            ("http://[::1]:8025/x", "::1", 8025),
        ],
    )
    def test_the_server(
        self, fake: FakeSendX, recorded: Recorded, base_url: str, address: str, port: int
    ) -> None:
        fake.respond(200, body={"status": "200"}, times=None)
        client = AsyncTrackingClient(
            fake.api_key,
            base_url=base_url,
            http_client=httpx.AsyncClient(transport=httpx.ASGITransport(app=fake)),
            on_event=recorded.telemetry(),
        )
        call(client)
        told = attributes(recorded.span)
        assert (told["server.address"], told["server.port"]) == (address, port)
        assert told["url.full"] == base_url.rstrip("/") + "/contact/identify"

    def test_each_operation_by_its_name(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        async def all_of_them(client: AsyncTrackingClient) -> None:
            event = {"identifier": JANE["email"]}
            await client.identify_contact(JANE)
            await client.identify_contacts([JANE])
            await client.track_contact(JANE | {"add_tags": ["vip"]})
            await client.track_custom_event(event | {"name": "seen"})
            await client.track_revenue_event(event | {"amount": 5})

        assert call(make(fake_sendx, recorded.telemetry()), all_of_them) is None
        told = [
            (span.name.rpartition("/rest")[2], attributes(span)["sendx.operation"])
            for span in recorded.spans
        ]
        assert told == [
            ("/contact/identify", "identify_contact"),
            ("/contact/identify/bulk", "identify_contacts"),
            ("/contact/track", "track_contact"),
            ("/events/custom", "track_custom_event"),
            ("/events/revenue", "track_revenue_event"),
        ]
        assert len(recorded.durations) == 5


class TestAttempts:
    def test_retries_are_events_of_one_span(
        self, fake_sendx: FakeSendX, recorded: Recorded
    ) -> None:
        fake_sendx.respond(500)
        fake_sendx.drop()
        assert call(make(fake_sendx, recorded.telemetry())) is None
        span = recorded.span
        assert attributes(span)[http_attributes.HTTP_REQUEST_RESEND_COUNT] == 2
        assert attributes(span)["http.response.status_code"] == 200
        assert "error.type" not in attributes(span)
        assert span.status.status_code is StatusCode.UNSET
        assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
            (
                "sendx.retry_scheduled",
                {"http.response.status_code": 500, "error.type": "500", "sendx.delay": 0},
            ),
            ("sendx.retry_scheduled", {"error.type": "ResponseLost", "sendx.delay": 0}),
        ]
        (point,) = recorded.durations
        assert point.count == 1

    def test_a_pause_is_one_too(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        fake_sendx.respond(429, retry_after=0.02)
        assert call(make(fake_sendx, recorded.telemetry())) is None
        assert attributes(recorded.span)[http_attributes.HTTP_REQUEST_RESEND_COUNT] == 1
        told = {"http.response.status_code": 429, "error.type": "429", "sendx.delay": 0.02}
        assert [(event.name, dict(event.attributes or {})) for event in recorded.span.events] == [
            ("sendx.paused", told), ("sendx.retry_scheduled", told)
        ]  # fmt: skip


FAILURES: dict[str, tuple[Callable[[FakeSendX], object], Any]] = {
    "422": (lambda fake: fake.respond(422), False),
    "404": (lambda fake: fake.respond(404), False),
    "401": (lambda fake: fake.respond(401), False),
    "503": (lambda fake: fake.respond(503), True),
    "ResponseDecodeError": (lambda fake: fake.html(200), True),
    "ReportedFailureError": (lambda fake: fake.respond(200, body={"error": "full"}), True),
    "ApiError": (lambda fake: fake.redirect("https://elsewhere.test/"), False),
    "ResponseLost": (lambda fake: fake.drop(), True),
    "ConnectError": (lambda fake: fake.stop(), False),
}


class TestFailure:
    @pytest.mark.parametrize("kind", FAILURES)
    def test_its_kind_and_what_it_means(
        self, fake_sendx: FakeSendX, recorded: Recorded, kind: str
    ) -> None:
        misbehave, maybe_delivered = FAILURES[kind]
        misbehave(fake_sendx)
        error = call(make(fake_sendx, recorded.telemetry(), retry=RetryPolicy(0)))
        assert error is not None
        span = recorded.span
        told = attributes(span)
        assert told[error_attributes.ERROR_TYPE] == kind
        assert told["sendx.maybe_delivered"] is maybe_delivered is error.maybe_delivered
        assert told["sendx.call_id"] == error.call_id
        assert told.get("http.response.status_code") == getattr(error, "status_code", None)
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.events == ()
        (point,) = recorded.durations
        measured = dict(point.attributes or {})
        assert measured["error.type"] == kind
        assert measured.get("http.response.status_code") == told.get("http.response.status_code")
        assert not [name for name in measured if name.startswith("sendx.")]

    def test_a_deadline(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        fake_sendx.respond(429, retry_after=3600)
        fake_sendx.respond(429, retry_after=3600)
        telemetry = recorded.telemetry()

        async def twice(client: AsyncTrackingClient) -> None:
            with pytest.raises(SendXError):
                await client.identify_contact(JANE)
            await client.identify_contact(JANE)  # in the pause, so it makes no request at all

        call(make(fake_sendx, telemetry), twice)
        first, second = map(attributes, recorded.spans)
        assert first["error.type"] == "429"
        assert second["error.type"] == "DeadlineExceeded"
        assert second["sendx.maybe_delivered"] is False
        assert not {"http.response.status_code", "http.request.resend_count"} & second.keys()


KEY = "key-5f3c9a7e1b2d"
CONTACT = IdentifyRequest(
    "distinctive.person@example.com",
    first_name="Wilhelmina-Q",
    last_name="Quuxenberg",
    company="Zyx-Works",
    custom_fields={"Role": "field-77c1"},
    tags=["tag-41f0"],
    lists=["list-9a"],
)
PERSONAL = (
    KEY, "distinctive", "example.com", "Wilhelmina-Q", "Quuxenberg", "Zyx-Works", "Role",
    "field-77c1", "tag-41f0", "list-9a", "event-5d", "data-3b", "source-8e", "4711.5", "header-2c",
)  # fmt: skip


@pytest.fixture
def echoing() -> Iterator[FakeSendX]:
    """A server whose errors quote what they were sent."""
    fake = FakeSendX(api_key=KEY)
    with fake.serving():
        yield fake


def test_telemetry_holds_nothing_personal_and_no_key(
    echoing: FakeSendX, recorded: Recorded
) -> None:
    words = " ".join(PERSONAL)
    misbehaviours: list[Callable[[], object]] = [
        lambda: None,
        lambda: echoing.respond(422, message=words, headers={"X-Echo": words}),
        lambda: echoing.respond(500, message=words, times=2),
        lambda: echoing.respond(429, message=words, retry_after=0),
        lambda: echoing.respond(302, message=words, headers={"Location": f"https://x.test/?{KEY}"}),
        lambda: echoing.respond(200, body=words),
        echoing.drop,
        echoing.black_hole,
    ]
    event = {"identifier": CONTACT.email}

    async def everything(client: AsyncTrackingClient) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: client.identify_contact(CONTACT),
            lambda: client.identify_contacts([CONTACT]),
            lambda: client.track_contact({"email": CONTACT.email, "add_tags": CONTACT.tags}),
            lambda: client.track_custom_event(
                event | {"name": "event-5d", "data": {"x": "data-3b"}}
            ),
            lambda: client.track_revenue_event(event | {"amount": 4711.5, "source": "source-8e"}),
        ]
        for misbehave in misbehaviours:
            for each in calls:
                echoing.recover()
                misbehave()
                with contextlib.suppress(SendXError):
                    await each()
        async with client.with_options(timeout=30).send_many([CONTACT] * 3) as outcomes:
            async for outcome in outcomes:
                assert outcome.error is None

    with recorded.tracer().start_as_current_span("handler"):
        client = AsyncTrackingClient(
            KEY,
            base_url=echoing.url,
            headers={"X-Own": "header-2c"},
            retry=RetryPolicy(1, base=0, cap=0),
            timeout=0.2,
            on_event=recorded.telemetry(),
        )
        call(client, everything)
    assert len(recorded.spans) >= 40
    dump = recorded.dump()
    assert [word for word in PERSONAL if word in dump] == []


class _Broken(SpanProcessor):
    """A part of an application's tracing that fails."""

    def __init__(self, method: str) -> None:
        setattr(self, method, self._fail)

    def _fail(self, *_: object) -> None:
        raise LookupError("of the processor")


class TestListeners:
    def test_another_one_is_told_the_same(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        fake_sendx.respond(500)
        own: list[Event] = []
        other: list[Event] = []

        async def both(client: AsyncTrackingClient) -> None:
            await client.identify_contact(JANE)
            await client.with_options(on_event=own.append).identify_contact(JANE)

        call(make(fake_sendx, recorded.telemetry(then=other.append)), both)
        assert [event.kind for event in other] == [
            "call_started", "attempt_finished", "retry_scheduled", "attempt_finished",
            "call_finished",
        ]  # fmt: skip
        assert len({event.call_id for event in other}) == 1
        assert [event.kind for event in own] == [
            "call_started", "attempt_finished", "call_finished"
        ]  # fmt: skip
        assert len(recorded.spans) == 1

    def test_measuring_that_fails_ends_the_span_all_the_same(
        self, fake_sendx: FakeSendX, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        telemetry = recorded.telemetry()

        def fail(*_: object) -> None:
            raise LookupError("of the meter")

        monkeypatch.setattr(telemetry._duration, "record", fail)
        assert call(make(fake_sendx, telemetry)) is None
        assert attributes(recorded.span)["http.response.status_code"] == 200

    def test_another_one_that_raises_disturbs_nothing(
        self, fake_sendx: FakeSendX, recorded: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        def raising(event: Event) -> None:
            raise LookupError("of the listener")

        assert call(make(fake_sendx, recorded.telemetry(then=raising))) is None
        assert attributes(recorded.span)["http.response.status_code"] == 200
        assert caplog.text.count("LookupError: of the listener") == 3

    @pytest.mark.parametrize("method", ["on_start", "on_end"])
    def test_tracing_that_fails_disturbs_nothing(
        self,
        fake_sendx: FakeSendX,
        recorded: Recorded,
        caplog: pytest.LogCaptureFixture,
        method: str,
    ) -> None:
        recorded.spans_with.add_span_processor(_Broken(method))
        kinds: list[str] = []
        telemetry = recorded.telemetry(then=lambda event: kinds.append(event.kind))
        assert call(make(fake_sendx, telemetry)) is None
        assert kinds == ["call_started", "attempt_finished", "call_finished"]
        complaints = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [record.name for record in complaints] == ["sendx_async"]
        (point,) = recorded.durations
        assert point.count == 1

    def test_a_stream_tells_of_its_own_pauses_without_a_span(
        self, fake_sendx: FakeSendX, recorded: Recorded
    ) -> None:
        fake_sendx.respond(429, retry_after=0.02)
        events: list[Event] = []

        async def stream(client: AsyncTrackingClient) -> None:
            async with client.send_many([JANE]) as outcomes:
                async for outcome in outcomes:
                    assert outcome.error is None

        assert call(make(fake_sendx, recorded.telemetry(then=events.append)), stream) is None
        of_the_stream = [event.kind for event in events if event.operation == "send_many"]
        assert of_the_stream == ["paused", "resumed"]
        assert [attributes(span).get("error.type") for span in recorded.spans] == ["429", None]

    @pytest.mark.parametrize(
        "options, complaint",
        [
            ({"then": 7}, "then must be a plain function"),
            ({"tracer_provider": "jaeger"}, r"tracer_provider must be .* get_tracer.*got str"),
            ({"meter_provider": 7}, r"meter_provider must be .* get_meter.*got int"),
        ],
    )
    def test_what_is_no_listener_or_provider_is_refused(
        self, options: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=complaint):
            Telemetry(**options)


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


WITH_GLOBAL_PROVIDERS = """
import sys
from opentelemetry import metrics, trace
from sendx_async import TrackingClient
from sendx_async.otel import Telemetry

telemetry = Telemetry()
with TrackingClient(sys.argv[1], base_url=sys.argv[2], on_event=telemetry) as client:
    client.identify_contact({"email": "jane@example.com"})
    assert not telemetry._under_way
    assert not trace.get_current_span().get_span_context().is_valid

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    client.identify_contact({"email": "jane@example.com"})
(span,) = exporter.get_finished_spans()
assert span.name == "POST /api/v1/rest/contact/identify", span.name
assert '"count": 1,' in reader.get_metrics_data().to_json()
"""


@pytest.mark.slow
class TestSetUp:
    def test_an_application_may_set_up_its_sdk_later_or_never(self, fake_sendx: FakeSendX) -> None:
        done = run(WITH_GLOBAL_PROVIDERS, fake_sendx.api_key, fake_sendx.url)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""

    @pytest.mark.parametrize("module", ["opentelemetry", "opentelemetry.context"])
    def test_without_the_api_it_says_what_to_install(self, module: str) -> None:
        done = run(f"import sys; sys.modules[{module!r}] = None; import sendx_async.otel")
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert "needs opentelemetry-api: pip install 'sendx-async[otel]'" in last

    def test_what_else_is_missing_is_told_as_it_is(self) -> None:
        done = run(
            "import sys; sys.modules['sendx_async._core.settings'] = None; import sendx_async.otel"
        )
        assert "sendx-async[otel]" not in done.stderr
        assert "import of sendx_async._core.settings halted" in done.stderr

    def test_the_client_alone_loads_nothing_of_it(self) -> None:
        done = run("import sendx_async, sys; sendx_async.TrackingClient; print(*sys.modules)")
        assert not [name for name in done.stdout.split() if name.startswith("opentelemetry")]


def test_spans_that_end_are_what_is_recorded(recorded: Recorded) -> None:
    """A check of the recorder itself: it keeps the application's spans apart."""
    with recorded.tracer().start_as_current_span("handler") as span:
        assert isinstance(span, ReadableSpan)
    assert recorded.spans == []
    assert "handler" in recorded.dump()
