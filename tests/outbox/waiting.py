"""Draining an outbox, and waiting for what it comes to be, which its file tells who looks."""

from typing import Any

import anyio

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox
from tests.waiting import until

DRAINER = """
import anyio, sys
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

async def main():
    async with AsyncTrackingClient(sys.argv[1], base_url=sys.argv[2]) as client:
        with Outbox(sys.argv[3]) as outbox:
            async with outbox.draining(client):
                await anyio.sleep_forever()

anyio.run(main)
"""
"""A program that drains until it is ended; its arguments are the key, the URL and the file."""


async def until_empty(outbox: Outbox) -> None:
    """Wait until nothing waits to be delivered."""
    await until(lambda: not outbox.stats().pending)


def drain(
    outbox: Outbox, client: AsyncTrackingClient, backend: str = "asyncio", **options: Any
) -> None:
    """Drain an outbox until it is empty, in a loop of its own."""

    async def main() -> None:
        async with client:
            await outbox.drain(client, **options)

    anyio.run(main, backend=backend)
