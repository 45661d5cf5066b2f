"""An outbox with 20,000 waiting contacts and ten seconds of outage: what is sent in vain or lost.

The outage begins when 5,000 more have been delivered, so that it meets requests under way. "Burnt"
is what is dead after a run with no repetition allowed, `RetryPolicy(0)`, where a single failure
that was counted against a contact, and not against SendX, would be its end; the other numbers are
of runs with the settings as they come.
"""

import asyncio
import time
from functools import partial
from pathlib import Path

import attrs
from _contacts import model
from _measure import Finding, options, report, rounds
from _outboxes import directory, fill, payload_of
from outage import LATENCY_SECONDS, OUTAGE_SECONDS, OUTAGES, FailedAttempts, Outage, happen

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

WAITING = 20_000
BEFORE = 5_000  # contacts that were delivered when the outage begins
IN_A_REQUEST = 25
MOST_SENT = 200
USUAL = RetryPolicy(5, base=1, cap=60)
STRICT = RetryPolicy(0, base=1, cap=60)
STRICTLY = ", strictly"


@attrs.frozen
class Course:
    """How draining went that met an outage.

    Attributes:
        sent: Requests that failed in the outage, attempts to connect included.
        lost: Contacts that neither SendX nor the outbox has in the end.
        left: Contacts that the outbox still has in the end, dead ones included.
        dead: Contacts that were put aside.
        repeated: Contacts that were applied more than once.
        resumed_after: Seconds from the end of the outage to the next request that was carried out.
        wall: Seconds that draining took.
        cpu: Seconds of processor time of the event loop's thread.
    """

    sent: int
    lost: int
    left: int
    dead: int
    repeated: int
    resumed_after: float
    wall: float
    cpu: float


async def course_of(outage: Outage, server: FakeSendX, path: Path, retry: RetryPolicy) -> Course:
    """Drain an outbox, and let the outage begin while that is under way."""
    failures = FailedAttempts()
    with Outbox(path) as outbox:
        # Not the process's: the server has a thread in it.
        wall, cpu = time.perf_counter(), time.thread_time()
        async with (
            asyncio.TaskGroup() as tasks,
            AsyncTrackingClient(
                server.api_key, base_url=server.url, on_event=failures.note
            ) as client,
        ):
            draining = tasks.create_task(outbox.drain(client, retry=retry))
            await server.until(lambda: len(server.requests) >= BEFORE / IN_A_REQUEST, 60)
            over_at = await happen(outage, server)
            await draining
        wall, cpu = time.perf_counter() - wall, time.thread_time() - cpu
        stats = outbox.stats()
    requests = server.requests
    refused = sum(request.status not in {None, 200} for request in requests)
    applied = sum(
        len(request.json) if isinstance(request.json, list) else 1
        for request in requests
        if request.applied
    )
    left = stats.pending + stats.dead + stats.uncertain
    return Course(
        # Whoever is refused a connection is seen by the client alone.
        sent=max(refused, failures.count),
        lost=BEFORE + WAITING - len(server.contacts) - left,
        left=left,
        dead=stats.dead + stats.uncertain,
        repeated=applied - len(server.contacts),
        resumed_after=min(
            request.at - over_at for request in requests if request.applied and request.at > over_at
        ),
        wall=wall,
        cpu=cpu,
    )


def course(outage: Outage, retry: RetryPolicy) -> Course:
    server = FakeSendX()
    server.latency = LATENCY_SECONDS
    with directory() as place, server.serving():
        path = place / "outbox.db"
        fill(path, payload_of(model(0)), BEFORE + WAITING)
        return asyncio.run(course_of(outage, server, path, retry))


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    courses = rounds(
        {
            f"{name}{which}": partial(course, outage, retry)
            for name, outage in OUTAGES.items()
            for which, retry in (("", USUAL), (STRICTLY, STRICT))
        },
        count=arguments.rounds,
    )
    findings: list[Finding] = []
    for name in OUTAGES:
        all_, strict = courses[name], courses[f"{name}{STRICTLY}"]
        findings += [
            Finding(f"{name}: sent in vain", [c.sent for c in all_], "", ("<", MOST_SENT)),
            Finding(f"{name}: attempts burnt", [c.dead for c in strict], "", ("=", 0)),
            Finding(f"{name}: dead", [c.dead for c in all_], "", ("=", 0)),
            Finding(f"{name}: lost", [c.lost for c in all_], "", ("=", 0)),
            Finding(f"{name}: still waiting", [c.left for c in all_], "", ("=", 0)),
            Finding(f"{name}: applied twice", [c.repeated for c in all_], ""),
            Finding(f"{name}: went on after", [c.resumed_after for c in all_], "s"),
            Finding(f"{name}: until all were delivered", [c.wall for c in all_], "s"),
            Finding(
                f"{name}: a contact, in the event loop",
                [c.cpu / (BEFORE + WAITING) * 1e6 for c in all_],
                "µs CPU",
            ),
        ]
    report(
        f"An outbox with {WAITING:,} waiting contacts, out for {OUTAGE_SECONDS:.0f} s",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
