"""Draining an outbox, and waiting for what it comes to be, which its file tells who looks."""

from collections.abc import Callable
from typing import Any

import anyio

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

_LIMIT = 120.0  # seconds

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


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(_LIMIT):
        while not is_so():  # noqa: ASYNC110 - nobody tells of what other processes do
            await anyio.sleep(0.01)


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
