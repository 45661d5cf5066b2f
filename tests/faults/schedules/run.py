"""Carries a schedule out: a server on a loopback port, a client in an event loop of its own."""

import itertools
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import attrs
from anyio import to_thread

from sendx_async import AsyncTrackingClient, Outcome, RetryPolicy

from .plan import Absence, Schedule
from .watch import Attempt, Exchange, WatchedServer, watched_attempts

_LIMIT = 120.0  # seconds after which a stream counts as stuck


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
    absences: int = 0  # how often the server was stopped meanwhile
    attempts: list[Attempt] = attrs.field(factory=list)
    deliveries: list[Exchange] = attrs.field(factory=list)

    @property
    def results(self) -> list[Outcome]:
        """Every outcome there was."""
        return [*self.outcomes, *self.unclaimed]

    def __str__(self) -> str:
        lines = [str(self.schedule), *map(str, self.deliveries)]
        lines.append(f"the stream's error: {self.error!r}")
        for kind, outcomes in (("outcome", self.outcomes), ("unclaimed", self.unclaimed)):
            for outcome in outcomes:
                end = "delivered" if outcome.error is None else repr(outcome.error)
                lines.append(f"{kind} {outcome.index}: {end}")
        return "\n".join([*lines, "to make the schedule again:", repr(self.schedule)])


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
        source = _source(record)
        stream = client.send_many(
            source,
            concurrency=schedule.concurrency,
            batch_size=schedule.batch_size,
            patience=schedule.patience,
        )
        absence = schedule.absence
        try:
            with anyio.move_on_after(_LIMIT) as limit:
                async with stream:
                    if absence is not None and not absence.after:
                        tasks.start_soon(_be_away, record, server, absence)
                    async for outcome in stream:
                        record.outcomes.append(outcome)
                        taken = len(record.outcomes)
                        if absence is not None and taken == absence.after:
                            tasks.start_soon(_be_away, record, server, absence)
                        if schedule.ending == "left" and taken >= schedule.ends_after:
                            break
            if limit.cancelled_caught:
                record.error = StuckError(f"no end after {_LIMIT:g} s")
        except Exception as error:  # noqa: BLE001 - it is part of the result
            record.error = error
        record.unclaimed = stream.unclaimed
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _be_away(record: Record, server: WatchedServer, absence: Absence) -> None:
    record.absences += 1
    await to_thread.run_sync(server.stop)
    if absence.seconds is not None:
        await anyio.sleep(absence.seconds)
        await to_thread.run_sync(server.start)


def _source(record: Record) -> list[Any] | Generator[Any, None, None] | AsyncGenerator[Any, None]:
    match record.schedule.source:
        case "list":
            return list(_generator(record))
        case "generator":
            return _generator(record)
        case "async generator":
            return _async_generator(record)


def _generator(record: Record) -> Generator[Any, None, None]:
    for request in _requests(record.schedule):
        record.given += 1
        yield request


async def _async_generator(record: Record) -> AsyncGenerator[Any, None]:
    for request in _requests(record.schedule):
        await anyio.lowlevel.checkpoint()
        record.given += 1
        yield request


def _requests(schedule: Schedule) -> Generator[Any, None, None]:
    for index, planned in enumerate(schedule.requests):
        if schedule.ending == "source raises" and index == schedule.ends_after:
            raise SourceError
        yield planned.given(index)
