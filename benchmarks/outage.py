"""A stream and an outbox through ten seconds of outage: what is sent in vain, how soon they go on.

The outage begins when 5,000 contacts have been delivered, so that it meets requests under way.
That nothing is lost, fails or dies of it is what tests are for; here it only has to be so.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import attrs
from _contacts import each, model
from _measure import Finding, options, report, rounds
from _outboxes import directory, fill, payload_of

from sendx_async import AsyncTrackingClient, Event
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

CONTACTS = 20_000
BEFORE = 5_000  # contacts that were delivered when the outage begins
IN_A_REQUEST = 25
OUTAGE_SECONDS = 10.0
LATENCY_SECONDS = 0.05  # with eight requests at once it all takes at least five seconds
MOST_SENT = 200


@attrs.frozen
class Course:
    """How it went.

    Attributes:
        sent: Requests that failed in the outage, attempts to connect included.
        resumed_after: Seconds from the end of the outage to the next request that was carried out.
        wall: Seconds that it all took.
        cpu: Seconds of processor time of the event loop's thread.
    """

    sent: int
    resumed_after: float
    wall: float
    cpu: float


Outage = Callable[[FakeSendX], AbstractContextManager[None]]
Send = Callable[[AsyncTrackingClient], Coroutine[Any, Any, object]]


@contextmanager
def answers(server: FakeSendX, status: int, **options: Any) -> Iterator[None]:
    server.respond(status, times=None, **options)
    yield
    server.recover()
    server.latency = LATENCY_SECONDS


@contextmanager
def connections_refused(server: FakeSendX) -> Iterator[None]:
    server.stop()
    yield
    server.start()


OUTAGES: dict[str, Outage] = {
    "503": partial(answers, status=503),
    "connections refused": connections_refused,
    "429, Retry-After: 1": partial(answers, status=429, retry_after=1),
}


async def course_of(outage: Outage, server: FakeSendX, send: Send) -> Course:
    """Send everything, with an outage in the midst of it."""
    failures = 0

    def note(event: Event) -> None:
        nonlocal failures
        failures += event.kind == "attempt_finished" and event.error is not None

    def block() -> float:
        with outage(server):
            time.sleep(OUTAGE_SECONDS)
        return time.monotonic()

    # Not the process's: the server has a thread in it.
    wall, cpu = time.perf_counter(), time.thread_time()
    async with (
        asyncio.TaskGroup() as tasks,
        AsyncTrackingClient(server.api_key, base_url=server.url, on_event=note) as client,
    ):
        sending = tasks.create_task(send(client))
        await server.until(lambda: len(server.requests) >= BEFORE / IN_A_REQUEST, 60)
        over_at = await asyncio.to_thread(block)
        await sending
    wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
    requests = server.requests
    assert len(server.contacts) == CONTACTS, "all are delivered in the end"
    return Course(
        # Whoever is refused a connection is seen by the client alone.
        sent=max(sum(each.status not in {None, 200} for each in requests), failures),
        resumed_after=min(
            each.at - over_at for each in requests if each.applied and each.at > over_at
        ),
        wall=wall,
        cpu=cpu,
    )


async def send_stream(client: AsyncTrackingClient) -> None:
    async with client.send_many(each(model, CONTACTS)) as outcomes:
        async for outcome in outcomes:
            assert outcome.error is None


def course(outage: Outage, *, is_outbox: bool) -> Course:
    server = FakeSendX()
    server.latency = LATENCY_SECONDS
    with server.serving():
        if not is_outbox:
            return asyncio.run(course_of(outage, server, send_stream))
        with directory() as place:
            path = place / "outbox.db"
            fill(path, payload_of(model(0)), CONTACTS)
            with Outbox(path) as outbox:
                return asyncio.run(course_of(outage, server, outbox.drain))


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    courses = rounds(
        {
            f"{sender}, {name}": partial(course, outage, is_outbox=sender == "outbox")
            for sender in ("stream", "outbox")
            for name, outage in OUTAGES.items()
        },
        count=arguments.rounds,
    )
    findings: list[Finding] = []
    for name, all_ in courses.items():
        findings += [
            Finding(f"{name}: sent in vain", [c.sent for c in all_], "", ("<", MOST_SENT)),
            Finding(f"{name}: went on after", [c.resumed_after for c in all_], "s"),
            Finding(f"{name}: it all took", [c.wall for c in all_], "s"),
            Finding(f"{name}: a contact", [c.cpu / CONTACTS * 1e6 for c in all_], "µs CPU"),
        ]
    report(
        f"{CONTACTS:,} contacts, out for {OUTAGE_SECONDS:.0f} s", findings, json_file=arguments.json
    )


if __name__ == "__main__":
    main()
