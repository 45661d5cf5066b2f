"""Processor time of a call that OpenTelemetry is told of, compared with one that nobody is."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import attrs
from _contacts import model
from _contenders import KEY, Measure, measure_async, repeat, report_by_concurrency
from _measure import Finding, ratios, rounds
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

from sendx_async import AsyncTrackingClient, Event
from sendx_async.otel import Telemetry

CALLS = 600
# Calls at once, and the most that one may cost with every call traced, compared with no listener.
GOALS = {1: 1.5, 16: 2.0}
GOAL_BY_HAND = 1.25  # likewise, compared with a span and a duration made around each call
_NAMES = {
    "listener": "a listener that does nothing",
    "no SDK": "Telemetry, no SDK set up",
    "not sampled": "Telemetry, no call sampled, all measured",
    "all": "Telemetry, every call sampled and measured",
    "by hand": "no listener, the same around the call by hand",
}

Around = Callable[[Callable[[], Awaitable[object]]], Awaitable[object]]


class _Nowhere(SpanExporter):
    """What spans are sent with is the application's choice, and not measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


@attrs.frozen
class _Sdk:
    spans: TracerProvider
    durations: MeterProvider

    def telemetry(self) -> Telemetry:
        return Telemetry(tracer_provider=self.spans, meter_provider=self.durations)

    def by_hand(self) -> Around:
        """What an application would write around each call, if there was no Telemetry."""
        tracer = self.spans.get_tracer("by hand")
        histogram = self.durations.get_meter("by hand").create_histogram("duration", "s")
        known: dict[str, str | int] = {
            "http.request.method": "POST",
            "server.address": "127.0.0.1",
            "server.port": 80,
        }

        async def around(call: Callable[[], Awaitable[object]]) -> None:
            began = time.monotonic()
            with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes=known) as s:
                await call()
                s.set_attribute("http.response.status_code", 200)
            told = known | {"http.response.status_code": 200}
            histogram.record(time.monotonic() - began, told)

        return around


@contextmanager
def _sdk(sampler: Sampler) -> Iterator[_Sdk]:
    spans = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    spans.add_span_processor(BatchSpanProcessor(_Nowhere()))
    durations = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    yield _Sdk(spans, durations)
    spans.shutdown()
    durations.shutdown()


async def _plainly(call: Callable[[], Awaitable[object]]) -> None:
    await call()


@contextmanager
def _calls(
    base_url: str,
    concurrency: int,
    on_event: Callable[[Event], object] | None,
    around: Around = _plainly,
) -> Iterator[Measure]:
    client = AsyncTrackingClient(
        KEY, base_url=base_url, max_connections=concurrency, on_event=on_event
    )

    async def call() -> None:
        await around(lambda: client.identify_contact(model(0)))

    with measure_async(
        lambda calls: repeat(call, calls, concurrency), client.aclose, warm_up=2 * concurrency
    ) as measure:
        yield measure


def _ignore(event: Event) -> None:
    del event


def measure(url: str, concurrency: int, count: int) -> list[Finding]:
    with ExitStack() as stack:
        always, never = (stack.enter_context(_sdk(each)) for each in (ALWAYS_ON, ALWAYS_OFF))

        def calls(
            on_event: Callable[[Event], object] | None, around: Around = _plainly
        ) -> Callable[[], float]:
            measured = stack.enter_context(_calls(url, concurrency, on_event, around))
            return lambda: measured(CALLS).cpu_microseconds

        cpu = rounds(
            {
                "none": calls(None),
                "listener": calls(_ignore),
                "no SDK": calls(Telemetry()),
                "not sampled": calls(never.telemetry()),
                "all": calls(always.telemetry()),
                "by hand": calls(None, always.by_hand()),
            },
            count=count,
        )
    at_once = f"{concurrency} at once"
    findings = [Finding(f"{at_once}: no listener", cpu["none"], "µs CPU")]
    for name, text in _NAMES.items():
        compared = ratios(cpu[name], cpu["none"])
        goal = ("<=", GOALS[concurrency]) if name == "all" else None
        findings += [
            Finding(f"{at_once}: {text}", cpu[name], "µs CPU"),
            Finding(f"{at_once}: the same / no listener", compared, "x", goal),
        ]
    by_hand = ratios(cpu["all"], cpu["by hand"])
    return [
        *findings,
        Finding(f"{at_once}: Telemetry / by hand", by_hand, "x", ("<=", GOAL_BY_HAND)),
    ]


if __name__ == "__main__":
    report_by_concurrency("Processor time per call with OpenTelemetry", __doc__, GOALS, measure)
