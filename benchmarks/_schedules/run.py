"""Carries a schedule out: a server on a loopback port, a client in an event loop of its own."""

import itertools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

import anyio
import attrs
from _schedules.plan import Schedule
from _schedules.watch import Attempt, Delivery, WatchedServer, watched_attempts
from anyio import to_thread

from sendx_async import AsyncTrackingClient, Outcome, RetryPolicy

_LIMIT = 30.0  # seconds after which a stream counts as stuck


class SourceError(Exception):
    """What a source raises, if the schedule says so."""


class StuckError(Exception):
    """The stream came to no end."""


@attrs.define
class Record:
    """What a schedule came to, from the client's side and from the server's."""

    schedule: Schedule
    given: int = 0  # requests that the source gave
    outcomes: list[Outcome] = attrs.field(factory=list)  # as they were taken
    unclaimed: tuple[Outcome, ...] = ()
    error: Exception | None = None
    attempts: list[Attempt] = attrs.field(factory=list)
    deliveries: list[Delivery] = attrs.field(factory=list)

    def __str__(self) -> str:
        ends = [f"the stream's error: {self.error!r}"]
        for name, outcomes in (("outcome", self.outcomes), ("unclaimed", self.unclaimed)):
            ends += [f"{name} {each.index}: {each.error or 'delivered'!r}" for each in outcomes]
        return "\n".join([str(self.schedule), *map(str, self.deliveries), *ends])


def carry_out(schedule: Schedule, backend: str) -> Record:
    """Send a schedule's requests and give what came of it, when the server has stopped."""
    record = Record(schedule)
    tick = itertools.count().__next__
    server = WatchedServer(schedule, tick)
    with watched_attempts(tick) as record.attempts, server.serving():
        anyio.run(_send, record, server, backend=backend)
    record.deliveries = server.deliveries(record.attempts)
    return record


async def _send(record: Record, server: WatchedServer) -> None:
    schedule = record.schedule
    async with (
        AsyncTrackingClient(
            server.api_key,
            base_url=server.url,
            timeout=schedule.timeout,
            retry=RetryPolicy(schedule.max_retries, base=0.001, cap=0.01),
        ) as client,
        anyio.create_task_group() as tasks,
    ):
        stream = client.send_many(
            _source(record),
            concurrency=schedule.concurrency,
            batch_size=schedule.batch_size,
            patience=schedule.patience,
        )
        absence = schedule.absence
        try:
            with anyio.move_on_after(_LIMIT) as limit:
                async with stream:
                    if absence is not None and not absence.after:
                        tasks.start_soon(_be_away, server, absence.seconds)
                    async for outcome in stream:
                        record.outcomes.append(outcome)
                        taken = len(record.outcomes)
                        if absence is not None and taken == absence.after:
                            tasks.start_soon(_be_away, server, absence.seconds)
                        if schedule.ending == "left" and taken >= schedule.ends_after:
                            break
            if limit.cancelled_caught:
                record.error = StuckError(f"no end after {_LIMIT:g} s")
        except Exception as error:  # noqa: BLE001 - it is part of the result
            record.error = error
        record.unclaimed = stream.unclaimed


async def _be_away(server: WatchedServer, seconds: float | None) -> None:
    await to_thread.run_sync(server.stop)
    if seconds is not None:
        await anyio.sleep(seconds)
        await to_thread.run_sync(server.start)


def _source(record: Record) -> Iterable[Any] | AsyncIterable[Any]:
    match record.schedule.source:
        case "list":
            return list(_generator(record))
        case "generator":
            return _generator(record)
        case "async generator":
            return _async_generator(record)


def _generator(record: Record) -> Iterator[Any]:
    for request in _requests(record.schedule):
        record.given += 1
        yield request


async def _async_generator(record: Record) -> AsyncIterator[Any]:
    for request in _requests(record.schedule):
        await anyio.lowlevel.checkpoint()
        record.given += 1
        yield request


def _requests(schedule: Schedule) -> Iterator[Any]:
    for index, planned in enumerate(schedule.requests):
        if schedule.ending == "source raises" and index == schedule.ends_after:
            raise SourceError
        yield planned.given(index)
