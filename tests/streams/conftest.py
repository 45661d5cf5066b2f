"""What the tests of streams have in common: how one is run, and a retry policy without waits."""

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

import anyio
import pytest

from sendx_async import AsyncTrackingClient, Outcome, RetryPolicy
from sendx_async.testing import FakeSendX
from tests.clocks import StoppedClock

RunStream = Callable[..., list[Outcome]]


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of event loop in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def run_stream(fake_sendx: FakeSendX, backend: str) -> RunStream:
    """Send what a source gives to the end, and give the outcomes by their index.

    What begins with ``client_`` is an option of the client, the rest are options of the stream.
    Pauses take no time, unless the client is given another clock.
    """

    def run(source: Iterable[Any] | AsyncIterable[Any], **options: Any) -> list[Outcome]:
        of_client: dict[str, Any] = {
            "retry": RetryPolicy(base=0.001, cap=0.01),
            "clock": StoppedClock(),
        }
        of_stream: dict[str, Any] = {}
        for name, value in options.items():
            target = of_client if name.startswith("client_") else of_stream
            target[name.removeprefix("client_")] = value
        outcomes: list[Outcome] = []

        async def main() -> None:
            url, key = fake_sendx.url, fake_sendx.api_key
            async with (
                AsyncTrackingClient(key, base_url=url, **of_client) as client,
                client.send_many(source, **of_stream) as stream,
            ):
                outcomes.extend([outcome async for outcome in stream])
            assert stream.unclaimed == ()
            assert stream.unsent == ()

        anyio.run(main, backend=backend)
        return sorted(outcomes, key=lambda outcome: outcome.index)

    return run
