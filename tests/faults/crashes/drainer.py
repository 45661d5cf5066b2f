"""A process that drains the outbox until it is told to end, or killed."""

import json
import os
import sys
from typing import Any

import anyio
import anyio.to_thread

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.outbox import Outbox

# So many that no request fails that often by chance: who is dead was refused for good.
RETRY = RetryPolicy(100, base=0.01, cap=0.05)
GRACE = 60.0  # it ends when all that is under way has ended, even on a slow machine


async def drain(job: dict[str, Any]) -> None:
    client = AsyncTrackingClient("key", base_url=f"{job['url']}/{job['name']}")
    outbox = Outbox(job["path"], synchronous=job["synchronous"], timeout=60)
    async with client, outbox:
        options = job["options"]
        async with outbox.draining(client, retry=RETRY, grace=GRACE, **options):
            while await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1):
                pass


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    anyio.run(drain, job, backend=job["backend"])
