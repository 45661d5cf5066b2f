"""Concurrent calls of identify_contact that share requests: who leaves when, and with what."""

import asyncio
import collections
import contextlib
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
import attrs
import httpx
import pytest

from sendx_async import (
    AsyncTrackingClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    Event,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    ServerError,
    TrackingClient,
    UnprocessableEntityError,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

pytestmark = pytest.mark.slow

BULK = "/contact/identify/bulk"
SINGLE = "/contact/identify"
QUICK = RetryPolicy(base=0.001, cap=0.01)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    given: dict[str, Any] = {"batch_identify": True, "retry": QUICK, **options}
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **given)


def paths(fake: FakeSendX) -> list[str]:
    return [request.path.removeprefix("/api/v1/rest") for request in fake.requests]


def sizes(fake: FakeSendX) -> list[int]:
    """How many contacts each request carried."""
    return [len(r.json) if isinstance(r.json, list) else 1 for r in fake.requests]


class Callers:
    """Calls made at once, and what each of them got."""

    def __init__(self) -> None:
        self.results: dict[str, IdentifyResponse | Exception] = {}

    async def call(self, client: AsyncTrackingClient, name: str, **options: Any) -> None:
        try:
            self.results[name] = await client.identify_contact(
                {"email": f"{name}@example.com"}, **options
            )
        except SendXError as error:
            self.results[name] = error

    async def calls(self, client: AsyncTrackingClient, *names: str) -> None:
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(self.call, client, name)

    @property
    def failed(self) -> set[str]:
        return {name for name, result in self.results.items() if isinstance(result, Exception)}


def names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


def run(backend: str, function: Callable[[], Awaitable[None]]) -> None:
    anyio.run(function, backend=backend)


@attrs.frozen
class Gate:
    """Holds back what the server answers, until that is released.

    Attributes:
        first: Released with the answer to the contact that left first, by itself.
        shared: Released with the answers to those that left together.
    """

    first: anyio.Event = attrs.field(factory=anyio.Event)
    shared: anyio.Event = attrs.field(factory=anyio.Event)

    async def hold(self, response: httpx.Response) -> None:
        path = response.request.url.path
        await (self.shared if path.endswith(BULK) else self.first).wait()


@contextlib.asynccontextmanager
async def one_under_way(
    fake: FakeSendX, **options: Any
) -> AsyncGenerator[tuple[AsyncTrackingClient, Gate]]:
    """Begin a call whose answer is held back, so that others come and wait for it."""
    gate = Gate()
    async with (
        httpx.AsyncClient(event_hooks={"response": [gate.hold]}) as http,
        client_of(fake, http_client=http, **options) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(Callers().call, client, "first")
        await fake.until(lambda: fake.requests)
        yield client, gate


def test_a_lone_call_leaves_at_once_and_by_itself(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            for name in names(3):
                response = await client.identify_contact({"email": f"{name}@example.com"})
                assert response.status == "200"

    run(backend, main)
    assert paths(fake_sendx) == [SINGLE] * 3


def test_calls_that_come_while_a_request_is_under_way_leave_together(
    fake_sendx: FakeSendX, backend: str
) -> None:
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(11))

    run(backend, main)
    assert sizes(fake_sendx) == [1, 10]
    assert callers.failed == set()
    assert len(fake_sendx.contacts) == 11


@pytest.mark.parametrize("others", [[25, 25], [3]], ids=["full batches", "guard"])
def test_neither_full_batches_nor_an_unusually_long_answer_hold_anybody_up(
    fake_sendx: FakeSendX, backend: str, others: list[int]
) -> None:
    fake_sendx.black_hole(path=SINGLE)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(callers.calls, client, *names(1 + sum(others)))
            # The first has no answer, and all the others are there.
            await fake_sendx.until(lambda: len(fake_sendx.contacts) == sum(others))
            tasks.cancel_scope.cancel()

    run(backend, main)
    assert sorted(sizes(fake_sendx)) == [1, *others]


def test_no_more_requests_are_under_way_than_there_are_connections(
    fake_sendx: FakeSendX, backend: str
) -> None:
    callers = Callers()
    under_way: set[str] = set()
    counts: list[int] = []

    def count(event: Event) -> None:
        if event.kind == "call_started":
            under_way.add(event.call_id)
        elif event.kind == "call_finished":
            under_way.remove(event.call_id)
        counts.append(len(under_way))

    async def main() -> None:
        async with client_of(fake_sendx, max_connections=2, on_event=count) as client:
            await callers.calls(client, *names(120))

    run(backend, main)
    assert max(counts) == 2
    assert callers.failed == set()
    assert len(fake_sendx.contacts) == 120


def test_the_same_contact_is_never_twice_in_a_request(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            for _ in range(3):
                for email in ("jane@example.com", "JANE@example.com", "joe@example.com"):
                    tasks.start_soon(client.identify_contact, {"email": email})

    run(backend, main)
    assert sum(sizes(fake_sendx)) == 9
    for request in fake_sendx.requests:
        if isinstance(request.json, list):
            sent = [item["email"].casefold() for item in request.json]
            assert len(sent) == len(set(sent))


def test_only_the_bad_contact_fails_with_the_servers_words(
    fake_sendx: FakeSendX, backend: str
) -> None:
    callers = Callers()
    bad: list[UnprocessableEntityError] = []

    async def main() -> None:
        async with (
            one_under_way(fake_sendx) as (client, gate),
            anyio.create_task_group() as tasks,
        ):
            gate.shared.set()

            async def fail() -> None:
                request = IdentifyRequest("bad@example.com", extra={"birthday": "yesterday"})
                with pytest.raises(UnprocessableEntityError) as caught:
                    await client.identify_contact(request)
                bad.append(caught.value)

            tasks.start_soon(callers.calls, client, *names(10))
            tasks.start_soon(fail)
            await anyio.wait_all_tasks_blocked()
            gate.first.set()

    run(backend, main)
    assert callers.failed == set()
    assert len(fake_sendx.contacts) == 11
    (error,) = bad
    assert error.message == "birthday must be a date, YYYY-MM-DD"
    assert error.operation == "identify_contact"
    assert error.attempts == 2
    assert collections.Counter(paths(fake_sendx))[BULK] == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_bulk_endpoint_that_is_not_there_is_not_asked_again(
    fake_sendx: FakeSendX, backend: str, status: int
) -> None:
    fake_sendx.respond(status, path="identify/bulk", times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))
            await callers.calls(client, *names(10))

    run(backend, main)
    assert callers.failed == set()
    assert collections.Counter(paths(fake_sendx)) == {BULK: 1, SINGLE: 20}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_contact_that_the_server_fails_at_drags_nobody_down(
    fake_sendx: FakeSendX, backend: str, status: int
) -> None:
    fake_sendx.respond(status, path="identify/bulk", times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert callers.failed == set()
    assert collections.Counter(paths(fake_sendx)) == {BULK: 1, SINGLE: 10}


def test_what_may_have_been_applied_together_may_have_been_applied(
    fake_sendx: FakeSendX, backend: str
) -> None:
    # The batch is lost after it was applied, and what follows is refused without effect.
    fake_sendx.respond(200, path=SINGLE)
    fake_sendx.drop(applied=True, path="identify/bulk")
    fake_sendx.respond(422, path=SINGLE, times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(4))

    run(backend, main)
    assert len(callers.failed) == 3
    for name in callers.failed:
        error = callers.results[name]
        assert isinstance(error, UnprocessableEntityError)
        assert error.maybe_delivered
        assert error.attempts == 2


def test_each_caller_has_an_error_of_its_own(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(401, times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    errors = list(callers.results.values())
    assert len({id(error) for error in errors}) == 10
    for error in errors:
        assert isinstance(error, AuthenticationError)
        assert error.operation == "identify_contact"
        assert error.attempts == 1
        assert error.call_id
        assert error.elapsed > 0
    assert sizes(fake_sendx) == [1, 9]


def test_what_something_else_answers_is_told_to_all(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.html(200, times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert {type(error) for error in callers.results.values()} == {ResponseDecodeError}
    assert sizes(fake_sendx) == [1, 9]


def test_a_report_of_a_failure_lets_each_try_alone(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(207, path="identify/bulk", applied=False)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert callers.failed == set()
    assert sizes(fake_sendx) == [1, 9, *[1] * 9]
    assert len(fake_sendx.contacts) == 10


def test_a_refusal_for_now_is_repeated_together(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(200, path=SINGLE)
    fake_sendx.respond(429, retry_after=0, path="identify/bulk", times=2)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert callers.failed == set()
    assert sizes(fake_sendx) == [1, 9, 9, 9]


def test_a_rate_limit_that_stays_is_told_to_all(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(200, path=SINGLE)
    fake_sendx.respond(429, retry_after=0, path="identify/bulk", times=None)
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx, retry=RetryPolicy(1, base=0, cap=0)) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert len(callers.failed) == 9
    for name in callers.failed:
        error = callers.results[name]
        assert isinstance(error, RateLimitError)
        assert error.attempts == 2
        assert not error.maybe_delivered


def test_no_network_is_told_to_all(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.stop()
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx, retry=RetryPolicy(1, base=0.001, cap=0.01)) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    assert {type(error) for error in callers.results.values()} == {ConnectError}


def test_cancelling_one_caller_disturbs_no_other(fake_sendx: FakeSendX, backend: str) -> None:
    callers = Callers()

    async def main() -> None:
        async with (
            one_under_way(fake_sendx) as (client, gate),
            anyio.create_task_group() as tasks,
        ):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    tasks.start_soon(callers.calls, client, *names(3))
                    inner.start_soon(callers.call, client, "cancelled")
                    tasks.start_soon(callers.calls, client, "d1", "d2")
                    await anyio.wait_all_tasks_blocked()
                    gate.first.set()
                    await fake_sendx.until(lambda: BULK in paths(fake_sendx))
                    scope.cancel()
            gate.shared.set()

    run(backend, main)
    assert callers.failed == set()
    assert set(callers.results) == {*names(3), "d1", "d2"}
    # It shared a request with others, which was applied as a whole.
    assert "cancelled@example.com" in fake_sendx.contacts
    assert sizes(fake_sendx) == [1, 6]


def test_a_caller_that_is_cancelled_while_it_waits_is_not_sent(
    fake_sendx: FakeSendX, backend: str
) -> None:
    callers = Callers()

    async def main() -> None:
        async with (
            one_under_way(fake_sendx) as (client, gate),
            anyio.create_task_group() as tasks,
        ):
            gate.shared.set()
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(callers.call, client, "cancelled")
                    tasks.start_soon(callers.calls, client, "d1", "d2")
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
            gate.first.set()

    run(backend, main)
    assert callers.failed == set()
    assert set(fake_sendx.contacts) == {f"{name}@example.com" for name in ("first", "d1", "d2")}


def test_the_caller_that_went_first_may_be_cancelled_too(
    fake_sendx: FakeSendX, backend: str
) -> None:
    callers = Callers()
    fake_sendx.black_hole(path=SINGLE)

    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(callers.call, client, "first")
                    await fake_sendx.until(lambda: fake_sendx.requests)
                    tasks.start_soon(callers.calls, client, "d1", "d2")
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()

    run(backend, main)
    assert callers.failed == set()
    assert set(callers.results) == {"d1", "d2"}
    assert sizes(fake_sendx) == [1, 2]


def test_each_callers_deadline_holds(
    fake_sendx: FakeSendX, backend: str, stopped_clock: StoppedClock
) -> None:
    callers = Callers()

    async def main() -> None:
        options = {"clock": stopped_clock, "timeout": 60, "deadline": 60}
        async with (
            one_under_way(fake_sendx, **options) as (client, gate),
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(callers.calls, client, *names(3))
            with anyio.fail_after(50):
                async with anyio.create_task_group() as inner:
                    inner.start_soon(lambda: callers.call(client, "hurried", deadline=20))
                    await anyio.wait_all_tasks_blocked()
                    gate.first.set()
                    await fake_sendx.until(lambda: BULK in paths(fake_sendx))
                    stopped_clock.time += 20
            # It has ended while the answer to all is still held back.
            gate.shared.set()

    run(backend, main)
    assert callers.failed == {"hurried"}
    error = callers.results["hurried"]
    assert isinstance(error, DeadlineExceeded)
    assert "within the deadline of 20 s" in str(error)
    assert error.maybe_delivered
    assert error.is_retryable
    assert error.attempts == 1
    assert error.operation == "identify_contact"
    assert error.elapsed == 20
    assert sizes(fake_sendx) == [1, 4]


def test_a_deadline_that_passes_before_anything_could_leave(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole(times=None)
    callers = Callers()

    async def main() -> None:
        async with (
            client_of(fake_sendx, max_connections=1) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(callers.call, client, "first")
            await fake_sendx.until(lambda: fake_sendx.requests)
            await callers.call(client, "late", deadline=0.2)
            tasks.cancel_scope.cancel()

    run(backend, main)
    error = callers.results["late"]
    assert isinstance(error, DeadlineExceeded)
    assert not error.maybe_delivered
    assert error.attempts == 0
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize(
    "request_,options",
    [
        (IdentifyRequest("x@example.com", new_email="y@example.com"), {}),
        (IdentifyRequest("x@example.com", custom_fields={"Seats": "++1"}), {}),
        (IdentifyRequest("x@example.com"), {"headers": {"X-Trace": "1"}}),
        (IdentifyRequest("x@example.com"), {"timeout": 5}),
        (IdentifyRequest("x@example.com"), {"retry": RetryPolicy(0), "deadline": 9}),
    ],
    ids=["rename", "increment", "headers", "timeout", "retry"],
)
def test_what_must_not_or_can_not_be_shared_goes_alone(
    fake_sendx: FakeSendX, backend: str, request_: IdentifyRequest, options: Any
) -> None:
    fake_sendx.black_hole(path=SINGLE)

    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(Callers().call, client, "first")
            await fake_sendx.until(lambda: fake_sendx.requests)
            await client.identify_contact(request_, **options)
            tasks.cancel_scope.cancel()

    run(backend, main)
    assert paths(fake_sendx) == [SINGLE] * 2


def test_other_calls_are_as_ever(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            await client.send({"email": "jane@example.com"})
            info = await client.identify_contact_with_http_info({"email": "jane@example.com"})
            assert info.status_code == 200
            assert info.attempts == 1
            await client.track_contact({"email": "jane@example.com", "add_tags": ["vip"]})
            with pytest.raises(InvalidRequestError):
                await client.identify_contact({"email": "no address"})

    run(backend, main)
    assert fake_sendx.contact("jane@example.com").tags == {"vip"}


def test_copies_share_no_requests_and_may_differ(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.black_hole(path=SINGLE)

    async def main() -> None:
        async with client_of(fake_sendx) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(Callers().call, client, "first")
            await fake_sendx.until(lambda: fake_sendx.requests)
            # Each would wait if it shared the line of the first.
            await client.with_options(timeout=9).identify_contact({"email": "a@example.com"})
            copy = client.with_options(batch_identify=False)
            await copy.identify_contact({"email": "b@example.com"})
            tasks.cancel_scope.cancel()

    run(backend, main)
    assert paths(fake_sendx) == [SINGLE] * 3


def test_batch_identify_is_true_or_false_and_nothing_else() -> None:
    for value in (None, 1, "yes"):
        with pytest.raises(ConfigurationError, match="batch_identify must be True or False"):
            AsyncTrackingClient("key", batch_identify=value)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="batch_identify"):
            AsyncTrackingClient("key").with_options(batch_identify=value)  # type: ignore[arg-type]


def test_a_closed_client_is_told_to_all(fake_sendx: FakeSendX, backend: str) -> None:
    callers = Callers()

    async def main() -> None:
        client = client_of(fake_sendx)
        await client.aclose()
        await callers.calls(client, *names(5))

    run(backend, main)
    assert {type(error) for error in callers.results.values()} == {ClientClosedError}


def test_what_an_extension_of_the_applications_own_client_raises_is_told_to_all(
    backend: str,
) -> None:
    async def refuse(_request: httpx.Request) -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("a hook of the application")

    async def main() -> None:
        async with (
            httpx.AsyncClient(event_hooks={"request": [refuse]}) as http,
            AsyncTrackingClient(
                "key", base_url="https://sendx.test", http_client=http, batch_identify=True
            ) as client,
            anyio.create_task_group() as tasks,
        ):

            async def call(name: str) -> None:
                with pytest.raises(LookupError):
                    await client.identify_contact({"email": f"{name}@example.com"})

            for name in names(5):
                tasks.start_soon(call, name)

    run(backend, main)


def test_events_tell_of_the_requests_that_are_shared(fake_sendx: FakeSendX, backend: str) -> None:
    events: list[Event] = []
    callers = Callers()

    async def main() -> None:
        async with client_of(fake_sendx, on_event=events.append) as client:
            await callers.calls(client, *names(10))

    run(backend, main)
    finished = [event.operation for event in events if event.kind == "call_finished"]
    assert finished == ["identify_contact", "identify_contacts"]


def test_one_client_in_several_loops(fake_sendx: FakeSendX, backend: str) -> None:
    client = client_of(fake_sendx)
    callers = Callers()

    async def main() -> None:
        await callers.calls(client, *names(30))

    for _ in range(3):
        run(backend, main)
    run(backend, client.aclose)
    assert callers.failed == set()
    assert sum(sizes(fake_sendx)) == 90


@pytest.mark.asyncio
async def test_a_shared_request_that_is_cancelled_with_its_loop_leaves_no_caller_waiting(
    fake_sendx: FakeSendX,
) -> None:
    fake_sendx.respond(200, path=SINGLE)
    fake_sendx.black_hole(path="identify/bulk")
    callers = Callers()
    async with client_of(fake_sendx) as client, asyncio.TaskGroup() as tasks:
        before = asyncio.all_tasks()
        own = {tasks.create_task(callers.call(client, name)) for name in names(5)}
        await fake_sendx.until(lambda: BULK in paths(fake_sendx))
        (shared,) = asyncio.all_tasks() - before - own
        shared.cancel()
    # They went on alone.
    assert callers.failed == set()
    assert len(fake_sendx.contacts) == 5
    assert sizes(fake_sendx) == [1, 4, 1, 1, 1, 1]


@pytest.mark.asyncio
async def test_what_nobody_waits_for_any_more_is_not_sent(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(path=SINGLE)
    callers = Callers()
    async with client_of(fake_sendx) as client:
        calls = [asyncio.create_task(callers.call(client, name)) for name in names(20)]
        await fake_sendx.until(lambda: fake_sendx.requests)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        await client.with_options(batch_identify=False).identify_contact({"email": "z@x.co"})
    assert paths(fake_sendx) == [SINGLE] * 2


@pytest.mark.slow
def test_a_loop_that_ends_in_the_middle_destroys_no_task(fake_sendx: FakeSendX) -> None:
    async def main(client: AsyncTrackingClient, turns: int) -> None:
        tasks.extend(asyncio.create_task(Callers().call(client, name)) for name in names(60))
        for _ in range(turns):
            await asyncio.sleep(0)

    for turns in range(25):
        tasks: list[asyncio.Task[None]] = []
        client = client_of(fake_sendx)
        asyncio.run(main(client, turns))
        asyncio.run(client.aclose())
        tasks.clear()
        gc.collect()  # a destroyed task would speak up, and warnings are errors


def test_threads_share_requests(fake_sendx: FakeSendX) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for this test only

    fake_sendx.latency = 0.05
    with (
        TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, batch_identify=True) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        list(threads.map(lambda n: client.identify_contact({"email": f"c{n}@x.co"}), range(64)))
    assert len(fake_sendx.contacts) == 64
    assert len(fake_sendx.requests) < 50


def test_a_server_error_of_a_lone_call_is_its_own(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.respond(500, times=None)

    async def main() -> None:
        async with client_of(fake_sendx) as client:
            with pytest.raises(ServerError) as caught:
                await client.identify_contact({"email": "jane@example.com"})
            assert caught.value.attempts == 4

    run(backend, main)
    assert paths(fake_sendx) == [SINGLE] * 4
