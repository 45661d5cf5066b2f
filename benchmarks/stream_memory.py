"""Peak memory of a stream of a million contacts, over that of ten thousand.

Each stream runs in an interpreter of its own, and reads a generator that makes each contact when it
is asked for it. Every contact has another address, since a stream keeps the order of each.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from functools import partial

import attrs
from _contacts import each, model
from _measure import Finding, options, report, rounds
from _server import running_server

from sendx_async import AsyncTrackingClient

MANY = 1_000_000
FEW = 10_000
GOAL = ("<=", 30)
# What getrusage calls kilobytes is bytes on macOS.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


@attrs.frozen
class Usage:
    """What a process needed that sent a stream."""

    delivered: int
    peak_bytes: int
    wall: float
    cpu: float

    @property
    def peak_megabytes(self) -> float:
        return self.peak_bytes / 1e6


async def deliver(base_url: str, contacts: int) -> int:
    """Send a stream and return how many of its contacts were delivered."""
    delivered = 0
    async with (
        AsyncTrackingClient("benchmark-key", base_url=base_url) as client,
        client.send_many(each(model, contacts)) as outcomes,
    ):
        async for outcome in outcomes:
            delivered += outcome.error is None
    return delivered


def usage_of(base_url: str, contacts: int) -> Usage:
    """Send a stream and return what this process needed, which must have done nothing else."""
    wall, cpu = time.perf_counter(), time.process_time()
    delivered = asyncio.run(deliver(base_url, contacts))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT
    return Usage(delivered, peak, wall, cpu)


def usage_of_a_child(base_url: str, contacts: int) -> Usage:
    command = [sys.executable, __file__, "--child", base_url, str(contacts)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Usage(**json.loads(child.stdout))


def main() -> None:
    arguments = options(__doc__, default_rounds=1)
    with running_server() as server:
        url = server.url("ok")
        # On Linux the peak of a child begins at that of its parent, so nothing is sent from here.
        usages = rounds(
            {
                "few": partial(usage_of_a_child, url, FEW),
                "many": partial(usage_of_a_child, url, MANY),
            },
            count=arguments.rounds,
        )
    few, many = usages["few"], usages["many"]
    growth = [b.peak_megabytes - a.peak_megabytes for a, b in zip(few, many, strict=True)]
    findings = [
        Finding(f"peak, {FEW:,} contacts", [usage.peak_megabytes for usage in few], "MB"),
        Finding(f"peak, {MANY:,} contacts", [usage.peak_megabytes for usage in many], "MB"),
        Finding("the difference", growth, "MB", GOAL),
        Finding("delivered of the million", [usage.delivered for usage in many], "", ("=", MANY)),
        Finding("a contact", [usage.wall / MANY * 1e6 for usage in many], "µs wall"),
        Finding("a contact", [usage.cpu / MANY * 1e6 for usage in many], "µs CPU"),
    ]
    report(f"Memory of a stream of {MANY:,} contacts", findings, json_file=arguments.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(attrs.asdict(usage_of(sys.argv[2], int(sys.argv[3])))))
    else:
        main()
