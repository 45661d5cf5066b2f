"""Waiting for what an outbox comes to be, which its file tells to whoever looks."""

from collections.abc import Callable

import anyio

from sendx_async.outbox import Outbox

_LIMIT = 25.0  # seconds


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(_LIMIT):
        while not is_so():  # noqa: ASYNC110 - nobody tells of what other processes do
            await anyio.sleep(0.01)


async def until_empty(outbox: Outbox) -> None:
    """Wait until nothing waits to be delivered."""
    await until(lambda: not outbox.stats().pending)
