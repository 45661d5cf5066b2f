"""A recorder of what is told, and event loops of both kinds."""

from collections.abc import Iterator

import pytest

from .recorded import Recorded


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorded = Recorded()
    yield recorded
    recorded.close()


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(autouse=True)
def _no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry logs what it can't do, such as to detach a context, and goes on."""
    yield
    complaints = [
        record.getMessage() for record in caplog.get_records("call")
        if record.name.startswith("opentelemetry")
    ]  # fmt: skip
    assert complaints == []
