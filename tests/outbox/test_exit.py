"""An outbox in atexit handlers, each in a process of its own with a limit."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from sendx_async import OutboxError
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

# In Python 3.12 no thread can be started in atexit handlers; others are made to refuse, too.
PROGRAM = """
import asyncio, atexit, sys, threading
from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox

key, url, path = sys.argv[1:]

def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")

async def deliver():
    async with Outbox(path) as outbox, AsyncTrackingClient(key, base_url=url) as client:
        await outbox.put({"email": "put@example.com"})
        outbox.put_sync({"email": "put_sync@example.com"})
        await outbox.put({"identifier": "put@example.com", "name": "exit"})
        await outbox.drain(client)
        print(outbox.stats().pending, flush=True)

@atexit.register
def at_exit():
    threading.Thread.start = refuse
    asyncio.run(deliver())
"""


@pytest.mark.slow
def test_puts_and_a_drain_from_atexit_do_without_threads(
    fake_sendx: FakeSendX, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, fake_sendx.api_key, fake_sendx.url]
    done = subprocess.run(
        [*command, str(tmp_path / "outbox.db")],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert set(fake_sendx.contacts) == {"put@example.com", "put_sync@example.com"}
    assert [event.name for event in fake_sendx.events] == ["exit"]


@pytest.mark.asyncio
async def test_before_the_exit_an_outbox_does_not_do_without_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    outbox = Outbox(tmp_path / "outbox.db")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OutboxError, match="can't start the thread that it needs"):
            await outbox.put({"email": "jane@example.com"})
        with pytest.raises(RuntimeError, match="can't start new thread"):
            await outbox.__aenter__()
    async with outbox:
        assert outbox.stats().pending == 0
