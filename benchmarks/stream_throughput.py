"""Contacts per second of a stream, against the official SDK with the threads that suit it best."""

import importlib
import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from _contacts import each, mapping, model
from _contenders import KEY, Measure, measure_async, official_sdk, repeat, timed
from _measure import Cost, Finding, each_cost, options, ratios, report, rounds
from _server import server_on_another_core

from sendx_async import AsyncTrackingClient, TrackingClient

THREADS = (1, 2, 4, 8, 16)
GOAL = (">=", 8)
BATCH = 25
CONCURRENCY = 8
WARM_UP = 2 * CONCURRENCY * BATCH
CONTACTS = 20_000
OFFICIAL_CALLS = 1_600

OURS = "send_many"
BULK = "identify_contacts"
OFFICIAL = "official SDK"
ENCODERS = ("json", "orjson")


@contextmanager
def stream(base_url: str, contact: Callable[[int], Any]) -> Iterator[Measure]:
    client = AsyncTrackingClient(KEY, base_url=base_url)

    async def send(contacts: int) -> None:
        outcomes = client.send_many(
            each(contact, contacts), concurrency=CONCURRENCY, batch_size=BATCH
        )
        async with outcomes:
            async for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error

    with measure_async(send, client.aclose, warm_up=WARM_UP) as measure:
        yield measure


@contextmanager
def sync_stream(base_url: str, contact: Callable[[int], Any]) -> Iterator[Measure]:
    with TrackingClient(KEY, base_url=base_url) as client:

        def send(contacts: int) -> None:
            outcomes = client.send_many(
                each(contact, contacts), concurrency=CONCURRENCY, batch_size=BATCH
            )
            with outcomes:
                for outcome in outcomes:
                    if outcome.error is not None:
                        raise outcome.error

        def measure(contacts: int) -> Cost:
            send(WARM_UP)
            return timed(lambda: send(contacts), contacts)

        yield measure


@contextmanager
def bulk_requests(base_url: str) -> Iterator[Measure]:
    """The requests that a stream makes, without the stream: what it can't be faster than."""
    client = AsyncTrackingClient(KEY, base_url=base_url)
    numbers = itertools.count()

    async def call() -> None:
        await client.identify_contacts([model(next(numbers)) for _ in range(BATCH)])

    async def send(contacts: int) -> None:
        await repeat(call, contacts // BATCH, CONCURRENCY)

    with measure_async(send, client.aclose, warm_up=WARM_UP) as measure:
        yield measure


def encoding(encode: Callable[[Any], object]) -> Measure:
    """Only the JSON of the batches, from dicts to bytes."""
    batch = list(each(mapping, BATCH))

    def measure(contacts: int) -> Cost:
        def work() -> None:
            for _ in range(contacts // BATCH):
                encode(batch)

        return timed(work, contacts)

    return measure


def encodings() -> dict[str, Measure]:
    """The standard library's JSON, set as this library sets it, and orjson if it is installed."""
    to_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    found = {"json": encoding(lambda batch: to_text(batch).encode("ascii"))}
    if importlib.util.find_spec("orjson") is not None:
        found["orjson"] = encoding(importlib.import_module("orjson").dumps)
    return found


def tries(base_url: str) -> dict[int, float]:
    """Calls per second of the official SDK by the number of its threads, each tried once."""
    speeds: dict[int, float] = {}
    for threads in THREADS:
        with official_sdk(base_url, threads) as measure:
            speeds[threads] = measure(OFFICIAL_CALLS).calls_per_second
    return speeds


def measure_all(base_url: str, threads: int, count: int) -> Mapping[str, list[Cost]]:
    with (
        stream(base_url, model) as of_models,
        stream(base_url, mapping) as of_mappings,
        sync_stream(base_url, model) as synchronous,
        bulk_requests(base_url) as bulk,
        official_sdk(base_url, threads) as official,
    ):
        measures = {
            OURS: of_models,
            f"{OURS}, mappings": of_mappings,
            f"{OURS}, sync": synchronous,
            BULK: bulk,
            **encodings(),
        }
        contenders = {name: partial(measure, CONTACTS) for name, measure in measures.items()}
        contenders[OFFICIAL] = partial(official, OFFICIAL_CALLS)
        return rounds(contenders, count=count)


def compared(costs: Mapping[str, list[Cost]]) -> Iterator[Finding]:
    """What each of those that send costs, and how it compares with the official SDK."""
    senders = {name: all_ for name, all_ in costs.items() if name not in ENCODERS}
    speed = {name: [cost.calls_per_second for cost in all_] for name, all_ in senders.items()}
    cpu = {name: [cost.cpu_microseconds for cost in all_] for name, all_ in senders.items()}
    yield from each_cost(senders, "contacts/s")
    for name in senders:
        if name != OFFICIAL:
            yield Finding(
                f"{name} / {OFFICIAL}",
                ratios(speed[name], speed[OFFICIAL]),
                "x",
                GOAL if name == OURS else None,
            )
    yield Finding(f"{OURS} / {OFFICIAL}, processor time", ratios(cpu[OURS], cpu[OFFICIAL]), "x")
    yield Finding(f"{OURS} / {BULK}, processor time", ratios(cpu[OURS], cpu[BULK]), "x")


def shares_of_json(costs: Mapping[str, list[Cost]]) -> Iterator[Finding]:
    """What each JSON encoder takes of a contact's time in the stream."""
    whole = [cost.wall_microseconds for cost in costs[OURS]]
    for name in costs:
        if name in ENCODERS:
            microseconds = [cost.wall_microseconds for cost in costs[name]]
            yield Finding(f"{name}: encode a contact", microseconds, "µs wall")
            share = [100 * part for part in ratios(microseconds, whole)]
            yield Finding(f"{name}: share of {OURS}", share, "%")


def main() -> None:
    arguments = options(__doc__)
    with server_on_another_core() as server:
        url = server.url("ok")
        speeds = tries(url)
        best = max(speeds, key=speeds.__getitem__)
        costs = measure_all(url, best, arguments.rounds)
    findings = [
        Finding(
            f"{OFFICIAL}, tried with {threads} at once{': the best' if threads == best else ''}",
            [speed],
            "contacts/s",
        )
        for threads, speed in speeds.items()
    ]
    findings += compared(costs)
    findings += shares_of_json(costs)
    report(
        f"Streams: {CONCURRENCY} requests at once, {BATCH} contacts each; the official SDK sends "
        f"one contact a request, {best} at once",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
