"""Keeps test runs from SendX's own server, whatever stands between it and them."""

import os
import sys
from urllib.parse import urlsplit

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import PRODUCTION

_HOST = urlsplit(PRODUCTION).hostname
_VARIABLE = "SENDX_ALLOW_PRODUCTION"


def check_destination(host: str) -> None:
    """Refuse a connection to SendX's own server in a test run.

    It is asked when a connection is about to be opened, since only then is it certain that neither
    a fake server nor a mock or recorder of the test answers. The environment variable
    SENDX_ALLOW_PRODUCTION decides instead, if it is set: 1 allows the connection, and 0 refuses it
    also where no test run is seen.

    Args:
        host: The name of the host that the request is for, also where a proxy leads to it.

    Raises:
        ConfigurationError: The connection must not be opened; or the variable is neither 0 nor 1.
    """
    if host.rstrip(".").lower() != _HOST:
        return
    allowed = os.environ.get(_VARIABLE, "")
    if allowed not in {"", "0", "1"}:
        raise ConfigurationError(f"{_VARIABLE} must be 0 or 1, or not set")
    if allowed == "0" or (not allowed and _is_test_run()):
        why = f"{_VARIABLE} is 0" if allowed else "this is a test run"
        raise ConfigurationError(
            f"{why}, so nothing was sent to SendX's own server: use the pytest fixtures fake_sendx "
            "and sendx_client, or lead the client to a server of the test with base_url or "
            f"SENDX_BASE_URL; if a test is meant to reach the real one, set {_VARIABLE}=1"
        )


def _is_test_run() -> bool:
    """Return whether pytest, unittest or Django runs tests; by what only they do."""
    # Set by pytest, the first since 8.2 and the other during each test; children inherit them.
    if "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ:
        return True
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if getattr(spec, "name", None) == "unittest.__main__":  # python -m unittest
        return True
    # Whatever program has tests run (unittest.main(), an editor): unittest's runner notes there
    # whose result a Ctrl-C is to end.
    if getattr(sys.modules.get("unittest.signals"), "_results", ()):
        return True
    # Django keeps there what it has to restore when its tests are over.
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")
