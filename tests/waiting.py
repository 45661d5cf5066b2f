"""Waiting for what nobody tells of: other threads, other processes, files."""

from collections.abc import Callable

import anyio

_LIMIT = 120.0  # seconds


async def until(is_so: Callable[[], object]) -> None:
    """Wait until something is so, in either kind of event loop; for two minutes at most."""
    with anyio.fail_after(_LIMIT):
        while not is_so():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.001)
