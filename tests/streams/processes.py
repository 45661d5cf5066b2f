"""Streams in a process of their own, for signals and exits; one that hangs is ended."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

from sendx_async.testing import FakeSendX

LIMIT = 120.0


@contextlib.contextmanager
def child_of(script: str, fake: FakeSendX, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script with the key, the URL and other arguments, in a time limit."""
    process = subprocess.Popen(
        # Some fork on purpose, with threads, of which Python warns from 3.12 on.
        [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", script,
         fake.api_key, fake.url, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    killer = threading.Timer(LIMIT, process.kill)
    killer.start()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        killer.cancel()
        killer.join()
