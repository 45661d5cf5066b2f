"""The examples, run as their docstrings say, with every warning an error."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.examples.conftest import EXAMPLES, LIMIT
from tests.postgresql import needs_postgresql

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows can't ask another process to end"
)


class Child:
    """An example that runs: its output, errors included, is read line by line."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        self.output = ""
        self._killer = threading.Timer(LIMIT, self.process.kill)
        self._killer.start()

    def says(self, words: str) -> None:
        assert self.process.stdout is not None
        line = ""
        while words not in line:
            line = self.process.stdout.readline()
            self.output += line
            assert line, f"it ended without {words!r}: {self.output}"

    def ends(self, status: int = 0) -> str:
        self.output += self.process.communicate()[0]
        assert self.process.returncode == status, self.output
        return self.output

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._killer.cancel()
        self._killer.join()


Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start an example, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    children: list[Child] = []

    def start(name: str, *arguments: str) -> Child:
        children.append(Child(name, *arguments))
        return children[-1]

    yield start
    for child in children:
        child.close()


@pytest.fixture
def server(fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch) -> FakeSendX:
    """A server of the test, which the examples find in their environment."""
    monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
    monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
    return fake_sendx


def numbers(pattern: str, output: str) -> list[int]:
    found = re.search(pattern, output)
    assert found is not None, output
    return [int(number) for number in found.groups()]


def test_each_example_has_a_test() -> None:
    files = [Path(__file__), *Path(__file__).parent.glob("test_*_recipe.py")]
    tests = "".join(file.read_text(encoding="utf-8") for file in files)
    names = [path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".ipynb"}]
    assert len(names) > 10
    assert [name for name in names if f'"{name}"' not in tests] == []


def test_quickstart_shows_contacts_events_and_errors(start: Start) -> None:
    output = start("quickstart.py").ends()
    assert "SendX asks to slow down" in output
    assert "SendX answered with HTTP 404" in output
    assert re.search(r"jane@example.com +Jane +vip +Role: Engineer, Seats: 27\n", output)
    assert re.search(r"bob@example.com +- +vip +-\n", output)
    assert "1 revenue event\n" in output
    answers = output.split("answered with ")[-1].split()
    assert sorted(answers) == ["200"] * 7 + ["404", "429", "503"]


class TestImportContacts:
    def test_only_bad_rows_fail(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")  # as in continuous integration: no bar even so
        output = start("import_contacts.py", "--contacts", "1000").ends()
        bar, *lines = output.splitlines()
        assert re.match(r"Importing \S+ 1000/1000 [\d,]+/s 3 failed \d:\d\d:\d\d", bar)
        refusal = "SendX answered with HTTP 422: birthday must be a date, YYYY-MM-DD"
        assert lines[0].startswith("  row 250: IdentifyRequest: email must be one e-mail address")
        assert lines[1:3] == [f"  row {row}: {refusal}" for row in (500, 750)]
        requests, good, bad = numbers(
            r"(\d+) requests were answered, (\d+) with 200, (\d+) with 422\.", lines[3]
        )
        assert lines[4:] == ["The sandbox holds 997 contacts."]
        # Two of them were refused in a batch, unless they happened to travel alone, and then again.
        assert 2 <= bad <= 4
        assert requests == good + bad
        assert 40 <= requests < 500

    def test_after_an_outage_it_goes_on(self, start: Start) -> None:
        broken = start(
            "import_contacts.py", "--contacts", "1000", "--outage", "--patience", "0.3"
        ).ends(status=1)
        assert "Stopped by OutageError: SendX failed for longer than the patience" in broken
        assert "HTTP 503" in broken
        unfinished, first = numbers(r"(\d+) rows were .* go on with --first (\d+)", broken)
        (held,) = numbers(r"holds (\d+) contacts", broken)
        (failed,) = numbers(r" (\d) failed", broken)
        assert unfinished > 0
        assert 1 <= first < 1000
        assert held + failed >= first - 1
        rest = start("import_contacts.py", "--contacts", "1000", "--first", str(first)).ends()
        rows = range(first, 1001)
        (held,) = numbers(r"holds (\d+) contacts", rest)
        assert held == len([row for row in rows if row not in {250, 500, 750}])
        assert f" {len(rows)}/{len(rows)} " in rest


def test_the_outbox_service_delivers_what_came_in_during_an_outage(start: Start) -> None:
    output = start("outbox_service.py").ends()
    waited = r"  50 visitors signed up, the slowest waited \d+ ms\n"
    assert re.search(rf"SendX is up\.\n{waited}  SendX knows 50 contacts and 50 events\n", output)
    assert re.search(rf"SendX is down\.\n(  WARNING .*\n)*{waited}", output)
    assert re.search(r"  \d+ requests wait in the outbox: SendX is in trouble: ConnectE", output)
    assert re.search(r"up again\.\n(  WARNING .*\n)*  SendX knows 100 contacts and 100 ev", output)
    assert "A bad address is refused at once, with 422: ['email must" in output


@needs_postgresql
def test_many_machines_deliver_all_in_order_when_a_worker_is_killed(start: Start) -> None:
    output = start("many_machines.py").ends()
    assert "a sign-up fails, since the user exists, and takes its requests with it" in output
    assert "240 deliveries are put, for 60 users" in output
    assert "one of two workers is killed, with requests under way" in output
    delivered, flagged = numbers(r"(\d+) are delivered, (\d+) need a look", output)
    assert delivered + flagged == 240
    assert 1 <= flagged <= 8  # so many were under way at most
    assert "the requests of 60 of 60 users in order" in output
    events, twice = numbers(r"and (\d+) events, (\d+) of them twice", output)
    assert 60 - flagged < events <= 60
    assert twice == 0
    assert output.count("track_custom_event, is uncertain: the worker ended while") == flagged


def done_by(server: FakeSendX) -> list[tuple[str, bool]]:
    """Give whom the server knows, and whether they were tagged."""
    return [(email, "back" in contact.tags) for email, contact in server.contacts.items()]


def all_of(accepted: int) -> list[tuple[str, bool]]:
    """Give what a server knows when it has done as many jobs as were accepted."""
    return [
        (f"visitor{number // 2}@example.com", number + 1 < accepted)
        for number in range(0, accepted, 2)
    ]


class TestAsyncioWorker:
    COUNTS = r"Stopped: (\d+) accepted, (\d+) delivered, (\d+) refused, (\d+) kept\.\n"

    def test_it_stops_by_itself(self, start: Start, tmp_path: Path) -> None:
        output = start("asyncio_worker.py", "--jobs", "100").ends()
        assert output == (
            "Running, 0 jobs taken over. SIGTERM stops it.\n"
            "Stopped: 100 accepted, 100 delivered, 0 refused, 0 kept.\n"
        )
        assert list(tmp_path.iterdir()) == []

    @needs_signals
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
    def test_what_was_accepted_before_a_signal_is_delivered(
        self, start: Start, server: FakeSendX, number: signal.Signals
    ) -> None:
        server.latency = 0.1  # so that the signal comes while jobs are queued and under way
        child = start("asyncio_worker.py", "--jobs", "inf")
        child.says("Running")
        server.wait_for(lambda: len(server.contacts) >= 20, LIMIT)
        child.process.send_signal(number)
        accepted, delivered, refused, kept = numbers(self.COUNTS, child.ends())
        assert accepted >= 20
        assert (delivered, refused, kept) == (accepted, 0, 0)
        assert sorted(done_by(server)) == sorted(all_of(accepted))

    @needs_signals
    def test_a_signal_at_the_very_beginning_ends_it_in_good_order(self, start: Start) -> None:
        child = start("asyncio_worker.py", "--jobs", "inf")
        child.says("Running")
        child.process.send_signal(signal.SIGTERM)
        accepted, delivered, refused, kept = numbers(self.COUNTS, child.ends())
        assert (delivered, refused, kept) == (accepted, 0, 0)

    @needs_signals
    @pytest.mark.parametrize("trouble", ["down", "busy", "silent"])
    def test_what_a_server_in_trouble_does_not_take_is_delivered_next_time(
        self, start: Start, server: FakeSendX, tmp_path: Path, trouble: str
    ) -> None:
        first = start("asyncio_worker.py", "--jobs", "inf", "--grace", "0.1")
        first.says("Running")
        server.wait_for(lambda: len(server.contacts) >= 10, LIMIT)
        if trouble == "down":
            server.stop()
            first.says("pausing")
        elif trouble == "busy":
            server.respond(500, times=None)
            first.says("pausing")
        else:
            server.black_hole(applied=True, times=None)
            server.wait_for(lambda: sum(r.status is None for r in server.requests) >= 3, LIMIT)
        first.process.send_signal(signal.SIGTERM)
        accepted, delivered, refused, kept = numbers(self.COUNTS, first.ends())
        lines = (tmp_path / "unsent.jsonl").read_text().splitlines()
        assert kept == len(lines) > 0
        assert {"email", "extra"} < json.loads(lines[0]).keys()
        assert (delivered, refused) == (accepted - kept, 0)

        server.recover()
        if trouble == "down":
            server.start()
        output = start("asyncio_worker.py", "--jobs", "0", "--grace", "30").ends()
        assert f"Running, {kept} jobs taken over." in output
        assert numbers(self.COUNTS, output) == [0, kept, 0, 0]
        assert sorted(done_by(server)) == sorted(all_of(accepted))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("trouble", ["down", "wrong key"])
    def test_what_ends_it_loses_nothing(
        self,
        start: Start,
        server: FakeSendX,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        trouble: str,
    ) -> None:
        # More than are read from the queue until the worker gives up.
        earlier = [f"earlier{number}@example.com" for number in range(600)]
        file = tmp_path / "unsent.jsonl"
        file.write_text("".join(json.dumps({"email": email}) + "\n" for email in earlier))
        with monkeypatch.context() as changed:
            if trouble == "down":
                server.stop()
            else:
                changed.setenv("SENDX_API_KEY", "wrong")
            output = start("asyncio_worker.py", "--jobs", "inf", "--patience", "0.3").ends(status=1)
        assert re.search(r"^(OutageError|AuthenticationError): SendX ", output, re.MULTILINE)
        assert "Traceback" not in output
        assert "Running, 600 jobs taken over." in output
        accepted, *others = numbers(self.COUNTS, output)
        assert accepted > 0
        assert others == [0, 0, 600 + accepted]
        left = [json.loads(line)["email"] for line in file.read_text().splitlines()]
        assert left == earlier + [f"visitor{number // 2}@example.com" for number in range(accepted)]

        if trouble == "down":
            server.start()
        output = start("asyncio_worker.py", "--jobs", "0", "--grace", "30").ends()
        assert numbers(self.COUNTS, output) == [0, 600 + accepted, 0, 0]
        known = [(email, False) for email in earlier] + all_of(accepted)
        assert sorted(done_by(server)) == sorted(known)

    def test_what_is_refused_is_not_kept(self, start: Start, server: FakeSendX) -> None:
        server.respond(422, message="not this one", path="contact/identify", times=None)
        server.respond(422, path="identify/bulk", times=None)
        output = start("asyncio_worker.py", "--jobs", "1").ends()
        assert numbers(self.COUNTS, output) == [1, 0, 1, 0]
        assert (
            "IdentifyRequest(email='v***@example.com'): SendX answered with HTTP 422: not this"
            in (output)
        )
