"""The pytest fixtures that users get by installing the package; loaded in every pytest run.

So it is light, and each fixture imports what it needs when a test asks for it.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pluggy

    from sendx_async import AsyncTrackingClient, TrackingClient
    from sendx_async.testing import FakeSendX

_USED = "sendx_async.fake"  # in a test's own dictionary: not every pytest has a stash


@pytest.fixture
def fake_sendx(request: "pytest.FixtureRequest") -> "Iterator[FakeSendX]":
    """A ``FakeSendX`` of this test's own, already serving on a loopback port.

    ``fake_sendx.url`` and ``fake_sendx.api_key`` are what a client needs. If the test fails, its
    report shows what the server received and what it holds. Needs uvicorn, which the extra
    ``sandbox`` installs.
    """
    from sendx_async.testing import FakeSendX  # noqa: PLC0415 - see the module's docstring

    fake = FakeSendX()
    with fake.serving():
        vars(request.node)[_USED] = fake
        yield fake


@pytest.fixture
def sendx_client(fake_sendx: "FakeSendX") -> "Iterator[TrackingClient]":
    """A ``TrackingClient`` of ``fake_sendx`` whose retries don't wait; closed at the end.

    It goes by an `InstantClock`: it decides as any client does and then goes on at once, also where
    ``Retry-After`` asks for a wait. After ``fake_sendx.respond(429, retry_after=5)`` a call is
    repeated without a pause. Waits count for the deadline, so one that is longer, as for
    ``retry_after=3600``, raises ``RateLimitError`` as ever; an outage takes a stream's patience at
    once. What the server counts by real time, as ``rate_limit`` does, needs a client of your own.
    """
    from sendx_async import TrackingClient  # noqa: PLC0415 - likewise

    with TrackingClient(**_options(fake_sendx)) as client:
        yield client


@pytest.fixture
def async_sendx_client(fake_sendx: "FakeSendX") -> "AsyncTrackingClient":
    """An ``AsyncTrackingClient`` of ``fake_sendx`` whose retries don't wait, not yet entered.

    It goes on at once where ``sendx_client`` does. Sockets belong to the event loop that opened
    them, and a plain fixture doesn't know which one your test runs on. So it is the test that
    enters the client, under any plugin (pytest-asyncio, anyio, pytest-trio)::

        async def test_sign_up(fake_sendx, async_sendx_client):
            async with async_sendx_client as client:
                await sign_up("jane@example.com", client)
            assert fake_sendx.contact("jane@example.com").tags == {"new"}
    """
    from sendx_async import AsyncTrackingClient  # noqa: PLC0415 - likewise

    return AsyncTrackingClient(**_options(fake_sendx))


def _options(fake: "FakeSendX") -> "dict[str, Any]":
    from sendx_async import RetryPolicy  # noqa: PLC0415 - likewise
    from sendx_async.testing import InstantClock  # noqa: PLC0415 - likewise

    # Back-off is random, and waits count for the deadline: no test may fail by chance.
    retry = RetryPolicy(base=0, cap=0)
    return {
        "api_key": fake.api_key, "base_url": fake.url, "retry": retry, "clock": InstantClock(),
    }  # fmt: skip


# Not wrapper=True, which pytest before 8 need not know: this is loaded into every run there is.
@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: "pytest.Item", call: "pytest.CallInfo[None]"
) -> "Generator[None, pluggy.Result[pytest.TestReport]]":
    """Show what the fake server saw in the report of a test that failed."""
    outcome = yield
    fake: FakeSendX | None = vars(item).get(_USED)
    if fake is not None:
        report = outcome.get_result()
        if report.failed:
            report.sections.append(("fake SendX", fake.describe()))
        if call.when == "teardown":
            del vars(item)[_USED]  # items live as long as the whole run
