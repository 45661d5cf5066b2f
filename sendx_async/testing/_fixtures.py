"""The pytest fixtures that users get by installing the package; loaded in every pytest run.

So it is light, and each fixture imports what it needs when a test asks for it.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendx_async import AsyncTrackingClient, TrackingClient
    from sendx_async.testing import FakeSendX


@pytest.fixture
def fake_sendx() -> "Iterator[FakeSendX]":
    """A ``FakeSendX`` of this test's own, already serving on a loopback port.

    ``fake_sendx.url`` and ``fake_sendx.api_key`` are what a client needs. Needs uvicorn, which the
    extra ``sandbox`` installs.
    """
    from sendx_async.testing import FakeSendX  # noqa: PLC0415 - see the module's docstring

    fake = FakeSendX()
    with fake.serving():
        yield fake


@pytest.fixture
def sendx_client(fake_sendx: "FakeSendX") -> "Iterator[TrackingClient]":
    """A ``TrackingClient`` of ``fake_sendx`` that retries without waiting; closed at the end."""
    from sendx_async import RetryPolicy, TrackingClient  # noqa: PLC0415 - likewise

    with TrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url, retry=RetryPolicy(base=0.0, cap=0.0)
    ) as client:
        yield client


@pytest.fixture
def async_sendx_client(fake_sendx: "FakeSendX") -> "AsyncTrackingClient":
    """An ``AsyncTrackingClient`` of ``fake_sendx`` that retries without waiting, not yet entered.

    Sockets belong to the event loop that opened them, and a plain fixture doesn't know which one
    your test runs on. So it is the test that enters the client, under any plugin (pytest-asyncio,
    anyio, pytest-trio)::

        async def test_sign_up(fake_sendx, async_sendx_client):
            async with async_sendx_client as client:
                await sign_up("jane@example.com", client)
            assert fake_sendx.contact("jane@example.com").tags == {"new"}
    """
    from sendx_async import AsyncTrackingClient, RetryPolicy  # noqa: PLC0415 - likewise

    return AsyncTrackingClient(
        fake_sendx.api_key, base_url=fake_sendx.url, retry=RetryPolicy(base=0.0, cap=0.0)
    )
