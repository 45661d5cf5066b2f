"""Leaving a stream before its end: everything stops, and nothing is lost track of."""

import asyncio
import gc
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from sendx_async import (
    AsyncOutcomeStream,
    AsyncTrackingClient,
    IdentifyRequest,
    NotSentError,
    Outcome,
    ResponseLost,
    TrackRequest,
)
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

from .processes import LIMIT, child_of
from .sources import Counting, contacts


def client_of(fake: FakeSendX, **options: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, **options)


def check_that_nothing_is_lost(
    fake: FakeSendX, stream: AsyncOutcomeStream, claimed: list[Outcome], read: int
) -> None:
    """Each request that was read has one outcome, and the server agrees with it."""
    everything = sorted([*claimed, *stream.unclaimed], key=lambda outcome: outcome.index)
    assert [outcome.index for outcome in everything] == list(range(read))
    for outcome in everything:
        held = outcome.request.email in fake.contacts
        if outcome.error is None:
            assert outcome.response is not None
            assert held
        elif isinstance(outcome.error, NotSentError):
            assert not held
            assert not outcome.error.maybe_delivered
        else:
            assert isinstance(outcome.error, ResponseLost)
            assert outcome.error.maybe_delivered
    assert set(stream.unsent) <= set(stream.unclaimed)


def nothing_hangs(fake: FakeSendX) -> bool:
    return all(r.status is not None or r.disconnected for r in fake.requests)


def test_leaving_in_the_middle_stops_everything(fake_sendx: FakeSendX, backend: str) -> None:
    source = Counting(10_000)
    claimed: list[Outcome] = []

    async def main() -> AsyncOutcomeStream:
        async with client_of(fake_sendx) as client:
            async with client.send_many(source) as stream:
                async for outcome in stream:
                    claimed.append(outcome)
                    if len(claimed) == 30:
                        break
            read = source.read
            # The client goes on, and the stream doesn't.
            await client.identify_contact({"email": "other@example.com"})
            await fake_sendx.until(lambda: nothing_hangs(fake_sendx), LIMIT)
            assert source.read == read
            return stream

    stream = anyio.run(main, backend=backend)
    assert source.read < 500
    check_that_nothing_is_lost(fake_sendx, stream, claimed, source.read)
    assert len(stream.unclaimed) == source.read - 30
    # What was not read is still there for whoever goes on with the source.
    assert next(source).email == f"c{source.read - 1}@example.com"


def test_what_is_under_way_may_have_been_applied_and_the_rest_was_not_sent(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole(applied=True, times=None)
    source = Counting(1000)

    async def main() -> AsyncOutcomeStream:
        async with client_of(fake_sendx, clock=StoppedClock()) as client:
            async with client.send_many(source, concurrency=2, batch_size=3) as stream:
                await fake_sendx.until(lambda: len(fake_sendx.requests) == 2, LIMIT)
            return stream

    stream = anyio.run(main, backend=backend)
    check_that_nothing_is_lost(fake_sendx, stream, [], source.read)
    kinds = [type(outcome.error) for outcome in stream.unclaimed]
    assert kinds == [ResponseLost] * 6 + [NotSentError] * (source.read - 6)
    assert len(stream.unsent) == source.read - 6
    assert source.read == 12
    fake_sendx.wait_for(lambda: nothing_hangs(fake_sendx), LIMIT)


def test_an_exception_of_the_consumer_comes_out_as_it_is(
    fake_sendx: FakeSendX, backend: str
) -> None:
    source = Counting(1000)
    streams: list[AsyncOutcomeStream] = []

    async def main() -> None:
        async with client_of(fake_sendx) as client, client.send_many(source) as stream:
            streams.append(stream)
            async for _ in stream:
                raise LookupError("of the consumer")

    with pytest.raises(LookupError, match="of the consumer"):
        anyio.run(main, backend=backend)
    assert len(streams[0].unclaimed) == source.read - 1


def test_a_cancelled_consumer_cancels_what_is_under_way(
    fake_sendx: FakeSendX, backend: str
) -> None:
    fake_sendx.black_hole(times=None)
    source = Counting(1000)

    async def main() -> AsyncOutcomeStream:
        async with client_of(fake_sendx) as client:
            stream = client.send_many(source)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:

                    async def cancel() -> None:
                        await fake_sendx.until(lambda: len(fake_sendx.requests) == 8, LIMIT)
                        scope.cancel()

                    tasks.start_soon(cancel)
                    async with stream:
                        async for _ in stream:
                            pytest.fail("nothing is answered")
            assert scope.cancelled_caught
            return stream

    stream = anyio.run(main, backend=backend)
    check_that_nothing_is_lost(fake_sendx, stream, [], source.read)
    fake_sendx.wait_for(lambda: nothing_hangs(fake_sendx), LIMIT)


@pytest.mark.asyncio
async def test_a_consumer_that_asyncio_cancels_loses_nothing(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    source = Counting(1000)
    async with client_of(fake_sendx) as client:
        stream = client.send_many(source)

        async def consume() -> None:
            async with stream:
                async for _ in stream:
                    pytest.fail("nothing is answered")

        task = asyncio.create_task(consume())
        await fake_sendx.until(lambda: len(fake_sendx.requests) == 8, LIMIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    check_that_nothing_is_lost(fake_sendx, stream, [], source.read)


@pytest.mark.asyncio
async def test_a_timeout_around_a_stream_ends_it_and_loses_nothing(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    source = Counting(1000)
    async with client_of(fake_sendx) as client:
        stream = client.send_many(source)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), stream:
                await anext(stream)
    check_that_nothing_is_lost(fake_sendx, stream, [], source.read)


def test_leaving_at_once_sends_nothing(fake_sendx: FakeSendX, backend: str) -> None:
    source = Counting(1000)

    async def main() -> AsyncOutcomeStream:
        async with client_of(fake_sendx) as client:
            async with client.send_many(source) as stream:
                pass
            return stream

    stream = anyio.run(main, backend=backend)
    assert source.read == len(stream.unclaimed)
    assert fake_sendx.requests == []


def test_who_looks_for_more_behind_an_early_end_is_told(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            async with client.send_many(contacts(1000)) as stream:
                pass
            left = len(stream.unclaimed)
            with pytest.raises(RuntimeError, match="was left before its end"):
                _ = [outcome async for outcome in stream]
            assert len(stream.unclaimed) == left

    anyio.run(main, backend=backend)


def test_a_stream_that_is_never_opened_costs_nothing(fake_sendx: FakeSendX) -> None:
    source = Counting(10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = client_of(fake_sendx).send_many(source)
        with pytest.raises(RuntimeError, match="has not ended"):
            _ = stream.unclaimed
        del stream
        gc.collect()
    assert source.read == 0


def test_a_source_that_waits_is_left_too(fake_sendx: FakeSendX, backend: str) -> None:
    endings: list[str] = []

    async def source() -> AsyncIterator[IdentifyRequest]:
        try:
            yield IdentifyRequest("jane@example.com")
            await anyio.sleep_forever()
        finally:
            endings.append("closed")

    async def main() -> AsyncOutcomeStream:
        async with client_of(fake_sendx) as client:
            async with client.send_many(source()) as stream:
                outcome = await anext(stream)
                assert outcome.error is None
            assert endings == ["closed"]
            return stream

    assert anyio.run(main, backend=backend).unclaimed == ()


class SourceError(Exception):
    pass


@pytest.mark.parametrize("kind", ["iterable", "asynchronous"])
def test_what_the_source_raises_comes_after_all_that_it_gave(
    fake_sendx: FakeSendX, backend: str, kind: str
) -> None:
    def iterable() -> Iterator[Any]:
        yield from contacts(60)
        raise SourceError("broken file")

    async def asynchronous() -> AsyncIterator[Any]:
        for contact in iterable():
            yield contact

    claimed: list[Outcome] = []

    async def main() -> AsyncOutcomeStream:
        source: Any = iterable() if kind == "iterable" else asynchronous()
        async with client_of(fake_sendx) as client:
            async with client.send_many(source) as stream:
                claimed.extend([await anext(stream) for _ in range(60)])
                with pytest.raises(SourceError, match="broken file"):
                    await anext(stream)
            return stream

    assert anyio.run(main, backend=backend).unclaimed == ()
    assert [outcome.error for outcome in claimed] == [None] * 60
    assert len(fake_sendx.contacts) == 60


@pytest.mark.asyncio
async def test_a_source_that_is_cancelled_by_others_is_not_at_its_end(
    fake_sendx: FakeSendX,
) -> None:
    has_outcome = asyncio.Event()

    async def source() -> AsyncIterator[IdentifyRequest]:
        yield IdentifyRequest("jane@example.com")
        await has_outcome.wait()
        raise asyncio.CancelledError

    async with client_of(fake_sendx) as client, client.send_many(source()) as stream:
        assert (await anext(stream)).error is None
        has_outcome.set()
        with pytest.raises(NotSentError, match="cancelled from outside"):
            await anext(stream)


@pytest.mark.asyncio
async def test_a_source_that_is_cancelled_by_others_ends_the_stream(fake_sendx: FakeSendX) -> None:
    async def source() -> AsyncIterator[IdentifyRequest]:
        yield IdentifyRequest("jane@example.com")
        await fake_sendx.until(lambda: fake_sendx.requests, LIMIT)
        raise asyncio.CancelledError

    fake_sendx.black_hole()
    async with client_of(fake_sendx) as client:
        stream = client.send_many(source())
        with pytest.raises(NotSentError, match="cancelled from outside"):
            async with stream:
                await anext(stream)
    (outcome,) = stream.unclaimed
    assert isinstance(outcome.error, ResponseLost)


def test_a_stream_is_opened_once_and_before_it_is_read(fake_sendx: FakeSendX, backend: str) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client:
            stream = client.send_many(contacts(1))
            with pytest.raises(RuntimeError, match=r"async with client\.send_many"):
                await anext(stream)
            async with stream:
                with pytest.raises(RuntimeError, match="has not ended"):
                    _ = stream.unsent
                assert len([outcome async for outcome in stream]) == 1
                # It stays at its end.
                assert [outcome async for outcome in stream] == []
            with pytest.raises(RuntimeError, match="opened only once"):
                await stream.__aenter__()

    anyio.run(main, backend=backend)


def test_two_consumers_share_the_outcomes_and_both_come_to_the_end(
    fake_sendx: FakeSendX, backend: str
) -> None:
    taken: list[int] = []
    ended: list[int] = []

    async def main() -> None:
        both_wait = anyio.Event()

        async def source() -> AsyncIterator[IdentifyRequest]:
            await both_wait.wait()
            for contact in contacts(60):
                yield contact

        async def consume(number: int) -> None:
            taken.extend([outcome.index async for outcome in stream])
            ended.append(number)

        async with (
            client_of(fake_sendx) as client,
            client.send_many(source()) as stream,
            anyio.create_task_group() as tasks,
        ):
            for number in range(2):
                tasks.start_soon(consume, number)
            await anyio.wait_all_tasks_blocked()
            both_wait.set()

    anyio.run(main, backend=backend)
    assert sorted(taken) == list(range(60))
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize("batch_size", [1, 25])
def test_the_source_is_read_only_as_fast_as_outcomes_are_taken(
    fake_sendx: FakeSendX, backend: str, batch_size: int
) -> None:
    source = Counting(5000)
    ahead: list[int] = []

    async def main() -> None:
        async with (
            client_of(fake_sendx) as client,
            client.send_many(source, concurrency=4, batch_size=batch_size) as stream,
        ):
            # Nobody takes anything: what may be sent is sent, and that is all.
            limit = 2 * 4 * batch_size
            await fake_sendx.until(lambda: len(fake_sendx.contacts) == limit, LIMIT)
            assert source.read == limit
            taken = 0
            async for _ in stream:
                taken += 1
                ahead.append(source.read - taken)
                if taken == 300:
                    break

    anyio.run(main, backend=backend)
    assert max(ahead) <= 2 * 4 * batch_size


def test_a_consumer_that_takes_its_time_does_not_stop_the_sending(
    fake_sendx: FakeSendX, backend: str
) -> None:
    async def main() -> None:
        async with client_of(fake_sendx) as client, client.send_many(contacts(100)) as stream:
            await anext(stream)
            await fake_sendx.until(lambda: len(fake_sendx.contacts) == 100, LIMIT)

    anyio.run(main, backend=backend)


def test_others_run_while_a_stream_is_read(fake_sendx: FakeSendX, backend: str) -> None:
    turns = 0

    async def main() -> None:
        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tick)
            # Not one of them is sent, so that nothing makes the stream wait.
            source: Iterator[Any] = ({} for _ in range(2000))
            async with client_of(fake_sendx) as client, client.send_many(source) as stream:
                assert len([outcome async for outcome in stream]) == 2000
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert turns > 20


INTERRUPTED = """
import asyncio, signal, sys
from sendx_async import AsyncTrackingClient, NotSentError, ResponseLost

signal.signal(signal.SIGINT, signal.default_int_handler)
key, url = sys.argv[1:]
read = 0

def source():
    global read
    while True:
        read += 1
        yield {"email": f"c{read}@example.com"}

async def main():
    taken = 0
    async with AsyncTrackingClient(key, base_url=url, timeout=600) as client:
        stream = client.send_many(source())
        try:
            async with stream:
                async for outcome in stream:
                    taken += 1
        finally:
            kinds = [type(each.error) for each in stream.unclaimed]
            print(taken, read, len(kinds), kinds.count(NotSentError), kinds.count(ResponseLost),
                  kinds.count(type(None)))

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send a SIGINT")
def test_ctrl_c_stops_everything_and_loses_track_of_nothing(fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(200, path="identify/bulk", times=4)
    fake_sendx.black_hole(times=None)
    with child_of(INTERRUPTED, fake_sendx) as child:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) == 12, LIMIT)
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate()
    assert errors == ""
    counts, last = output.splitlines()
    taken, read, unclaimed, unsent, lost, answered = map(int, counts.split())
    assert last == "interrupted"
    assert taken <= 100
    assert read == taken + unclaimed
    hanging = [request for request in fake_sendx.requests if request.status is None]
    assert lost == sum(len(request.json) for request in hanging)
    assert unclaimed == unsent + lost + answered
    assert taken + answered == len(fake_sendx.contacts)
    fake_sendx.wait_for(lambda: nothing_hangs(fake_sendx), LIMIT)


def test_outcomes_come_in_order_of_completion(fake_sendx: FakeSendX, backend: str) -> None:
    fake_sendx.drip(interval=0.01, padding=10_000, path="contact/identify")
    fake_sendx.respond(200)

    async def main() -> None:
        async with (
            client_of(fake_sendx) as client,
            client.send_many(
                [IdentifyRequest("slow@example.com"), TrackRequest("quick@example.com")]
            ) as stream,
        ):
            assert (await anext(stream)).index == 1

    anyio.run(main, backend=backend)
