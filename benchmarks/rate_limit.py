"""What a stream gets out of a server that lets 20 requests a second in and tells nobody so.

The server is a token bucket that answers 429 with ``Retry-After`` in whole seconds, as HTTP has it;
the shorter its bucket, the less a stream would get that only waits and goes on as before.
"""

import asyncio
import itertools
import time
from functools import partial

import attrs
from _contacts import model
from _measure import Finding, options, report, rounds

from sendx_async import AsyncTrackingClient
from sendx_async.testing import FakeSendX

PER_SECOND = 20
SECONDS = 30
BURSTS = (1, 10)
LEAST = (">=", 0.6)


@attrs.frozen
class Share:
    """Requests that were let in, of those that could have been.

    Attributes:
        overall: From the beginning.
        later: In the second half, when the stream knows the rate.
        refused: How many were refused.
    """

    overall: float
    later: float
    refused: int


def measure(burst: int) -> Share:
    """Send for some seconds to a server with such a bucket."""
    fake = FakeSendX()
    fake.rate_limit(PER_SECOND, burst=burst)

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
    return Share(
        len(accepted) / SECONDS / PER_SECOND,
        len(later) / (SECONDS / 2) / PER_SECOND,
        len(fake.requests) - len(accepted),
    )


def main() -> None:
    arguments = options(__doc__, default_rounds=1)
    measured = rounds(
        {f"bucket of {burst}": partial(measure, burst) for burst in BURSTS},
        count=arguments.rounds,
    )
    findings: list[Finding] = []
    for name, shares in measured.items():
        findings += [
            Finding(f"{name}: let in", [share.overall for share in shares], "of the rate"),
            Finding(f"{name}: later on", [s.later for s in shares], "of the rate", LEAST),
            Finding(f"{name}: refused", [share.refused for share in shares], "requests"),
        ]
    report(
        f"A stream of {SECONDS} s to a server that takes {PER_SECOND} requests a second",
        findings,
        json_file=arguments.json,
    )


if __name__ == "__main__":
    main()
