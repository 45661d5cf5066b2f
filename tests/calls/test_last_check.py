"""A check that is made at the last moment: the connection is there, and nothing was sent yet."""

import contextlib
from typing import Any

import pytest

from sendx_async import AsyncTrackingClient, IdentifyRequest
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.asyncio
JANE = IdentifyRequest("jane@example.com")


@pytest.mark.parametrize("allowed", [0, 1, 2])
async def test_what_a_check_forbids_is_not_sent_though_the_connection_is_there(
    fake_sendx: FakeSendX, lend: Any, allowed: int
) -> None:
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 2:
            await fake_sendx.until(lambda: fake_sendx.connections.open == 1)
        assert fake_sendx.requests == []
        if checks > allowed:
            raise LookupError

    async with lend() as http:
        client = AsyncTrackingClient(
            fake_sendx.api_key,
            base_url=fake_sendx.url,
            http_client=http,
        )
        async with client:
            with contextlib.nullcontext() if allowed == 2 else pytest.raises(LookupError):
                await client._send_checked(JANE, check)
    assert checks == min(allowed + 1, 2)
    assert len(fake_sendx.requests) == (allowed == 2)
