"""After four seconds of calls cancelled at random moments: how many of ten connections still work.

A connection counts as stuck if the server never sees it used again, however often ten calls are
made at once.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import attrs
import httpx
from _measure import Finding, options, report
from _server import Server, running_server

from sendx_async import AsyncTrackingClient, IdentifyRequest

CONNECTIONS = 10
CALLERS = 40
STORM_SECONDS = 4.0
SERVER_MILLISECONDS = 20
PATIENCE_SECONDS = 2.0

Call = Callable[[], Awaitable[object]]


@attrs.frozen
class Aftermath:
    """What was left of the pool."""

    cancelled: int
    succeeded: int  # of the next ten calls
    stuck: int


async def storm(call: Call) -> int:
    """Cancel calls at random moments of their life, and return how many."""
    end = time.monotonic() + STORM_SECONDS
    moments = random.Random(0)
    cancelled = 0

    async def caller() -> None:
        nonlocal cancelled
        while time.monotonic() < end:
            task = asyncio.ensure_future(call())
            await asyncio.sleep(moments.uniform(0, 2 * SERVER_MILLISECONDS / 1000))
            cancelled += task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # seen: a pool that is full of dead connections times out

    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(caller())
    return cancelled


async def ten_at_once(call: Call) -> int:
    """Make ten calls at once and return how many succeeded in time."""
    calls = [asyncio.wait_for(call(), PATIENCE_SECONDS) for _ in range(CONNECTIONS)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    return sum(not isinstance(result, BaseException) for result in results)


async def aftermath(call: Call, server: Server) -> Aftermath:
    cancelled = await storm(call)
    await asyncio.to_thread(server.counters, "reset")
    succeeded = await ten_at_once(call)
    used = 0
    for _ in range(5):  # ten calls need not overlap on a busy machine
        used = (await asyncio.to_thread(server.counters)).peak_waiting
        if used >= CONNECTIONS:
            break
        await ten_at_once(call)
    return Aftermath(cancelled, succeeded, max(CONNECTIONS - used, 0))


async def ours(server: Server) -> Aftermath:
    base_url = server.url(f"delay-{SERVER_MILLISECONDS}")
    async with AsyncTrackingClient(
        "benchmark-key", base_url=base_url, max_connections=CONNECTIONS
    ) as client:
        return await aftermath(lambda: client.identify_contact(IdentifyRequest("a@b.co")), server)


async def stock_httpx(server: Server) -> Aftermath:
    url = server.url(f"delay-{SERVER_MILLISECONDS}/contact/identify")
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=PATIENCE_SECONDS) as http_client:
        return await aftermath(lambda: http_client.post(url, json={"email": "a@b.co"}), server)


def main() -> None:
    arguments = options(__doc__, default_rounds=5)
    findings = []
    with running_server() as server:
        for name, contender in (("sendx_async", ours), ("stock httpx", stock_httpx)):
            results = [asyncio.run(contender(server)) for _ in range(arguments.rounds)]
            is_ours = contender is ours
            findings += [
                Finding(f"{name}: cancelled calls", [result.cancelled for result in results]),
                Finding(
                    f"{name}: stuck connections of {CONNECTIONS}",
                    [result.stuck for result in results],
                    goal=("=", 0) if is_ours else None,
                ),
                Finding(
                    f"{name}: of the next ten calls succeeded",
                    [result.succeeded for result in results],
                    goal=("=", 10) if is_ours else None,
                ),
            ]
    report(f"Cancellation: {STORM_SECONDS:.0f} s of it", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
