"""Somebody who follows a page."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX

from .fork_server import programs
from .reader import Reader, shell_environment


@pytest.fixture(scope="session")
def bin_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the programs that a page names start at once."""
    if sys.platform == "win32" or shutil.which("bash") is None:
        pytest.skip("the pages' commands are for a POSIX shell")
    with programs(shell_environment(tmp_path_factory.mktemp("nothing"))) as directory:
        yield directory


@pytest.fixture
def reader(
    tmp_path: Path,
    bin_directory: Path,
    fake_sendx: FakeSendX,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reader]:
    """Somebody who knows nothing, with a server and its key in the environment."""
    monkeypatch.chdir(tmp_path)
    server = {"SENDX_BASE_URL": fake_sendx.url, "SENDX_API_KEY": fake_sendx.api_key}
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tmp_path)  # the files that a page saves can be imported
    environment = shell_environment(tmp_path, **server)
    reader = Reader(tmp_path, environment, bin_directory, fake_sendx)
    monkeypatch.setitem(sys.modules, "page", reader.module)
    loggers = [logging.getLogger(), logging.getLogger("sendx_async")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield reader
    reader.close()
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
