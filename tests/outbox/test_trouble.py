"""What is wrong with an outbox, as `stats` and ``sendx outbox status`` tell: the manual's table."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from sendx_async import AsyncTrackingClient, IdentifyRequest
from sendx_async._cli import main as command
from sendx_async.outbox import Outbox, _leader, _maintenance, _outbox, _statements
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import DRAINER, until_empty

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com")
MANUAL = Path(__file__).parents[2] / "docs/howto/outbox.md"

# As the manual has them: three dots are anything.
FULL = "the file can't be written, SQLite says 'database or disk is full': make room on its disk"
LOCKED = (
    "the file can't be written, SQLite says 'database is locked': another process keeps it locked"
)
READ_ONLY = (
    "the file can't be written, SQLite says 'attempt to write a readonly database': this process "
    "needs to write to the file and to its directory"
)
BROKEN = "the file can't be written, SQLite says ..."
NOBODY = "no process drains this outbox"
SILENT = (
    "the process that drains gave no sign of life for ... s: is it frozen, or its event loop "
    "blocked?"
)
OUTAGE = "SendX is in trouble: ..."
HALTED = "halted: ..."
ALL = [FULL, LOCKED, READ_ONLY, BROKEN, NOBODY, SILENT, OUTAGE, HALTED]


def is_told(trouble: str | None, *rows: str) -> bool:
    """Return whether a trouble is what these rows of the manual's table say, in their order."""
    pattern = re.escape("; ".join(rows)).replace(re.escape("..."), ".+")
    return re.fullmatch(pattern, trouble or "") is not None


def test_the_manual_lists_all_troubles() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    _, _, table = text.partition("| `trouble` says | it means | what to do |\n")
    rows = re.findall(r"^\| `(.+?)` \|", table.partition("\n\n")[0], re.MULTILINE)
    assert rows == ALL


@pytest.fixture
def lock_file(path: Path) -> Path:
    """The file whose time of change is the sign of life."""
    return path.with_name("outbox.db-drainer")


@pytest.fixture
def leader(path: Path) -> Iterator[_leader.LeaderLock]:
    """A process that drains, as others see it."""
    lock = _leader.LeaderLock(str(path))
    assert lock.acquire()
    yield lock
    lock.release()


@pytest.fixture
def other(path: Path, outbox: Outbox) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else."""
    outbox.stats()
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    connection.execute("PRAGMA synchronous=OFF")
    yield connection
    connection.close()


def set_back(lock_file: Path, seconds: float) -> None:
    """Make the sign of life older."""
    then = lock_file.stat().st_mtime - seconds
    os.utime(lock_file, (then, then))


class TestWriting:
    def test_a_full_file_is_told(self, outbox: Outbox, other: sqlite3.Connection) -> None:
        # The page that is written to is filled up, and there may be no further one.
        other.execute("DELETE FROM about WHERE name = 'tried'")
        other.execute("PRAGMA max_page_count=1")
        names = ((f"x{number}",) for number in count())
        with pytest.raises(sqlite3.OperationalError, match="full"):
            other.executemany("INSERT INTO about VALUES(?, NULL)", names)
        outbox._looking.read(lambda found: found.execute("PRAGMA max_page_count=1"))
        assert is_told(outbox.stats().trouble, FULL)
        other.execute("DELETE FROM about WHERE name LIKE 'x%'")
        assert outbox.stats().trouble is None

    def test_a_locked_file_is_told(
        self, path: Path, other: sqlite3.Connection, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_outbox, "_SECONDS_LOCKED", 0.1)
        with Outbox(path) as another:
            another.put_sync(JANE)
        other.execute("BEGIN IMMEDIATE")
        assert command(["outbox", "status", "--json", str(path)]) == 1
        told = json.loads(capsys.readouterr().out)
        assert told["pending"] == 1
        assert is_told(told["trouble"], LOCKED, NOBODY)
        other.execute("ROLLBACK")

    def test_a_file_that_others_write_all_the_time_is_no_trouble(
        self, outbox: Outbox, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        try_to_write = _statements.try_to_write
        tries: list[sqlite3.Connection] = []

        def write_again_before(connection: sqlite3.Connection) -> None:
            tries.append(connection)
            if len(tries) == 3:
                other.execute("INSERT INTO about VALUES('x', 1)")
                other.execute("COMMIT")
                other.execute("BEGIN IMMEDIATE")
            try_to_write(connection)

        monkeypatch.setattr(_outbox, "_SECONDS_LOCKED", 120.0)
        monkeypatch.setattr(_statements, "try_to_write", write_again_before)
        other.execute("BEGIN IMMEDIATE")
        assert outbox.stats().trouble is None
        assert len(tries) == 3
        other.execute("ROLLBACK")

    def test_a_file_that_may_only_be_read_is_told(self, outbox: Outbox) -> None:
        outbox.stats()
        # Permissions would not count for root.
        outbox._looking.read(lambda found: found.execute("PRAGMA query_only=ON"))
        assert is_told(outbox.stats().trouble, READ_ONLY)

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
    def test_a_disk_that_takes_nothing_is_told(self, path: Path, outbox: Outbox) -> None:
        outbox.put_sync(JANE)
        script = (
            "import resource, sys; from sendx_async._cli import main; "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)); "
            "sys.exit(main(['outbox', 'status', '--json', sys.argv[1]]))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, str(path)],
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert is_told(json.loads(done.stdout)["trouble"], BROKEN, NOBODY)
        assert is_told(outbox.stats().trouble, NOBODY)

    def test_a_look_leaves_nothing_and_wakes_nobody(
        self, outbox: Outbox, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[None] = []
        outbox._arrival.expect(lambda: told.append(None))
        before = other.execute("SELECT count(*) FROM about").fetchall()
        for _ in range(10):
            outbox.stats()
        assert other.execute("SELECT count(*) FROM about").fetchall() == before
        assert told == []


class TestSilence:
    @pytest.mark.usefixtures("leader")
    @pytest.mark.parametrize(
        "age,silent_for,rows",
        [(-3600, 0, []), (0, 0, []), (30, 30, []), (30.5, 30.5, [SILENT]), (65, 65, [SILENT])],
    )
    def test_more_than_30_seconds_of_silence_are_trouble(
        self, *, outbox: Outbox, lock_file: Path, monkeypatch: pytest.MonkeyPatch,
        age: float, silent_for: float, rows: list[str],
    ) -> None:  # fmt: skip
        os.utime(lock_file, (1e9, 1e9))
        monkeypatch.setattr(_leader, "system_time", lambda: 1e9 + age)
        stats = outbox.stats()
        assert (stats.is_draining, stats.silent_for) == (True, silent_for)
        assert is_told(stats.trouble, *rows)
        assert not rows or f" for {silent_for:.0f} s: " in (stats.trouble or "")

    def test_an_old_sign_is_none_of_the_next_drainer(
        self, path: Path, outbox: Outbox, lock_file: Path, leader: _leader.LeaderLock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_maintenance, "_SECONDS_OF_SILENCE", 500.0)
        leader.release()
        set_back(lock_file, 1000)
        assert outbox.stats().silent_for is None
        assert outbox.stats().trouble is None
        seen: list[object] = []
        utime = os.utime

        def look_before(given: str) -> None:
            connection = sqlite3.connect(lock_file, timeout=0)  # it raises if the lock is held
            seen.append(connection.execute("SELECT 1 FROM sqlite_master").fetchall())
            connection.close()
            utime(given)

        monkeypatch.setattr(os, "utime", look_before)
        assert leader.acquire()
        assert seen == [[]]
        assert outbox.stats().trouble is None
        assert not _leader.LeaderLock(str(path)).acquire()
        assert seen == [[]]  # a candidate gives no sign in another one's place
        # It writes nothing, for which a full disk would have no room.
        assert lock_file.stat().st_size == 0
        assert not path.with_name("outbox.db-drainer-journal").exists()

    def test_a_halted_drainer_gives_signs_of_life(
        self, *, outbox: Outbox, lock_file: Path, fake_sendx: FakeSendX, make_client: MakeClient,
        backend: str, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_leader, "_SECONDS_BETWEEN_SIGNS", 0.01)
        fake_sendx.respond(401, times=None)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, grace=0.01):
                await until(lambda: is_told(outbox.stats().trouble, HALTED))
                # The application's own jobs keep all threads busy that it may use.
                threads = anyio.to_thread.current_default_thread_limiter()
                threads.total_tokens = 1
                async with threads:
                    set_back(lock_file, 1000)
                    await until(lambda: is_told(outbox.stats().trouble, HALTED))

        outbox.put_sync(JANE)
        anyio.run(main, backend=backend)
        # What was noted last is told, too: it may be why nobody drains.
        assert is_told(outbox.stats().trouble, NOBODY, HALTED)

    def test_an_outage_is_told_beside_the_silence(
        self, *, outbox: Outbox, lock_file: Path, fake_sendx: FakeSendX, make_client: MakeClient,
        backend: str,
    ) -> None:  # fmt: skip
        fake_sendx.respond(429, times=None)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client, grace=0.01):
                await until(lambda: is_told(outbox.stats().trouble, OUTAGE))
                set_back(lock_file, 1000)
                assert is_told(outbox.stats().trouble, SILENT, OUTAGE)

        outbox.put_sync(JANE)
        anyio.run(main, backend=backend)

    def test_draining_goes_on_without_a_sign_of_life(
        self, *, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient, backend: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(_leader, "_SECONDS_BETWEEN_SIGNS", 0.01)
        refused: list[Any] = []

        def refuse(given: str) -> None:
            refused.append(given)
            raise PermissionError

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until(lambda: len(refused) > 2)
                await outbox.put(JANE)
                await until_empty(outbox)

        monkeypatch.setattr(os, "utime", refuse)
        anyio.run(main, backend=backend)
        assert set(fake_sendx.contacts) == {"jane@example.com"}


QUICK_DRAINER = f"""
from sendx_async.outbox import _leader
_leader._SECONDS_BETWEEN_SIGNS = 0.02
{DRAINER}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't stop a process")
def test_a_frozen_process_is_told_until_it_goes_on(
    path: Path, outbox: Outbox, lock_file: Path, fake_sendx: FakeSendX,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", QUICK_DRAINER, fake_sendx.api_key, fake_sendx.url, str(path)]
    ) as process:
        try:
            outbox.put_sync(JANE)
            anyio.run(until_empty, outbox)  # so that it is stopped while it writes nothing
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
            set_back(lock_file, 65)
            outbox.put_sync(JANE)
            assert command(["outbox", "status", str(path)]) == 1
            said = capsys.readouterr().out
            assert re.search(r"^draining    yes, last sign of life \d+ s ago$", said, re.MULTILINE)
            assert is_told(said.partition("\ntrouble     ")[2].rstrip(), SILENT)
            assert outbox.stats().pending == 1
            process.send_signal(signal.SIGCONT)
            anyio.run(until, lambda: outbox.stats().trouble is None)
            anyio.run(until_empty, outbox)
        finally:
            process.kill()
