"""What OpenTelemetry was told, kept in memory by its own SDK."""

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer

from sendx_async.otel import Telemetry


class Recorded:
    """The providers of one test, and what was recorded with them."""

    def __init__(self, *, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans_with = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.spans_with.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.durations_with = MeterProvider([self._reader], shutdown_on_exit=False)
        self._metrics: MetricsData | None = None

    def telemetry(self, **options: Any) -> Telemetry:
        return Telemetry(
            tracer_provider=self.spans_with, meter_provider=self.durations_with, **options
        )

    def tracer(self) -> Tracer:
        """What the application makes its own spans with."""
        return self.spans_with.get_tracer("the application")

    @property
    def everything(self) -> list[ReadableSpan]:
        """The spans that have ended, the application's own too, in that order."""
        return list(self._exporter.get_finished_spans())

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans of calls that have ended, in that order."""
        return [span for span in self.everything if scope_of(span) == "sendx_async"]

    @property
    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans
        return span

    @property
    def metrics(self) -> MetricsData | None:
        """All that was measured."""
        return self._reader.get_metrics_data()

    @property
    def durations(self) -> list[HistogramDataPoint]:
        """What was measured, for each set of attributes."""
        metrics = self.metrics
        assert metrics is not None
        (resource,) = metrics.resource_metrics
        (scope,) = resource.scope_metrics
        (metric,) = scope.metrics
        assert metric.name == "http.client.request.duration"
        points = list(metric.data.data_points)
        assert all(isinstance(point, HistogramDataPoint) for point in points)
        return points  # type: ignore[return-value] # just asserted

    def dump(self) -> str:
        """Everything that an exporter could send."""
        every = [span.to_json() for span in self.everything]
        metrics = self.metrics
        return "\n".join([*every, "" if metrics is None else metrics.to_json()])

    def close(self) -> None:
        self.spans_with.shutdown()
        self.durations_with.shutdown()


def scope_of(span: ReadableSpan) -> str:
    assert span.instrumentation_scope is not None
    return span.instrumentation_scope.name


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_id(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: Any) -> int:
    """The identifier of a span that may have ended or not."""
    assert isinstance(span, (Span, ReadableSpan))
    context = span.get_span_context()
    assert context is not None
    return context.span_id
