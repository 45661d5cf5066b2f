"""What an application that configures no logging shows, as `uvicorn app:app` runs it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

LIMIT = 120.0
APP = """
from fastapi import FastAPI
from sendx_async.fastapi import SendXOutbox, sendx_lifespan

app = FastAPI(lifespan=sendx_lifespan(outbox="sendx.db"))


@app.post("/signup", status_code=202)
async def signup(email: str, outbox: SendXOutbox) -> None:
    await outbox.put({"email": email})
"""
LOGGING = """
import logging

logging.basicConfig(format="%(levelname)s:%(name)s:%(message)s")
"""


class Served:
    """A server in a process of its own, and what it has written to stderr."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[str] = []
        self._has_line = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._has_line:
                self.lines.append(line.rstrip("\n"))
                self._has_line.notify()

    def of_sendx(self) -> list[str]:
        return [line for line in self.lines if "SendX" in line]

    def wait_for(self, text: str) -> None:
        with self._has_line:
            assert self._has_line.wait_for(
                lambda: any(text in line for line in self.lines), LIMIT
            ), self.lines

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT)
        self._reader.join(LIMIT)


@pytest.fixture
def serve(tmp_path: Path, fake_sendx: FakeSendX) -> Iterator[Callable[[str], Served]]:
    """Serve a program's application, with a key that SendX doesn't accept."""
    begun: list[Served] = []

    def serve(code: str) -> Served:
        (tmp_path / "app.py").write_text(code)
        listener = socket.create_server(("127.0.0.1", 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"--fd={listener.fileno()}", "app:app"],
            cwd=tmp_path,
            pass_fds=[listener.fileno()],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "SENDX_API_KEY": "a-wrong-key",
                "SENDX_BASE_URL": fake_sendx.url,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        port = listener.getsockname()[1]
        listener.close()
        begun.append(Served(process, port))
        return begun[0]

    yield serve
    for served in begun:
        served.stop()
        assert served.process.stderr is not None
        served.process.stderr.close()


@pytest.mark.parametrize(
    "more, begins",
    [("", "SendX outbox "), (LOGGING, "ERROR:sendx_async:SendX outbox ")],
    ids=["no logging", "logging"],
)
def test_a_wrong_key_is_told_once(
    more: str, begins: str, serve: Callable[[str], Served], fake_sendx: FakeSendX
) -> None:
    served = serve(more + APP)
    for number in range(5):
        params = {"email": f"jane{number}@example.com"}
        answer = httpx.post(served.url + "/signup", params=params, timeout=LIMIT)
        assert answer.status_code == 202
    served.wait_for("AuthenticationError")
    served.stop()
    [line] = served.of_sendx()
    assert line.startswith(begins)
    assert "halted, all is kept and tried again in 60.0 s" in line
    assert line.endswith("Check the API key: Settings, then Team API Key, in SendX.")
    assert not any("a-wrong-key" in line or "jane" in line for line in served.lines)
    assert [request.status for request in fake_sendx.requests] == [401]
