"""How long a call with `deadline=1` takes when the server is silent, drips, or says: in an hour."""

import asyncio
import time

from _measure import Finding, options, report
from _server import running_server

from sendx_async import AsyncTrackingClient, IdentifyRequest, SendXError

DEADLINE = 1.0
# How the server behaves, and the most that the call may take.
CASES = {
    "silence": ("never answers", 1.1),
    "drip": ("sends a byte every 0.2 s", 1.1),
    "retry-after-3600": ("429 with Retry-After: 3600", 0.1),
}


async def seconds_until_it_fails(base_url: str) -> float:
    async with AsyncTrackingClient("benchmark-key", base_url=base_url) as client:
        start = time.perf_counter()
        try:
            await client.identify_contact(IdentifyRequest("a@b.co"), deadline=DEADLINE)
        except SendXError:
            return time.perf_counter() - start
    message = "the call should have failed"
    raise AssertionError(message)


def main() -> None:
    arguments = options(__doc__, default_rounds=5)
    findings = []
    with running_server() as server:
        for behaviour, (name, limit) in CASES.items():
            url = server.url(behaviour)
            seconds = [asyncio.run(seconds_until_it_fails(url)) for _ in range(arguments.rounds)]
            findings.append(Finding(f"the server {name}", seconds, "s", ("<=", limit)))
    report(f"A call with deadline={DEADLINE:.0f}", findings, json_file=arguments.json)


if __name__ == "__main__":
    main()
