"""Streams of the synchronous client: threads, blocking sources, Ctrl-C, exit and fork."""

import collections
import contextvars
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from sendx_async import (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Event,
    IdentifyRequest,
    InvalidRequestError,
    NotSentError,
    OutageError,
    Outcome,
    OutcomeStream,
    RateLimitError,
    ResponseLost,
    RetryPolicy,
    TrackingClient,
)
from sendx_async._streams.source import ThreadedSource
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

from .processes import LIMIT, child_of
from .sources import Counting, contacts

pytestmark = pytest.mark.slow


@pytest.fixture
def client(fake_sendx: FakeSendX) -> Iterator[TrackingClient]:
    with TrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url,
        retry=RetryPolicy(base=0.001, cap=0.01), clock=StoppedClock(),
    ) as client:  # fmt: skip
        yield client


def test_all_that_the_source_gives_is_sent(fake_sendx: FakeSendX, client: TrackingClient) -> None:
    with client.send_many(contacts(1000)) as outcomes:
        came = list(outcomes)
        assert list(outcomes) == []
    assert sorted(outcome.index for outcome in came) == list(range(1000))
    assert all(outcome.error is None for outcome in came)
    assert len(fake_sendx.contacts) == 1000
    assert outcomes.unclaimed == ()


def test_what_was_read_while_a_request_was_under_way_shares_the_next_ones(
    fake_sendx: FakeSendX, client: TrackingClient
) -> None:
    all_is_read = threading.Event()

    def source() -> Iterator[IdentifyRequest]:
        yield from contacts(50)
        all_is_read.set()

    def answer_when_all_is_read() -> float:
        assert all_is_read.wait(LIMIT)
        return 0.0

    fake_sendx.latency = answer_when_all_is_read
    with client.send_many(source(), concurrency=1) as outcomes:
        assert len(list(outcomes)) == 50
    # The first may have left with few, and then there are two at most.
    assert len(fake_sendx.requests) <= 3


def test_a_bad_request_is_an_outcome_and_holds_up_no_other(
    fake_sendx: FakeSendX, client: TrackingClient
) -> None:
    with client.send_many(
        [{"email": "jane@example.com"}, {}, {"email": "jane@example.com", "add_tags": ["a"]}],
        concurrency=1, batch_size=1,
    ) as outcomes:  # fmt: skip
        came = sorted(outcomes, key=lambda outcome: outcome.index)
    assert [type(outcome.error) for outcome in came] == [
        type(None), InvalidRequestError, type(None)
    ]  # fmt: skip
    assert fake_sendx.contact("jane@example.com").tags == {"a"}


def test_options_and_sources_are_checked_at_once(client: TrackingClient) -> None:
    async def asynchronous() -> Any:
        yield None

    for source in (asynchronous(), "text", {"email": "a@b.co"}, None):
        with pytest.raises(InvalidRequestError, match="source must be an Iterable of requests"):
            client.send_many(source)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="batch_size"):
        client.send_many([], batch_size=26)
    with pytest.raises(ConfigurationError, match="concurrency"):
        client.send_many([], concurrency=0)


def test_a_source_may_wait_for_outcomes_of_what_it_gave(client: TrackingClient) -> None:
    taken: queue.Queue[Outcome] = queue.Queue()

    def source() -> Iterator[IdentifyRequest]:
        for contact in contacts(5):
            yield contact
            assert taken.get(timeout=LIMIT).error is None

    with client.send_many(source()) as outcomes:
        for outcome in outcomes:
            taken.put(outcome)
        assert taken.qsize() == 0


def test_a_source_that_blocks_blocks_no_other_call(client: TrackingClient) -> None:
    release = threading.Event()

    def source() -> Iterator[IdentifyRequest]:
        yield IdentifyRequest("first@example.com")
        assert release.wait(LIMIT)
        yield IdentifyRequest("last@example.com")

    with client.send_many(source()) as outcomes:
        assert next(outcomes).index == 0
        client.identify_contact({"email": "other@example.com"})
        release.set()
        assert next(outcomes).index == 1


def test_the_source_is_read_in_a_thread_of_its_own_with_the_callers_context(
    client: TrackingClient,
) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("of the caller")
    seen: list[tuple[str, int]] = []

    def source() -> Iterator[IdentifyRequest]:
        seen.append((variable.get("none"), threading.get_ident()))
        yield from contacts(3)

    with client.send_many(source()) as outcomes:
        assert len(list(outcomes)) == 3
    ((text, thread),) = seen
    assert text == "of the caller"
    assert thread != threading.get_ident()


@pytest.mark.parametrize("batch_size", [1, 25])
def test_the_source_is_read_only_as_fast_as_outcomes_are_taken(
    fake_sendx: FakeSendX, client: TrackingClient, batch_size: int
) -> None:
    source = Counting(3000)
    sent = 2 * 4 * batch_size
    with client.send_many(source, concurrency=4, batch_size=batch_size) as outcomes:
        fake_sendx.wait_for(lambda: len(fake_sendx.contacts) == sent, LIMIT)
        assert source.read <= sent + 2 * batch_size + 1
        for taken, _ in enumerate(outcomes, 1):
            assert source.read - taken <= sent + 2 * batch_size + 1
            if taken == 300:
                break
    assert len(outcomes.unclaimed) == source.read - 300


def test_leaving_in_the_middle_loses_track_of_nothing(
    fake_sendx: FakeSendX, client: TrackingClient
) -> None:
    fake_sendx.respond(200, times=10)
    fake_sendx.black_hole(times=None)
    # Each travels alone, and far more are read ahead than are taken here.
    source = Counting(1000, custom_fields={"Visits": "++1"})
    with client.send_many(source, concurrency=2) as outcomes:
        claimed = [next(outcomes) for _ in range(10)]
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) == 12, LIMIT)
    fake_sendx.wait_for(
        lambda: all(r.status is not None or r.disconnected for r in fake_sendx.requests), LIMIT
    )
    # The thread may be about to give one more.
    everything = [*claimed, *outcomes.unclaimed]
    assert sorted(outcome.index for outcome in everything) == list(range(len(everything)))
    assert source.read - 1 <= len(everything) <= source.read
    kinds = collections.Counter(type(outcome.error) for outcome in outcomes.unclaimed)
    assert kinds == {ResponseLost: 2, NotSentError: len(outcomes.unsent)}


def test_what_a_blocked_source_gives_after_the_end_is_kept(client: TrackingClient) -> None:
    release, blocks = threading.Event(), threading.Event()

    def source() -> Iterator[Any]:
        yield IdentifyRequest("first@example.com")
        blocks.set()
        assert release.wait(LIMIT)
        yield {"email": "late@example.com"}
        pytest.fail("it is not read any further")

    with client.send_many(source()) as outcomes:
        assert next(outcomes).index == 0
        assert blocks.wait(LIMIT)
    before = outcomes.unsent
    assert before == ()
    release.set()
    for thread in threading.enumerate():
        if thread.name == "sendx_async source":
            thread.join(LIMIT)
    late = outcomes.unsent[-1]
    assert late.index == 1
    assert late.request == {"email": "late@example.com"}


class SourceError(Exception):
    pass


@pytest.mark.parametrize(
    "raised,kind,words",
    [
        (SourceError("broken file"), SourceError, "broken file"),
        (SystemExit(3), RuntimeError, "the source raised SystemExit"),
        (StopAsyncIteration(), RuntimeError, "the source raised StopAsyncIteration"),
    ],
)
def test_what_the_source_raises_comes_after_all_that_it_gave(
    client: TrackingClient, raised: BaseException, kind: type[Exception], words: str
) -> None:
    class Source:
        def __init__(self) -> None:
            self.left = iter(contacts(60))

        def __iter__(self) -> "Source":
            return self

        def __next__(self) -> IdentifyRequest:
            for contact in self.left:
                return contact
            raise raised

    with client.send_many(Source()) as outcomes:
        assert [next(outcomes).error for _ in range(60)] == [None] * 60
        with pytest.raises(kind, match=words):
            next(outcomes)
    client.identify_contact({"email": "after@example.com"})


def test_a_bad_key_and_an_outage_end_the_stream(
    fake_sendx: FakeSendX, client: TrackingClient
) -> None:
    fake_sendx.respond(401, times=None)
    with client.send_many(contacts(100)) as outcomes, pytest.raises(AuthenticationError):
        next(outcomes)
    assert len(outcomes.unsent) == len(outcomes.unclaimed) >= 1
    fake_sendx.recover()
    fake_sendx.respond(500, times=None)
    with client.send_many(contacts(100), patience=0.1) as outcomes, pytest.raises(OutageError):
        list(outcomes)


def test_a_pause_that_is_longer_than_the_patience_ends_the_stream(
    fake_sendx: FakeSendX, client: TrackingClient
) -> None:
    fake_sendx.respond(429, retry_after=60)
    with pytest.raises(RateLimitError):
        client.with_options(retry=RetryPolicy(0)).identify_contact({"email": "jane@example.com"})
    with client.send_many(contacts(10), patience=1) as outcomes, pytest.raises(OutageError):
        next(outcomes)
    assert len(outcomes.unsent) >= 1
    assert len(fake_sendx.requests) == 1


def test_a_stream_is_opened_once_and_before_it_is_read(client: TrackingClient) -> None:
    stream = client.send_many(contacts(1))
    with pytest.raises(RuntimeError, match=r"with client\.send_many"):
        next(stream)
    with stream:
        assert len(list(stream)) == 1
    with pytest.raises(RuntimeError, match="opened only once"), stream:
        pass


def test_an_exception_in_the_consumer_comes_out_as_it_is(client: TrackingClient) -> None:
    def consume(stream: OutcomeStream) -> None:
        with stream:
            next(stream)
            raise LookupError("of the consumer")

    stream = client.send_many(contacts(1000))
    with pytest.raises(LookupError, match="of the consumer"):
        consume(stream)
    assert stream.unclaimed


def test_on_event_is_told_of_pauses_of_a_stream(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(503, times=10)
    events: list[Event] = []
    with (
        TrackingClient(
            fake_sendx.api_key, base_url=fake_sendx.url, on_event=events.append,
            retry=RetryPolicy(base=0.001, cap=0.01), clock=StoppedClock(),
        ) as client,
        client.send_many(contacts(100)) as outcomes,
    ):  # fmt: skip
        assert all(outcome.error is None for outcome in outcomes)
    assert {e.kind for e in events if e.operation == "send_many"} == {"paused", "resumed"}


def test_a_stream_can_not_be_opened_where_its_loop_runs(fake_sendx: FakeSendX) -> None:
    refusals: list[BaseException] = []

    def listen(_event: Event) -> None:
        try:
            with stream:
                pytest.fail("the loop would wait for itself")
        except RuntimeError as error:
            refusals.append(error)

    with TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, on_event=listen) as client:
        stream = client.send_many(contacts(1))
        client.identify_contact({"email": "jane@example.com"})
    assert "in the thread of its own event loop" in str(refusals[0])


def test_a_stream_of_a_closed_client_sends_nothing(client: TrackingClient) -> None:
    client.close()
    stream = client.send_many(contacts(3))
    with stream, pytest.raises(ClientClosedError):
        next(stream)
    assert len(stream.unsent) == 3


def test_several_threads_have_a_stream_each(fake_sendx: FakeSendX, client: TrackingClient) -> None:
    def send(number: int) -> int:
        source = ({"email": f"t{number}c{n}@example.com"} for n in range(300))
        with client.send_many(source) as outcomes:
            return sum(outcome.error is None for outcome in outcomes)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(send, range(4))) == [300] * 4
    assert len(fake_sendx.contacts) == 1200


def test_opening_a_stream_in_a_running_loop_warns_as_any_call(client: TrackingClient) -> None:
    import anyio  # noqa: PLC0415 - for this test only

    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="blocks it"):
            stream = client.send_many(contacts(1)).__enter__()
        assert len(list(stream)) == 1
        stream.__exit__()

    anyio.run(main)


SCRIPT = """
import os, signal, sys
from sendx_async import ClientClosedError, NotSentError, ResponseLost, TrackingClient

# A test runner in the background may have had SIGINT ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
key, url, backend, what = sys.argv[1:]
read = 0

def source():
    global read
    while True:
        read += 1
        yield {"email": f"c{read}@example.com"}

client = TrackingClient(key, base_url=url)
stream = client.send_many(source())
"""
INTERRUPTED = (
    SCRIPT
    + """
taken = 0
try:
    with client, stream:
        for outcome in stream:
            taken += 1
except KeyboardInterrupt:
    kinds = [type(each.error) for each in stream.unclaimed]
    print("interrupted", taken, read - taken - len(kinds), kinds.count(type(None)),
          kinds.count(ResponseLost), flush=True)
"""
)
UNLEFT = (
    SCRIPT
    + """
import warnings
warnings.simplefilter("ignore", ResourceWarning)  # the client is never closed, on purpose
stream.__enter__()
next(stream)
print("ends", flush=True)
if what == "raise":
    raise SystemExit(7)
"""
)
FORKED = (
    SCRIPT
    + """
with client, stream:
    next(stream)
    child = os.fork()
    if not child:
        try:
            next(stream)
        except ClientClosedError as error:
            print("child", "before the process was forked" in str(error), flush=True)
        stream.__exit__()
        with client.send_many([{"email": "child@example.com"}]) as own:
            print("own", [outcome.error for outcome in own], flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("parent", status, next(stream).error, flush=True)
"""
)


@pytest.mark.slow
@pytest.mark.usefixtures("children_unmeasured")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send a SIGINT")
def test_ctrl_c_stops_everything_and_loses_track_of_nothing(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.respond(200, path="identify/bulk", times=4)
    fake_sendx.black_hole(times=None)
    with child_of(INTERRUPTED, fake_sendx, backend, "") as child:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) == 12, LIMIT)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate()
    assert errors == ""
    word, *numbers = output.split()
    assert word == "interrupted"
    taken, missing, unclaimed, lost = map(int, numbers)
    assert taken + unclaimed == len(fake_sendx.contacts)
    hanging = [request for request in fake_sendx.requests if request.status is None]
    assert lost == sum(len(request.json) for request in hanging)
    assert missing in {0, 1}  # the thread may be about to give one more
    fake_sendx.wait_for(
        lambda: all(r.status is not None or r.disconnected for r in fake_sendx.requests), LIMIT
    )


@pytest.mark.slow
@pytest.mark.parametrize("what", ["end", "raise"])
def test_a_stream_that_is_never_left_does_not_keep_the_interpreter(
    fake_sendx: FakeSendX, backend: str, what: str
) -> None:
    with child_of(UNLEFT, fake_sendx, backend, what) as child:
        output, errors = child.communicate()
    assert output == "ends\n"
    assert errors == ""
    assert child.returncode == (7 if what == "raise" else 0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_stream_belongs_to_the_process_that_opened_it(
    fake_sendx: FakeSendX, backend: str
) -> None:
    with child_of(FORKED, fake_sendx, backend, "") as child:
        output, errors = child.communicate()
    assert errors == ""
    assert output.splitlines() == ["child True", "own [None]", "parent 0 None"]


def test_a_source_for_which_no_thread_can_be_started_ends_its_stream(
    client: TrackingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.identify_contact({"email": "jane@example.com"})  # starts the event loop's own

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with (
        client.send_many(contacts(3)) as outcomes,
        pytest.raises(RuntimeError, match="can't start new thread"),
    ):
        next(outcomes)


def test_a_source_that_is_read_without_a_thread_can_be_stopped() -> None:
    source = ThreadedSource([1, 2], lambda _: None, limit=10)
    source._iterator = iter([1, 2])

    async def main() -> None:
        assert await anext(source) == 1
        source.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(source)

    anyio.run(main)
