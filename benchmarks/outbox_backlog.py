"""Whether an outbox is as fast with 1,000,000 waiting requests as with 1,000.

Putting and `stats` are timed as anyone calls them. The drainer's next fetch is a page of 200 rows
as the drainer's thread reads them, `_backlog.read`, at places all over the file. Its start is the
time from entering `Outbox.draining` until a server, which refuses everything, has the first
request. A first put is made in a new process, after its imports. What is put is deleted again, so
that the sizes stay as they are. Processor time of the drainer's start is that of its event loop's
thread.

The files are filled by SQL, with the rows that putting would have stored. They are in TMPDIR, some
300 MB, and have been read before, so that what the system keeps in memory comes from there.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import attrs
from _contacts import model
from _contenders import timed
from _measure import Cost, Finding, options, ratios, report, rounds
from _outboxes import connected, directory, fill, payload_of

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox
from sendx_async.outbox import _backlog as backlog
from sendx_async.testing import FakeSendX

FEW = 1_000
MANY = 1_000_000
MOST = 2 * MANY
GOAL = ("<=", 2)

PUT_NORMAL = "put_sync, NORMAL"
PUT_FULL = "put_sync, FULL"
FETCH = "the drainer's next fetch"
START = "the drainer's start"
FIRST_PUT = "first put of a process"
STATS = "stats"
KINDS = {
    PUT_NORMAL: GOAL,
    PUT_FULL: GOAL,
    FETCH: GOAL,
    START: None,
    FIRST_PUT: None,
    STATS: None,
}
IN_A_PAGE = 200
PLACES = 25


@attrs.frozen
class File:
    """An outbox's file, in which so many requests wait."""

    path: Path
    rows: int

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def trim(self) -> None:
        """Delete what was put since it was filled."""
        with connected(self.path) as connection:
            connection.execute("DELETE FROM pending WHERE id > ?", (self.rows,))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def put(file: File, outbox: Outbox, count: int) -> Cost:
    """Put one after the other; the first, which opens the file, isn't timed."""
    request = model(0)

    def work() -> None:
        for _ in range(count):
            outbox.put_sync(request)

    outbox.put_sync(request)
    cost = timed(work, count)
    file.trim()
    return cost


def fetch(file: File) -> Cost:
    """Read pages as the drainer's thread does."""
    step = (file.rows - IN_A_PAGE) // (PLACES - 1)

    with connected(file.path) as connection:

        def read() -> None:
            for number in range(PLACES):
                page = backlog.read(connection, after=number * step, most=IN_A_PAGE)
                assert len(page.rows) == IN_A_PAGE, "or it is no page any more"

        backlog.read(connection, after=0, most=IN_A_PAGE)
        return timed(read, PLACES)


async def first_request(server: FakeSendX, file: File) -> Cost:
    """Start a drainer, and stop it when it has sent something."""
    async with AsyncTrackingClient(server.api_key, base_url=server.url) as client:
        with Outbox(file.path) as outbox:
            begun, cpu = time.monotonic(), time.thread_time()
            async with outbox.draining(client, grace=0.1):
                await server.until(lambda: server.requests)
                cpu = time.thread_time() - cpu
    return Cost(1, server.requests[0].at - begun, cpu)


def start(file: File) -> Cost:
    server = FakeSendX()
    server.respond(503, times=None)
    with server.serving():
        return asyncio.run(first_request(server, file))


def put_in_this_process(path: str) -> Cost:
    with Outbox(path, max_pending=MOST) as outbox:
        return timed(lambda: outbox.put_sync(model(0)), 1)


def first_put(file: File) -> Cost:
    command = [sys.executable, __file__, "--child", str(file.path)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    file.trim()
    wall, cpu = map(float, child.stdout.split())
    return Cost(1, wall, cpu)


def count(outbox: Outbox) -> Cost:
    return timed(outbox.stats, 1)


def contenders(file: File, stack: ExitStack) -> Iterator[tuple[str, Callable[[], Cost]]]:
    """What is timed with this file."""
    normal = stack.enter_context(Outbox(file.path, synchronous="NORMAL", max_pending=MOST))
    full = stack.enter_context(Outbox(file.path, max_pending=MOST))
    yield PUT_NORMAL, partial(put, file, normal, 2_000)
    yield PUT_FULL, partial(put, file, full, 1_000)
    yield FETCH, partial(fetch, file)
    yield START, partial(start, file)
    yield FIRST_PUT, partial(first_put, file)
    yield STATS, partial(count, full)


def measure_all(files: Sequence[File], repeats: int) -> Mapping[str, list[Cost]]:
    with ExitStack() as stack:
        by_file = [(file, dict(contenders(file, stack))) for file in files]
        # The two sizes of one kind right after each other, since they are compared.
        return rounds(
            {named(what, file.rows): all_[what] for what in KINDS for file, all_ in by_file},
            count=repeats,
        )


def named(what: str, waiting: int) -> str:
    return f"{what}, {waiting:,}"


def compared(costs: Mapping[str, list[Cost]]) -> Iterator[Finding]:
    """What each thing takes with few and with many, and how that compares."""
    for name, all_ in costs.items():
        yield Finding(name, [cost.wall_microseconds for cost in all_], "µs wall")
    for name, all_ in costs.items():
        yield Finding(name, [cost.cpu_microseconds for cost in all_], "µs CPU")
    for what, goal in KINDS.items():
        few, many = ([cost.wall for cost in costs[named(what, size)]] for size in (FEW, MANY))
        yield Finding(f"{what}: {MANY:,} / {FEW:,}", ratios(many, few), "x", goal)


def main() -> None:
    arguments = options(__doc__)
    payload = payload_of(model(0))
    with directory() as place:
        files = [File(place / f"{count}.db", count) for count in (FEW, MANY)]
        for file in files:
            fill(file.path, payload, file.rows)
        findings = list(compared(measure_all(files, arguments.rounds)))
        size = files[-1].size / MANY
    findings += [
        Finding("what is stored of a request", [len(payload)], "bytes"),
        Finding(f"the file of {MANY:,}, a request", [size], "bytes"),
    ]
    report(
        f"An outbox in which {MANY:,} requests wait, and one with {FEW:,}",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        cost = put_in_this_process(sys.argv[2])
        print(cost.wall, cost.cpu)
    else:
        main()
