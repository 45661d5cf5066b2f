"""How a stream keeps to a rate of 200 requests a second, undisturbed and after it was refused.

Counted is what arrives at the server in every second that begins with an arrival.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from functools import partial

import attrs
from _contacts import each, model
from _measure import Finding, options, report, rounds

from sendx_async import AsyncTrackingClient, Rate
from sendx_async.testing import FakeSendX

PER_SECOND = 200
REQUESTS = 1_000
CONCURRENCY = 20  # a rate is reached only if so many requests take less than 100 ms
PAUSE_SECONDS = 1
MOST = ("<=", 1.05)
LEAST = (">=", 0.95)


@attrs.frozen
class Run:
    """A stream as the server saw it.

    Attributes:
        arrivals: When each request arrived, sorted.
        refused_at: When the one arrived that was refused, or before all others if none was.
        cpu: Seconds of processor time of the stream's thread.
    """

    arrivals: Sequence[float]
    refused_at: float
    cpu: float

    def after(self, seconds: float) -> list[float]:
        """The arrivals that came so long after the refusal, or later."""
        return [moment for moment in self.arrivals if moment > self.refused_at + seconds]


def worst_share(arrivals: Sequence[float]) -> float:
    """The most arrivals within a second, wherever it begins, as a share of the rate."""
    worst = oldest = 0
    for newest, moment in enumerate(arrivals):
        while moment - arrivals[oldest] >= 1:
            oldest += 1
        worst = max(worst, newest - oldest + 1)
    return worst / PER_SECOND


def mean_share(arrivals: Sequence[float]) -> float:
    """How many arrived in a second on the average, as a share of the rate."""
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) / PER_SECOND


async def send(server: FakeSendX, *, refuse: bool) -> float:
    """Send a stream, have a request in its middle refused if told to, and return its seconds."""
    taken = 0
    cpu = time.thread_time()  # not the process's: the server has a thread in it
    async with (
        AsyncTrackingClient(server.api_key, base_url=server.url, rate=Rate(PER_SECOND)) as client,
        client.send_many(each(model, REQUESTS), concurrency=CONCURRENCY, batch_size=1) as outcomes,
    ):
        async for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            taken += 1
            if refuse and taken == REQUESTS // 2:
                server.respond(429, retry_after=PAUSE_SECONDS)
    return time.thread_time() - cpu


def run(*, refuse: bool) -> Run:
    server = FakeSendX()
    with server.serving():
        cpu = asyncio.run(send(server, refuse=refuse))
    refused = [request.at for request in server.requests if request.status != 200]
    assert len(refused) == refuse, "one request meets the refusal, and no other trouble comes"
    arrivals = sorted(request.at for request in server.requests)
    return Run(arrivals, max(refused, default=-math.inf), cpu)


def main() -> None:
    arguments = options(__doc__, default_rounds=3)
    runs = rounds(
        {"undisturbed": partial(run, refuse=False), "refused": partial(run, refuse=True)},
        count=arguments.rounds,
    )
    undisturbed = [r.arrivals for r in runs["undisturbed"]]
    refused = runs["refused"]
    resumed = [r.after(PAUSE_SECONDS) for r in refused]
    too_early = [len(r.after(0)) - len(r.after(PAUSE_SECONDS)) for r in refused]
    findings = [
        Finding("the worst second", [worst_share(a) for a in undisturbed], "of the rate", MOST),
        Finding("on the average", [mean_share(a) for a in undisturbed], "of the rate", LEAST),
        Finding("after a 429: in the pause of 1 s", too_early, "requests"),
        Finding(
            "after a 429: the worst second",
            [worst_share(r.after(0)) for r in refused],
            "of the rate",
            MOST,
        ),
        Finding("after the pause: on the average", [mean_share(a) for a in resumed], "of the rate"),
        Finding("a request", [r.cpu / REQUESTS * 1e6 for r in runs["undisturbed"]], "µs CPU"),
    ]
    report(
        f"A stream of {REQUESTS:,} single requests, Rate({PER_SECOND})",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
