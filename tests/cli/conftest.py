"""Running the command line: in this process, or as the real command with SendX's stand-in."""

from collections.abc import Callable

import pytest

from sendx_async._cli import main
from sendx_async.testing import FakeSendX

from .processes import Said

Run = Callable[..., Said]


@pytest.fixture
def settings(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands find the fake server, and its key, where users put them."""
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)


@pytest.fixture
def run(settings: None, fake_sendx: FakeSendX, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; whatever it says, the key is not in it."""

    def run(*arguments: str) -> Said:
        status = main(arguments)
        said = Said(status, *capsys.readouterr())
        assert fake_sendx.api_key not in said.out + said.err
        return said

    return run
