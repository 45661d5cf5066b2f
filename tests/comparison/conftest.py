"""The official SDK, and a second server."""

from collections.abc import Iterator

import pytest

from sendx_async.testing import FakeSendX

from .callers import Official


@pytest.fixture
def official(fake_sendx: FakeSendX) -> Iterator[Official]:
    sdk = Official(fake_sendx)
    yield sdk
    sdk.close()


@pytest.fixture
def elsewhere() -> Iterator[FakeSendX]:
    """Another host, to which a redirect leads."""
    fake = FakeSendX()
    with fake.serving():
        yield fake
