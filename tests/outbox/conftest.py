"""What the tests of the outbox have in common: a file, a client, and each kind of event loop."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of event loop in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an outbox may be."""
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    """An outbox that doesn't wait for the disk, as nothing here pulls the plug."""
    with Outbox(path, synchronous="NORMAL") as outbox:
        yield outbox


@pytest.fixture
def make_client(fake_sendx: FakeSendX) -> Callable[..., AsyncTrackingClient]:
    """Make clients of ``fake_sendx``, with the options given."""

    def make(**options: object) -> AsyncTrackingClient:
        defaults: dict[str, object] = {
            "api_key": fake_sendx.api_key,
            "base_url": fake_sendx.url,
            "retry": RetryPolicy(base=0.0, cap=0.0),
            "timeout": 50.0,  # for an answer that a busy machine takes its time for
        }
        return AsyncTrackingClient(**{**defaults, **options})  # type: ignore[arg-type]

    return make
