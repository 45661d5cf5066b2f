"""What putting a request into an outbox takes, against a bare INSERT of the same text.

The bare INSERT goes into a table of (id, put_at, payload) with a write-ahead log and SQLite's own
settings, by a statement that sqlite3 keeps prepared, and each is committed. Its text, which is what
the outbox stores, is made once, as is the request that is put: checking a request and writing its
JSON is part of putting it. A second INSERT writes its JSON each time with json.dumps. With 100
tasks and with 8 threads at once, those that wait for the disk share commits.

All files are in one directory, and TMPDIR says on which disk: in memory FULL costs nothing.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from _contacts import mapping, model
from _contenders import Measure, repeat, timed
from _measure import Cost, Finding, each_cost, options, ratios, report, rounds
from _outboxes import connected, directory, payload_of

from sendx_async import IdentifyRequest
from sendx_async.outbox import Outbox

Synchronous = Literal["FULL", "NORMAL"]

# Some seconds in many rounds, rather than long ones: a disk has bad moments, and a round hits all
# with them. In each block the log fills up at least once, and is moved into the file.
PUTS: Mapping[Synchronous, int] = {"FULL": 500, "NORMAL": 2_500}
TASKS = 100
THREADS = 8
WARM_UP = 50

BARE = "INSERT"
WITH_JSON = "json.dumps, INSERT"
SYNC = "put_sync"
SYNC_MAPPING = "put_sync, mappings"
ASYNC = "await put"
TOGETHER = f"await put, {TASKS} tasks"
THREADED = f"put_sync, {THREADS} threads"
GOALS: Mapping[tuple[str, Synchronous], tuple[str, float]] = {
    (SYNC, "FULL"): (">=", 0.7),
    (SYNC, "NORMAL"): (">=", 0.5),
    (ASYNC, "FULL"): (">=", 0.4),
    (ASYNC, "NORMAL"): (">=", 0.4),
}


@contextmanager
def inserting(path: Path, synchronous: Synchronous, make: Callable[[], str]) -> Iterator[Measure]:
    """Bare statements: what an outbox can't be faster than."""
    with connected(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(
            "CREATE TABLE pending("
            "id INTEGER PRIMARY KEY AUTOINCREMENT, put_at REAL NOT NULL, payload TEXT NOT NULL)"
        )

        def insert(count: int) -> None:
            for _ in range(count):
                connection.execute(
                    "INSERT INTO pending(put_at, payload) VALUES(?, ?)", (time.time(), make())
                )

        def measure(count: int) -> Cost:
            insert(WARM_UP)
            return timed(lambda: insert(count), count)

        yield measure


@contextmanager
def putting(
    path: Path,
    synchronous: Synchronous,
    make: Callable[[], IdentifyRequest | Mapping[str, Any]],
    threads: int,
) -> Iterator[Measure]:
    """`put_sync`, in so many threads at once."""
    with Outbox(path, synchronous=synchronous) as outbox, ThreadPoolExecutor(threads) as pool:

        def put(count: int) -> None:
            for _ in range(count):
                outbox.put_sync(make())

        def measure(count: int) -> Cost:
            if threads == 1:
                put(WARM_UP)
                return timed(lambda: put(count), count)
            list(pool.map(put, [WARM_UP] * threads))
            share = [count // threads] * threads
            return timed(lambda: list(pool.map(put, share)), sum(share))

        yield measure


@contextmanager
def awaiting(path: Path, synchronous: Synchronous, tasks: int) -> Iterator[Measure]:
    """`await put`, in so many tasks at once."""
    request = model(0)
    with Outbox(path, synchronous=synchronous) as outbox, asyncio.Runner() as runner:

        async def call() -> None:
            await outbox.put(request)

        def measure(count: int) -> Cost:
            runner.run(repeat(call, 2 * WARM_UP, tasks))
            return timed(lambda: runner.run(repeat(call, count, tasks)), count)

        yield measure


def measure_all(synchronous: Synchronous, count: int) -> Mapping[str, list[Cost]]:
    request, wire, payload = model(0), mapping(0), payload_of(model(0))
    with directory() as place, ExitStack() as stack:
        numbers = itertools.count()

        def new() -> tuple[Path, Synchronous]:
            return place / f"{next(numbers)}.db", synchronous

        measures = {
            BARE: inserting(*new(), lambda: payload),
            WITH_JSON: inserting(*new(), lambda: json.dumps(wire)),
            SYNC: putting(*new(), lambda: request, 1),
            SYNC_MAPPING: putting(*new(), lambda: wire, 1),
            ASYNC: awaiting(*new(), 1),
            TOGETHER: awaiting(*new(), TASKS),
            THREADED: putting(*new(), lambda: request, THREADS),
        }
        contenders = {
            name: partial(stack.enter_context(measure), PUTS[synchronous])
            for name, measure in measures.items()
        }
        return rounds(contenders, count=count)


def compared(synchronous: Synchronous, costs: Mapping[str, list[Cost]]) -> Iterator[Finding]:
    """What each of those that store costs, and how it compares."""
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    yield from each_cost({f"{synchronous}: {name}": all_ for name, all_ in costs.items()}, "/s")
    for one, other in (
        (SYNC, BARE),
        (ASYNC, BARE),
        (SYNC_MAPPING, BARE),
        (SYNC, WITH_JSON),
        (SYNC_MAPPING, WITH_JSON),
        (ASYNC, WITH_JSON),
        (TOGETHER, ASYNC),
        (THREADED, SYNC),
    ):
        goal = GOALS.get((one, synchronous)) if other == BARE else None
        yield Finding(
            f"{synchronous}: {one} / {other}", ratios(speed[one], speed[other]), "x", goal
        )


def main() -> None:
    arguments = options(__doc__, default_rounds=21)
    findings: list[Finding] = []
    for synchronous in PUTS:
        findings += compared(synchronous, measure_all(synchronous, arguments.rounds))
    report("Putting a request into an outbox", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
