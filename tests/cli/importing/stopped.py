"""Starting, stopping and resuming imports, and what was sent."""

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import Said, end_of, started

from .conftest import Import, Imported

LIMIT = 120.0


def write_contacts(count: int, name: str = "c.csv") -> None:
    Path(name).write_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(count)))


def sent(server: FakeSendX) -> list[str]:
    """Give the addresses that were applied, as often as they were."""
    found: list[str] = []
    for request in server.requests:
        if request.applied:
            contacts = request.json if isinstance(request.json, list) else [request.json]
            found += [contact["email"] for contact in contacts]
    return found


def resumed(run: Run, *options: str) -> Imported:
    said = run("import", "c.csv", "--resume", "--json", *options)
    return Imported(said, json.loads(said.out))


@contextlib.contextmanager
def importing(server: FakeSendX, *options: str, **how: Any) -> Generator["subprocess.Popen[str]"]:
    """Import a file in a process of its own, which has begun to send."""
    with started("import", "c.csv", *options, **how) as process:
        server.wait_for(lambda: sent(server), LIMIT)
        yield process


def stop_at_once(process: "subprocess.Popen[str]") -> Said:
    """Send Ctrl-C again and again, since two that come together may be seen as one."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    return end_of(process)


def stopped(
    import_text: Import, server: FakeSendX, text: str, *options: str, name: str = "c.csv"
) -> Imported:
    """Import a file while SendX refuses everything for an hour."""
    server.respond(429, retry_after=3600, times=None)
    done = import_text(text, *options, name=name)
    assert done.said.status == 3
    assert done.report["stopped_by"] == "OutageError"
    assert done.report["can_resume"] is True
    assert "It asks to wait 3600 s." in done.said.err
    assert done.said.err.startswith("Error: SendX is in trouble for too long: SendX answered")
    server.recover()
    return done


def break_after_the_first(server: FakeSendX, **how: Any) -> None:
    """Let a server answer well once, and then no more."""

    def break_() -> float:
        server.latency = 0
        server.respond(times=None, **how)
        return 0

    server.latency = break_


def change_document(**changes: object) -> None:
    with contextlib.closing(sqlite3.connect("c.csv.sendx-progress")) as connection:
        (text,) = connection.execute("SELECT document FROM progress").fetchone()
        document = json.dumps(json.loads(text) | changes)
        connection.execute("UPDATE progress SET document = ?", [document])
        connection.commit()
