"""What a stream makes of a rate: one that it is told, and one that it has to find out.

Told `Rate(200)`, it is counted what arrives in every second that begins with an arrival. The other
server is a token bucket of 20 requests a second that answers 429 to the rest, with ``Retry-After``
in whole seconds, as HTTP has it; the shorter its bucket, the less a stream would get that only
waits and goes on as before.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from functools import partial

import attrs
from _contacts import each, model
from _measure import Finding, options, report, rounds

from sendx_async import AsyncTrackingClient, Rate
from sendx_async.testing import FakeSendX

TOLD = 200
REQUESTS = 1_000
CONCURRENCY = 20  # a rate is reached only if so many requests take less than 100 ms
UNTOLD = 20
SECONDS = 30
BURSTS = (1, 10)


@attrs.frozen
class Told:
    """What came of a rate that the client knows, as shares of it, and its thread's CPU seconds."""

    worst_second: float
    mean: float
    cpu: float


@attrs.frozen
class Untold:
    """What a server let in, as shares of its rate, and how many requests it refused.

    Attributes:
        overall: From the beginning.
        later: In the second half, when the stream knows the rate.
        refused: How many were refused.
    """

    overall: float
    later: float
    refused: int


def most_in_a_second(arrivals: Sequence[float]) -> int:
    """The most arrivals within a second, wherever it begins."""
    most = oldest = 0
    for newest, moment in enumerate(arrivals):
        while moment - arrivals[oldest] >= 1:
            oldest += 1
        most = max(most, newest - oldest + 1)
    return most


def keep_rate() -> Told:
    server = FakeSendX()

    async def send(url: str) -> float:
        cpu = time.thread_time()  # not the process's: the server has a thread in it
        async with (
            AsyncTrackingClient(server.api_key, base_url=url, rate=Rate(TOLD)) as client,
            client.send_many(
                each(model, REQUESTS), concurrency=CONCURRENCY, batch_size=1
            ) as outcomes,
        ):
            async for outcome in outcomes:
                assert outcome.error is None
        return time.thread_time() - cpu

    with server.serving() as url:
        cpu = asyncio.run(send(url))
    arrivals = sorted(request.at for request in server.requests)
    return Told(
        most_in_a_second(arrivals) / TOLD,
        (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / TOLD,
        cpu,
    )


def find_rate(burst: int) -> Untold:
    """Send for some seconds to a server with such a bucket."""
    fake = FakeSendX()
    fake.rate_limit(UNTOLD, burst=burst)

    async def send(url: str) -> None:
        until = time.monotonic() + SECONDS
        async with (
            AsyncTrackingClient(fake.api_key, base_url=url) as client,
            client.send_many(map(model, itertools.count())) as outcomes,
        ):
            async for outcome in outcomes:
                assert outcome.error is None
                if time.monotonic() > until:
                    break

    with fake.serving() as url:
        began = time.monotonic()
        asyncio.run(send(url))
    accepted = [request.at - began for request in fake.requests if request.status == 200]
    later = [moment for moment in accepted if moment > SECONDS / 2]
    return Untold(
        len(accepted) / SECONDS / UNTOLD,
        len(later) / (SECONDS / 2) / UNTOLD,
        len(fake.requests) - len(accepted),
    )


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    told = rounds({"told": keep_rate}, count=arguments.rounds)["told"]
    untold = rounds(
        {f"{UNTOLD} a second, bucket of {burst}": partial(find_rate, burst) for burst in BURSTS},
        count=arguments.rounds,
    )
    share, name = "of the rate", f"Rate({TOLD})"
    findings = [
        Finding(f"{name}: the worst second", [t.worst_second for t in told], share, ("<=", 1.05)),
        Finding(f"{name}: on the average", [t.mean for t in told], share, (">=", 0.95)),
        Finding(f"{name}: a request", [t.cpu / REQUESTS * 1e6 for t in told], "µs CPU"),
    ]
    for name, all_ in untold.items():
        findings += [
            Finding(f"{name}: let in", [each.overall for each in all_], share),
            Finding(f"{name}: later on", [each.later for each in all_], share, (">=", 0.6)),
            Finding(f"{name}: refused", [each.refused for each in all_], "requests"),
        ]
    report("Streams and rates", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
