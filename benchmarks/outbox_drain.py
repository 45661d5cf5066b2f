"""Deliveries per second of an outbox that is drained, against the official SDK's calls.

The outbox is filled before, and drained to its end by `Outbox.drain`, each delivery written down as
it comes: 8 or 32 requests at once, and 25 contacts share one where SendX has an endpoint for that.
Tracks have none, and events must not be sent twice, so that each is noted on the disk before it is
sent, also where puts don't wait for the disk (NORMAL). The official SDK identifies the same
contacts, with the threads that suit it best, and stores nothing.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import attrs
from _contacts import model
from _contenders import KEY, Measure, official_sdk, timed
from _measure import Cost, Finding, each_cost, options, ratios, report, rounds
from _outboxes import FIRST, Storable, directory, fill, payload_of
from _server import server_on_another_core
from stream_throughput import OFFICIAL_CALLS, stream, tries

from sendx_async import AsyncTrackingClient, CustomEventRequest, TrackRequest
from sendx_async.outbox import Outbox

Synchronous = Literal["FULL", "NORMAL"]

GOAL = (">=", 3)
GOAL_OF_EVENTS = ("<=", 1.15)
WARM_UP = 400

IDENTIFIES = "outbox, identifies"
TRACKS = "outbox, tracks"
EVENTS = "outbox, events"
STREAM = "send_many"
OFFICIAL = "official SDK"
CONCURRENCY = 8
IDENTIFIED = 20_000
ONE_BY_ONE = 2_000
MANY_AT_ONCE = (CONCURRENCY, 32)


@attrs.frozen
class Draining:
    """What is drained, and how."""

    request: Storable
    count: int
    concurrency: int = CONCURRENCY
    synchronous: Synchronous = "FULL"


def one_by_one(what: str, concurrency: int, synchronous: Synchronous) -> str:
    """What the draining of requests is called that have no endpoint for several contacts."""
    return f"{what}, {concurrency} at once, {synchronous}"


def drainings() -> dict[str, Draining]:
    track = TrackRequest(FIRST, add_tags=["new_user"], remove_tags=["vip"])
    event = CustomEventRequest(FIRST, "signed_up", data={"plan": "premium"}, time=1_700_000_000)
    found = {IDENTIFIES: Draining(model(0), IDENTIFIED)}
    for concurrency in MANY_AT_ONCE:
        for synchronous in get_args(Synchronous):
            for what, request in ((TRACKS, track), (EVENTS, event)):
                name = one_by_one(what, concurrency, synchronous)
                found[name] = Draining(request, ONE_BY_ONE, concurrency, synchronous)
    return found


@contextmanager
def draining(base_url: str, path: Path, what: Draining) -> Iterator[Measure]:
    """Drains as many requests like this one as it is told, which wait when it begins."""
    payload = payload_of(what.request)
    client = AsyncTrackingClient(KEY, base_url=base_url, max_connections=max(MANY_AT_ONCE))
    with asyncio.Runner() as runner, Outbox(path, synchronous=what.synchronous) as outbox:

        def drain(count: int) -> Cost:
            fill(path, payload, count)
            cost = timed(
                lambda: runner.run(outbox.drain(client, concurrency=what.concurrency)), count
            )
            stats = outbox.stats()
            assert not stats.pending + stats.dead + stats.uncertain, stats
            return cost

        def measure(count: int) -> Cost:
            drain(WARM_UP)
            return drain(count)

        try:
            yield measure
        finally:
            runner.run(client.aclose())


def measure_all(base_url: str, threads: int, count: int) -> Mapping[str, list[Cost]]:
    with (
        directory() as place,
        ExitStack() as stack,
        stream(base_url, model) as streaming,
        official_sdk(base_url, threads) as official,
    ):
        contenders = {
            name: partial(
                stack.enter_context(draining(base_url, place / f"{name}.db", what)), what.count
            )
            for name, what in drainings().items()
        }
        contenders[STREAM] = partial(streaming, IDENTIFIED)
        contenders[OFFICIAL] = partial(official, OFFICIAL_CALLS)
        return rounds(contenders, count=count)


def compared(costs: Mapping[str, list[Cost]]) -> Iterator[Finding]:
    """What each of those that send costs, and how it compares with the official SDK."""
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in costs.items()}
    cpu = {name: [cost.cpu_microseconds for cost in all_] for name, all_ in costs.items()}
    yield from each_cost(costs, "/s")
    for name in drainings():
        goal = GOAL if name == IDENTIFIES else None
        yield Finding(f"{name} / {OFFICIAL}", ratios(speed[name], speed[OFFICIAL]), "x", goal)
    for concurrency in MANY_AT_ONCE:
        for synchronous in get_args(Synchronous):
            events = one_by_one(EVENTS, concurrency, synchronous)
            tracks = one_by_one(TRACKS, concurrency, synchronous)
            times = ratios(speed[tracks], speed[events])
            yield Finding(f"{events} / tracks, time", times, "x", GOAL_OF_EVENTS)
    for other in (OFFICIAL, STREAM):
        share = ratios(cpu[IDENTIFIES], cpu[other])
        yield Finding(f"{IDENTIFIES} / {other}, processor time", share, "x")


def main() -> None:
    arguments = options(__doc__)
    with server_on_another_core() as server:
        url = server.url("ok")
        speeds = tries(url)
        best = max(speeds, key=speeds.__getitem__)
        costs = measure_all(url, best, arguments.rounds)
    report(
        f"Draining an outbox; the official SDK calls {best} at once",
        list(compared(costs)),
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
