"""Which span is whose parent, what is current when, and what is left behind afterwards."""

import asyncio
import contextvars
import gc
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from sendx_async import AsyncTrackingClient, Event, RetryPolicy, SendXError, TrackingClient
from sendx_async.otel import Telemetry
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

from .recorded import Recorded, attributes, id_of, parent_id

JANE = {"email": "jane@example.com"}
NO_SPAN = trace.INVALID_SPAN


def make(fake: FakeSendX, telemetry: Telemetry, **options: Any) -> AsyncTrackingClient:
    options = {"retry": RetryPolicy(base=0, cap=0), **options}
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, on_event=telemetry, **options)


def run(backend: str, function: Callable[[], Awaitable[None]]) -> None:
    anyio.run(function, backend=backend)


def path_of(span: Any) -> str:
    name: str = span.name
    return name.rpartition("/rest")[2]


class TestCalls:
    def test_what_is_current_when_a_call_is_made_is_the_parent(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        parents: list[int] = []

        async def handler(client: AsyncTrackingClient) -> None:
            with recorded.tracer().start_as_current_span("handler") as span:
                parents.append(id_of(span))
                for _ in range(2):
                    await client.identify_contact(JANE)
                    assert trace.get_current_span() is span

        async def main() -> None:
            async with (
                make(fake_sendx, recorded.telemetry()) as client,
                anyio.create_task_group() as tasks,
            ):
                for _ in range(5):
                    tasks.start_soon(handler, client)
            assert trace.get_current_span() is NO_SPAN

        run(backend, main)
        assert sorted(filter(None, map(parent_id, recorded.spans))) == sorted(parents * 2)

    def test_also_in_threads_with_a_synchronous_client(
        self, fake_sendx: FakeSendX, recorded: Recorded
    ) -> None:
        together = threading.Barrier(4)
        handlers: dict[str, int] = {}

        def handler(number: int) -> None:
            with recorded.tracer().start_as_current_span("handler") as span:
                together.wait(20)
                answer = client.identify_contact_with_http_info(JANE)
                assert trace.get_current_span() is span
                handlers[answer.call_id] = id_of(span)
                client.identify_contact(JANE)

        telemetry = recorded.telemetry()
        with TrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, on_event=telemetry
        ) as client:
            client.identify_contact(JANE)
            with ThreadPoolExecutor(4) as threads:
                assert list(threads.map(handler, range(4))) == [None] * 4
        orphan, *others = recorded.spans
        assert parent_id(orphan) is None
        parents = {attributes(span)["sendx.call_id"]: parent_id(span) for span in others}
        assert parents.items() >= handlers.items()
        assert sorted(filter(None, parents.values())) == sorted(list(handlers.values()) * 2)
        assert telemetry._under_way == {}

    def test_the_span_of_a_call_is_current_while_the_call_runs(
        self, fake: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        """So an instrumentation of httpx makes a child of it for each attempt."""
        current: list[tuple[str, bool]] = []

        async def instrumented(request: httpx.Request) -> None:
            with recorded.tracer().start_as_current_span("attempt"):
                pass

        def note(event: Event) -> None:
            current.append((event.kind, trace.get_current_span() is NO_SPAN))

        fake.respond(500)
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=fake), event_hooks={"request": [instrumented]}
        )

        async def main() -> None:
            async with AsyncTrackingClient(
                fake.api_key,
                base_url="https://sendx.test",
                retry=RetryPolicy(base=0, cap=0),
                http_client=http,
                on_event=recorded.telemetry(then=note),
            ) as client:
                await client.identify_contact(JANE)

        run(backend, main)
        attempts = [each for each in recorded.everything if each.name == "attempt"]
        assert [parent_id(each) for each in attempts] == [id_of(recorded.span)] * 2
        assert current == [
            ("call_started", False), ("attempt_finished", False), ("retry_scheduled", False),
            ("attempt_finished", False), ("call_finished", False),
        ]  # fmt: skip

    def test_one_in_another_leaves_what_was_current(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        async def main() -> None:
            both = recorded.telemetry(then=recorded.telemetry())
            with recorded.tracer().start_as_current_span("handler") as span:
                async with make(fake_sendx, both) as client:
                    await client.identify_contact(JANE)
                    assert trace.get_current_span() is span

        run(backend, main)
        inner, outer = recorded.spans
        assert parent_id(inner) == id_of(outer)

    def test_a_failure_leaves_what_was_current(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        fake_sendx.respond(422)

        async def main() -> None:
            with recorded.tracer().start_as_current_span("handler") as span:
                async with make(fake_sendx, recorded.telemetry()) as client:
                    with pytest.raises(SendXError):
                        await client.identify_contact(JANE)
                assert trace.get_current_span() is span

        run(backend, main)

    def test_a_cancelled_call_has_ended(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        fake_sendx.black_hole()
        telemetry = recorded.telemetry()

        async def main() -> None:
            async with make(fake_sendx, telemetry) as client, anyio.create_task_group() as tasks:
                with anyio.CancelScope() as scope:

                    async def cancel() -> None:
                        await fake_sendx.until(lambda: fake_sendx.requests)
                        scope.cancel()

                    tasks.start_soon(cancel)
                    await client.identify_contact(JANE)
                assert scope.cancelled_caught
                assert trace.get_current_span() is NO_SPAN

        run(backend, main)
        told = attributes(recorded.span)
        name = {"asyncio": "CancelledError", "trio": "Cancelled"}[backend]
        assert told["error.type"] == name
        assert told["sendx.maybe_delivered"] is True
        assert telemetry._under_way == {}

    def test_clients_and_threads_share_one(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        telemetry = recorded.telemetry()

        async def several(client: AsyncTrackingClient) -> None:
            async with client, anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.identify_contact, JANE)

        def loop(number: int) -> None:
            backend = "asyncio" if number % 2 else "trio"
            anyio.run(several, make(fake_sendx, telemetry), backend=backend)

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(loop, range(4))) == [None] * 4
        assert len(recorded.spans) == 80
        assert len({attributes(span)["sendx.call_id"] for span in recorded.spans}) == 80
        (point,) = recorded.durations
        assert point.count == 80
        assert telemetry._under_way == {}

    def test_what_is_not_sampled_is_still_measured(self, fake_sendx: FakeSendX) -> None:
        recorded = Recorded(sampler=ALWAYS_OFF)
        fake_sendx.respond(500)
        sampled: list[bool] = []

        def note(event: Event) -> None:
            sampled.append(trace.get_current_span().get_span_context().trace_flags.sampled)

        async def main() -> None:
            async with make(fake_sendx, recorded.telemetry(then=note)) as client:
                await client.identify_contact(JANE)

        anyio.run(main)
        assert recorded.spans == []
        (point,) = recorded.durations
        assert point.count == 1
        assert set(sampled) == {False}
        recorded.close()


class TestStreams:
    def test_the_parent_is_what_was_current_when_a_stream_was_opened(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str
    ) -> None:
        contacts = [{"email": f"c{number}@example.com"} for number in range(200)]

        async def main() -> None:
            tracer = recorded.tracer()
            async with make(fake_sendx, recorded.telemetry()) as client:
                with tracer.start_as_current_span("import") as span:
                    opened.append(id_of(span))
                    stream = await client.send_many(contacts, concurrency=2).__aenter__()
                with tracer.start_as_current_span("elsewhere"):
                    async for outcome in stream:
                        assert outcome.error is None
                    await stream.__aexit__()

        opened: list[int] = []
        run(backend, main)
        assert len(recorded.spans) >= 8
        assert {parent_id(span) for span in recorded.spans} == set(opened)

    def test_also_of_a_synchronous_client(self, fake_sendx: FakeSendX, recorded: Recorded) -> None:
        with (
            TrackingClient(
                fake_sendx.api_key, base_url=fake_sendx.url, on_event=recorded.telemetry()
            ) as client,
            recorded.tracer().start_as_current_span("import") as span,
            client.send_many([JANE] * 3) as outcomes,
        ):
            assert [outcome.error for outcome in outcomes] == [None] * 3
        assert [parent_id(each) for each in recorded.spans] == [id_of(span)] * 3

    def test_what_a_stream_repeats_is_a_call_of_its_own(
        self, fake_sendx: FakeSendX, recorded: Recorded
    ) -> None:
        fake_sendx.respond(500)

        async def main() -> None:
            async with (
                make(fake_sendx, recorded.telemetry()) as client,
                client.send_many([JANE]) as outcomes,
            ):
                assert [outcome.error async for outcome in outcomes] == [None]

        anyio.run(main)
        assert [attributes(each).get("error.type") for each in recorded.spans] == ["500", None]

    def test_an_outbox_has_that_of_its_draining(
        self, fake_sendx: FakeSendX, recorded: Recorded, backend: str, tmp_path: Path
    ) -> None:
        async def main() -> None:
            with Outbox(tmp_path / "sendx.db") as outbox:
                with recorded.tracer().start_as_current_span("handler"):
                    await outbox.put(JANE)
                    await outbox.put({"identifier": JANE["email"], "name": "signup"})
                async with make(fake_sendx, recorded.telemetry()) as client:
                    with recorded.tracer().start_as_current_span("worker") as span:
                        await outbox.drain(client)
                        opened.append(id_of(span))

        opened: list[int] = []
        run(backend, main)
        assert [path_of(each) for each in recorded.spans] == ["/contact/identify", "/events/custom"]
        assert {parent_id(each) for each in recorded.spans} == set(opened)


class Gate(httpx.AsyncBaseTransport):
    """Answers no request before it is told to."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self._let_through = anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(await request.aread()))
        await self._let_through.wait()
        return httpx.Response(200, json={"status": "200"})

    def open(self) -> None:
        """Answer those that are waiting."""
        self._let_through.set()
        self._let_through = anyio.Event()

    def client(self, telemetry: Telemetry, **options: Any) -> AsyncTrackingClient:
        http = httpx.AsyncClient(transport=self)
        return AsyncTrackingClient("team-key", http_client=http, on_event=telemetry, **options)


class TestSharedRequests:
    def test_the_parent_is_that_of_who_has_waited_longest(
        self, recorded: Recorded, backend: str
    ) -> None:
        handlers: dict[str, int] = {}

        async def handler(client: AsyncTrackingClient, name: str) -> None:
            with recorded.tracer().start_as_current_span(name) as span:
                handlers[f"{name}@example.com"] = id_of(span)
                await client.identify_contact({"email": f"{name}@example.com"})
                assert trace.get_current_span() is span

        async def main() -> None:
            gate = Gate()
            async with (
                gate.client(recorded.telemetry(), batch_identify=True) as client,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(handler, client, "a")  # which leaves at once
                await anyio.wait_all_tasks_blocked()
                for names in (["b0", "b1", "b2"], ["c0", "c1", "c2"]):
                    for name in names:
                        tasks.start_soon(handler, client, name)
                    await anyio.wait_all_tasks_blocked()
                    gate.open()  # the request before has its answer, so they leave
                    await anyio.wait_all_tasks_blocked()
                gate.open()
            bodies.extend(gate.bodies)

        bodies: list[Any] = []
        run(backend, main)
        together = [[each["email"] for each in body] for body in bodies if isinstance(body, list)]
        shared = [span for span in recorded.spans if path_of(span).endswith("bulk")]
        assert [len(addresses) for addresses in together] == [3, 3]
        assert [parent_id(span) for span in shared] == [handlers[each[0]] for each in together]


class TestAbandoned:
    """Calls that end elsewhere than where they began, or never."""

    def test_a_call_that_is_closed_in_another_context(
        self, recorded: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = recorded.telemetry()

        async def main() -> None:
            call = Gate().client(telemetry).identify_contact(JANE)
            contextvars.copy_context().run(call.send, None)
            with recorded.tracer().start_as_current_span("elsewhere") as span:
                call.close()
                assert trace.get_current_span() is span

        asyncio.run(main())
        assert attributes(recorded.span)["error.type"] == "GeneratorExit"
        assert recorded.span.status.status_code is StatusCode.ERROR
        assert telemetry._under_way == {}
        assert "detach" not in caplog.text

    def test_a_call_whose_loop_has_gone(
        self, recorded: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        telemetry = recorded.telemetry()

        async def begin() -> None:
            gate = Gate()
            call = asyncio.create_task(gate.client(telemetry).identify_contact(JANE))
            await anyio.wait_all_tasks_blocked()
            assert gate.bodies
            assert not call.done()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(begin())
        assert len(telemetry._under_way) == 1
        loop.close()
        del loop
        gc.collect()
        assert attributes(recorded.span)["error.type"] == "GeneratorExit"
        assert telemetry._under_way == {}
        assert trace.get_current_span() is NO_SPAN
        assert "detach" not in caplog.text

    def test_an_interrupt_while_it_is_told_of_the_beginning(self, recorded: Recorded) -> None:
        def interrupted(event: Event) -> None:
            if event.kind == "call_started":
                raise KeyboardInterrupt

        telemetry = recorded.telemetry(then=interrupted)

        async def main() -> None:
            with pytest.raises(KeyboardInterrupt):
                await Gate().client(telemetry).identify_contact(JANE)
            assert trace.get_current_span() is NO_SPAN

        asyncio.run(main())
        assert attributes(recorded.span)["error.type"] == "KeyboardInterrupt"
        assert telemetry._under_way == {}


AFTER_A_FORK = """
import os, sys, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sendx_async import TrackingClient
from sendx_async.otel import Telemetry

exporter, begun = InMemorySpanExporter(), threading.Event()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
telemetry = Telemetry(
    tracer_provider=provider, then=lambda event: event.kind == "call_started" and begun.set()
)
jane = {"email": "jane@example.com"}
client = TrackingClient(sys.argv[1], base_url=sys.argv[2], on_event=telemetry, timeout=1)
waiting = threading.Thread(target=client.identify_contact, args=[jane])
waiting.start()
assert begun.wait(20)
with provider.get_tracer("the application").start_as_current_span("handler") as handler:
    pid = os.fork()
    if pid == 0:
        client.identify_contacts([jane])
        span = exporter.get_finished_spans()[-1]
        is_so = span.attributes["sendx.operation"] == "identify_contacts"
        is_so = is_so and span.parent.span_id == handler.get_span_context().span_id
        os._exit(0 if is_so else 7)
    status = os.waitpid(pid, 0)[1]
assert status == 0, status
waiting.join(20)
names = [span.attributes.get("sendx.operation") for span in exporter.get_finished_spans()]
assert sorted(map(str, names)) == ["None", "identify_contact"], names  # and the application's
client.close()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_each_process_tells_of_its_own_calls_after_a_fork(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(path="identify")  # so the parent's call is under way for a second
    done = subprocess.run(
        [sys.executable, "-c", AFTER_A_FORK, fake_sendx.api_key, fake_sendx.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr


def test_logs_within_a_call_belong_to_its_span(
    fake_sendx: FakeSendX, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    logged: list[tuple[str, int]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.append(
                (record.getMessage(), trace.get_current_span().get_span_context().span_id)
            )

    handler = Handler()
    logger = logging.getLogger("sendx_async")
    logger.addHandler(handler)
    caplog.set_level(logging.DEBUG, "sendx_async")
    fake_sendx.respond(429, retry_after=0.01)
    try:
        with TrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, on_event=recorded.telemetry()
        ) as client:
            client.identify_contact(JANE)
    finally:
        logger.removeHandler(handler)
    started, *within = logged
    assert started[1] == 0
    assert {span_id for _, span_id in within} == {id_of(recorded.span)}
    assert "call_finished" in within[-1][0]
