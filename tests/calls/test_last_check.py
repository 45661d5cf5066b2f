"""A check that is made at the last moment: the connection is there, and nothing was sent yet."""

import contextlib
import traceback
from typing import Any

import pytest

from sendx_async import AsyncTrackingClient, IdentifyRequest, OutboxError
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


async def test_no_frame_that_holds_the_request_hangs_on_to_what_a_check_raises(
    fake_sendx: FakeSendX, lend: Any
) -> None:
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 2:
            raise OutboxError("not now")

    async with lend() as http:
        client = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, http_client=http)
        async with client:
            with pytest.raises(OutboxError, match="not now") as caught:
                await client._send_checked(JANE, check)
    frames = traceback.walk_tb(caught.value.__traceback__)
    names = {frame.f_globals["__name__"] for frame, _ in frames}
    assert not [name for name in names if name.startswith(("http", "sendx_async._transport"))]
    assert fake_sendx.requests == []
