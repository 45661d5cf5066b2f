"""A stream of 20,000 contacts through ten seconds of outage: what is sent in vain, what is lost."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import attrs
from _contacts import each, model
from _measure import Finding, options, report, rounds

from sendx_async import AsyncTrackingClient, Event
from sendx_async.testing import FakeSendX

CONTACTS = 20_000
BEFORE = 5_000  # contacts that were delivered when the outage begins
OUTAGE_SECONDS = 10.0
LATENCY_SECONDS = 0.05  # with eight requests at once the stream takes at least five seconds
MOST_SENT = 200


@attrs.frozen
class Course:
    """How a stream went that met an outage.

    Attributes:
        sent: Requests that failed in the outage, attempts to connect included.
        lost: Contacts that SendX doesn't have in the end.
        failed: Requests that the stream called failed, or said nothing of.
        resumed_after: Seconds from the end of the outage to the next request that was carried out.
        wall: Seconds that the stream took.
        cpu: Seconds of processor time of the stream's thread.
    """

    sent: int
    lost: int
    failed: int
    resumed_after: float
    wall: float
    cpu: float


Outage = Callable[[FakeSendX], AbstractContextManager[None]]


@contextmanager
def unavailable(server: FakeSendX) -> Iterator[None]:
    server.respond(503, times=None)
    yield
    _recover(server)


@contextmanager
def told_to_wait(server: FakeSendX) -> Iterator[None]:
    server.respond(429, retry_after=1, times=None)
    yield
    _recover(server)


@contextmanager
def connections_refused(server: FakeSendX) -> Iterator[None]:
    server.stop()
    yield
    server.start()


OUTAGES: dict[str, Outage] = {
    "503": unavailable,
    "connections refused": connections_refused,
    "429, Retry-After: 1": told_to_wait,
}


def _recover(server: FakeSendX) -> None:
    server.recover()
    server.latency = LATENCY_SECONDS


class FailedAttempts:
    """Counts the attempts of a client that failed."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, event: Event) -> None:
        self.count += event.kind == "attempt_finished" and event.error is not None


async def happen(outage: Outage, server: FakeSendX) -> float:
    """Let the outage begin and end, and return the moment of its end."""

    def block() -> float:
        with outage(server):
            time.sleep(OUTAGE_SECONDS)
        return time.monotonic()

    return await asyncio.to_thread(block)


async def course_of(outage: Outage, server: FakeSendX) -> Course:
    """Send a stream, and let the outage begin in the middle of it."""
    failures = FailedAttempts()
    delivered = 0
    happening: asyncio.Task[float] | None = None
    # Not the process's: the server has a thread in it.
    wall, cpu = time.perf_counter(), time.thread_time()
    async with (
        asyncio.TaskGroup() as tasks,
        AsyncTrackingClient(server.api_key, base_url=server.url, on_event=failures.note) as client,
        client.send_many(each(model, CONTACTS)) as outcomes,
    ):
        async for outcome in outcomes:
            delivered += outcome.error is None
            if delivered == BEFORE and happening is None:
                happening = tasks.create_task(happen(outage, server))
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    assert happening is not None, "the outage must begin before the stream is over"
    over_at = happening.result()
    requests = server.requests
    refused = sum(request.status not in {None, 200} for request in requests)
    return Course(
        # Whoever is refused a connection is seen by the client alone.
        sent=max(refused, failures.count),
        lost=CONTACTS - len(server.contacts),
        failed=CONTACTS - delivered,
        resumed_after=min(
            request.at - over_at for request in requests if request.applied and request.at > over_at
        ),
        wall=wall,
        cpu=cpu,
    )


def course(outage: Outage) -> Course:
    server = FakeSendX()
    server.latency = LATENCY_SECONDS
    with server.serving():
        return asyncio.run(course_of(outage, server))


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    courses = rounds(
        {name: partial(course, outage) for name, outage in OUTAGES.items()},
        count=arguments.rounds,
    )
    findings: list[Finding] = []
    for name, all_ in courses.items():
        findings += [
            Finding(f"{name}: sent in vain", [c.sent for c in all_], "", ("<", MOST_SENT)),
            Finding(f"{name}: lost", [c.lost for c in all_], "", ("=", 0)),
            Finding(f"{name}: failed", [c.failed for c in all_], "", ("=", 0)),
            Finding(f"{name}: went on after", [c.resumed_after for c in all_], "s"),
            Finding(f"{name}: the whole stream", [c.wall for c in all_], "s"),
            Finding(f"{name}: a contact", [c.cpu / CONTACTS * 1e6 for c in all_], "µs CPU"),
        ]
    report(
        f"A stream of {CONTACTS:,} contacts, out for {OUTAGE_SECONDS:.0f} s",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
