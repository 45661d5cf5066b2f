"""A drainer that the system stops for longer than its client's timeout, and then lets go on."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendx_async.outbox import Outbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows can't stop a process"),
]

LIMIT = 120.0  # seconds after which a test that waits has failed

DRAIN = """
import anyio, sys
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

async def main():
    timeout = float(sys.argv[3])
    async with AsyncTrackingClient("key", base_url=sys.argv[2], timeout=timeout) as client:
        await outbox.drain(client)

with Outbox(sys.argv[1]) as outbox:
    anyio.run(main)
"""


def test_what_is_answered_while_the_process_is_stopped_is_delivered(
    tmp_path: Path, serve_raw: Callable[..., int]
) -> None:
    arrived, may_answer, answered = threading.Event(), threading.Event(), threading.Event()

    def answer_when_told(bodies: Iterator[bytes], connection: socket.socket) -> None:
        next(bodies)
        arrived.set()
        assert may_answer.wait(LIMIT)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        connection.sendall(b"{}")
        answered.set()

    def deliver(seconds: float) -> bool:
        """Stop a drainer while its event is answered; return whether that counts."""
        for event in (arrived, may_answer, answered):
            event.clear()
        url = f"http://127.0.0.1:{serve_raw(answer_when_told)}"
        path = tmp_path / f"{seconds}.db"
        with Outbox(path) as outbox:
            outbox.put_sync({"identifier": "jane@example.com", "name": "seen"})
            with subprocess.Popen(
                [sys.executable, "-W", "error", "-c", DRAIN, str(path), url, str(seconds)]
            ) as drainer:
                assert arrived.wait(LIMIT)
                drainer.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, drainer.pid, os.WSTOPPED | os.WNOWAIT)
                may_answer.set()
                assert answered.wait(LIMIT)
                time.sleep(seconds)  # not for anything to happen: for the timeout to be over
                drainer.send_signal(signal.SIGCONT)
                assert drainer.wait(LIMIT) == 0
            assert outbox.stats().pending == 0
            return not outbox.failed("uncertain")

    # With the first limit in which this machine stops the process before it is over.
    assert any(deliver(seconds) for seconds in (0.5, 5.0))
