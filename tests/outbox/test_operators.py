"""What people do with an outbox: look at it, send again, throw away; in Python and from a shell."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    OutboxError,
    TrackRequest,
)
from sendx_async._cli import main as command
from sendx_async.outbox import Outbox, OutboxEvent, OutboxStats, _leader
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import drain, until_empty

MakeClient = Callable[..., AsyncTrackingClient]
Fail = Callable[[Outbox], dict[str, str]]
JANE = IdentifyRequest("jane@example.com", first_name="Jane")
SIGNUP = CustomEventRequest("jane@example.com", "signup")


@pytest.fixture
def fail(fake_sendx: FakeSendX, make_client: MakeClient) -> Fail:
    """Put a request that is dead then, one with an id of the caller's, and an uncertain one."""

    def fail(outbox: Outbox) -> dict[str, str]:
        ids = {
            "dead": outbox.put_sync(JANE),
            "given": outbox.put_sync(IdentifyRequest("bob@example.com"), delivery_id="hook-1"),
            "uncertain": outbox.put_sync(SIGNUP),
        }
        fake_sendx.respond(422, times=3, path="identify", message="bad")
        fake_sendx.respond(422, path="bulk", message="bad")
        fake_sendx.drop(path="custom", applied=False)
        drain(outbox, make_client())
        fake_sendx.recover()
        stats = outbox.stats()
        assert (stats.dead, stats.uncertain) == (2, 1)
        return ids

    return fail


def test_stats_tell_what_waits_and_that_nobody_drains(outbox: Outbox) -> None:
    stats = outbox.stats()
    assert (stats.pending, stats.dead, stats.uncertain) == (0, 0, 0)
    assert (stats.oldest_age, stats.is_draining, stats.trouble) == (None, False, None)
    before = time.time()
    outbox.put_sync(JANE)
    stats = outbox.stats()
    assert stats.pending == 1
    assert stats.oldest_age is not None
    assert 0 <= stats.oldest_age <= time.time() - before
    assert stats.trouble == "no process drains this outbox"


class TestRetry:
    def test_retry_takes_all_that_is_dead(
        self, outbox: Outbox, fail: Fail, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        ids = fail(outbox)
        assert outbox.retry() == 2
        assert outbox.retry() == 0
        assert outbox.stats().pending == 2
        fake_sendx.respond(400, path="identify")
        fake_sendx.respond(400, path="bulk")
        drain(outbox, make_client())
        # It keeps its id, also when it fails again.
        (failed,) = outbox.failed("dead")
        assert failed.delivery_id in {ids["dead"], "hook-1"}
        assert outbox.retry([failed.delivery_id]) == 1
        drain(outbox, make_client())
        assert set(fake_sendx.contacts) == {"jane@example.com", "bob@example.com"}
        assert [each.kind for each in outbox.failed()] == ["uncertain"]

    def test_retry_takes_ids_of_either_kind(
        self, outbox: Outbox, fail: Fail, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        ids = fail(outbox)
        assert outbox.retry([ids["uncertain"], ids["dead"], ids["dead"]]) == 2
        drain(outbox, make_client())
        assert len(fake_sendx.events) == 1
        assert outbox.retry("hook-1") == 1
        assert outbox.failed() == []

    def test_retry_takes_all_of_both_kinds(self, outbox: Outbox, fail: Fail) -> None:
        fail(outbox)
        assert outbox.retry(uncertain=True) == 3
        assert outbox.failed() == []

    def test_retry_refuses_ids_that_are_no_strings(self, outbox: Outbox) -> None:
        with pytest.raises(InvalidRequestError, match="delivery_ids must be strings, got int"):
            outbox.retry([3])  # type: ignore[list-item]

    def test_failed_refuses_an_unknown_kind(self, outbox: Outbox) -> None:
        with pytest.raises(ConfigurationError, match="kind must be 'dead' or 'uncertain', got 'x'"):
            outbox.failed("x")  # type: ignore[arg-type]

    def test_retry_refuses_an_id_whose_number_is_unknown(self, outbox: Outbox, fail: Fail) -> None:
        name = fail(outbox)["dead"].partition("-")[0]
        for number in ("999", "9" * 30, "x", "\u0663"):
            with pytest.raises(OutboxError, match="no dead or uncertain delivery"):
                outbox.retry([f"{name}-{number}"])

    @pytest.mark.parametrize("delivery_id", ["x", "x-1", "hook-2", "", "\ud800"])
    def test_retry_with_an_unknown_id_changes_nothing(
        self, outbox: Outbox, fail: Fail, delivery_id: str
    ) -> None:
        fail(outbox)
        with pytest.raises(OutboxError, match="no dead or uncertain delivery"):
            outbox.retry(["hook-1", delivery_id])
        assert outbox.stats().dead == 2

    def test_retry_wakes_the_drain_loop(
        self, outbox: Outbox, fail: Fail, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        fail(outbox)

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until(lambda: outbox.stats().is_draining)
                outbox.retry()
                await fake_sendx.until(lambda: len(fake_sendx.contacts) == 2, 25)

        anyio.run(main)


class TestDiscard:
    def test_discard_throws_some_or_all_away(self, outbox: Outbox, fail: Fail) -> None:
        ids = fail(outbox)
        assert outbox.discard([ids["dead"]]) == 1
        assert outbox.discard() == 1
        assert [each.delivery_id for each in outbox.failed()] == [ids["uncertain"]]
        assert outbox.discard(uncertain=True) == 1
        assert outbox.failed() == []
        assert outbox.stats().pending == 0


class TestPurge:
    def test_purge_erases_all_about_a_contact_from_the_file(
        self, path: Path, outbox: Outbox, fail: Fail
    ) -> None:
        fail(outbox)
        outbox.put_sync(IdentifyRequest("JANE@example.com", first_name="Janesecret"))
        outbox.put_sync(IdentifyRequest("old@example.com", new_email="Jane@Example.com"))
        outbox.put_sync(TrackRequest("jane@example.com", add_tags=["x"]))
        for number in range(1100):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        assert outbox.purge("jane@EXAMPLE.com") == 5
        assert outbox.purge("jane@example.com") == 0
        stats = outbox.stats()
        assert (stats.pending, stats.dead, stats.uncertain) == (1100, 1, 0)
        for file in path.parent.iterdir():
            assert b"jane" not in file.read_bytes().lower(), file

    def test_purge_searches_unreadable_requests_as_text(self, path: Path, outbox: Outbox) -> None:
        outbox.put_sync(JANE)
        outbox.put_sync(JANE)
        outbox.put_sync(IdentifyRequest("bob@example.com"))
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE pending SET payload = '{Jane@example.com' WHERE id = 1")
            payload = json.dumps({"version": 2, "to": "jane@example.com"})
            connection.execute("UPDATE pending SET payload = ? WHERE id = 2", (payload,))
        connection.close()
        assert outbox.purge("jane@example.com") == 2
        assert outbox.stats().pending == 1

    def test_a_purged_request_that_was_read_already_is_not_sent(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient, backend: str
    ) -> None:
        fake_sendx.respond(429, retry_after=0)
        purged: list[int] = []

        def purge(event: OutboxEvent) -> None:
            if event.kind == "paused":  # because of the first request, before it is sent again
                purged.append(outbox.purge("jane@example.com"))

        async def main() -> None:
            async with make_client() as client, outbox.draining(client):
                await until_empty(outbox)

        with Outbox(path, on_event=purge) as outbox:
            outbox.put_sync(JANE)
            outbox.put_sync(IdentifyRequest("bob@example.com"))
            anyio.run(main, backend=backend)
            assert outbox.failed() == []
        assert purged == [1]
        assert [each.status for each in fake_sendx.requests] == [429, 200]
        assert set(fake_sendx.contacts) == {"bob@example.com"}

    @pytest.mark.parametrize("address", ["", None, 3])
    def test_purge_refuses_a_bad_address(self, outbox: Outbox, address: Any) -> None:
        with pytest.raises(InvalidRequestError, match="address must be a str that isn't empty"):
            outbox.purge(address)


class TestCommand:
    @pytest.fixture
    def say(self, path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
        """Run a command on the file, and give what it says."""

        def say(name: str, *arguments: str, status: int = 0) -> str:
            found = command(["outbox", name, str(path), *arguments])
            said = capsys.readouterr()
            assert found == status, said
            return said.out + said.err

        return say

    def test_the_status_command_shows_counts_and_trouble(
        self, outbox: Outbox, fail: Fail, say: Callable[..., str]
    ) -> None:
        fail(outbox)
        assert say("status") == (
            "pending     0\ndead        2\nuncertain   1\noldest      -\n"
            "draining    no\ntrouble     none\n"
        )
        outbox.put_sync(JANE)
        said = say("status", status=1)
        assert "pending     1\n" in said
        assert "trouble     no process drains this outbox\n" in said
        assert json.loads(say("status", "--json", status=1))["pending"] == 1

    def test_the_dead_command_lists_dead_letters(
        self, outbox: Outbox, fail: Fail, say: Callable[..., str]
    ) -> None:
        ids = fail(outbox)
        lines = say("dead").splitlines()
        assert len(lines) == 3
        (line,) = [line for line in lines if line.startswith(ids["dead"])]
        assert "  dead  20" in line
        assert "IdentifyRequest(email='j***@example.com', first_name=...)" in line
        assert line.endswith("UnprocessableEntityError: SendX answered with HTTP 422: bad")
        assert len(say("dead", "--limit", "1").splitlines()) == 1
        assert say("dead", "--uncertain").startswith(f"{ids['uncertain']}  uncertain  ")
        found = [json.loads(line) for line in say("dead", "--json").splitlines()]
        assert {each["delivery_id"] for each in found} == set(ids.values())
        (jane,) = [each for each in found if each["delivery_id"] == ids["dead"]]
        assert jane["request"]["email"] == "jane@example.com"
        assert jane["operation"] == "identify_contact"

    def test_the_dead_command_lists_unreadable_requests(
        self, path: Path, outbox: Outbox, make_client: MakeClient, say: Callable[..., str]
    ) -> None:
        outbox.put_sync(JANE)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE pending SET payload = '{'")
        connection.close()
        drain(outbox, make_client())
        assert "  None  InvalidRequestError: stored request: can't be read" in say("dead")
        (found,) = map(json.loads, say("dead", "--json").splitlines())
        assert found["request"] is found["operation"] is None

    def test_the_retry_command_puts_dead_letters_back(
        self, outbox: Outbox, fail: Fail, say: Callable[..., str]
    ) -> None:
        ids = fail(outbox)
        assert say("retry", "hook-1") == "1 put back, behind all that wait.\n"
        assert say("retry") == "1 put back, behind all that wait.\n"
        assert say("retry", "--uncertain") == "1 put back, behind all that wait.\n"
        assert "no dead or uncertain delivery" in say("retry", ids["dead"], status=2)

    def test_the_retry_command_takes_ids_behind_an_option(
        self, outbox: Outbox, fail: Fail, say: Callable[..., str], path: Path
    ) -> None:
        ids = fail(outbox)
        assert command(["outbox", "retry", "--uncertain", str(path), "hook-1"]) == 0
        assert say("retry", "--uncertain", ids["uncertain"]).startswith("1 put back")
        assert "No such option" in say("retry", "--uncertainly", ids["dead"], status=2)
        assert "unexpected extra argument" in say("status", "hook-1", status=2)

    def test_the_dead_command_says_when_nothing_was_put_aside(
        self, outbox: Outbox, say: Callable[..., str]
    ) -> None:
        assert say("dead") == "Nothing was put aside.\n"
        assert say("dead", "--json") == ""

    def test_the_purge_command_throws_away(
        self, outbox: Outbox, fail: Fail, say: Callable[..., str]
    ) -> None:
        fail(outbox)
        outbox.put_sync(JANE)
        assert say("purge", "Jane@example.com") == "3 thrown away.\n"
        assert say("purge", "--dead") == "1 thrown away.\n"
        assert outbox.failed() == []
        fail(outbox)
        assert say("purge", "--dead", "--uncertain") == "3 thrown away.\n"
        both = ("jane@example.com", "--dead")
        for wrong in ((), both, ("--uncertain",), ("jane@example.com", "--uncertain")):
            assert "takes either an ADDRESS or --dead" in say("purge", *wrong, status=2)

    @pytest.mark.parametrize("name", ["status", "dead", "retry", "purge"])
    def test_commands_do_not_make_a_missing_file(
        self, path: Path, name: str, say: Callable[..., str]
    ) -> None:
        given = ["--dead"] * (name == "purge")
        assert say(name, *given, status=2) == f"Error: {path} does not exist\n"
        assert not path.exists()

    @pytest.mark.parametrize("name", ["status", "dead"])
    def test_commands_report_errors_as_json(
        self, path: Path, name: str, say: Callable[..., str]
    ) -> None:
        told, line = say(name, "--json", status=2).splitlines()
        assert json.loads(told)["error"] == "ConfigurationError"
        assert line == f"Error: {path} does not exist"

    @pytest.mark.parametrize("limit", ["0", "-1", "x"])
    def test_the_dead_command_refuses_a_bad_limit(
        self, outbox: Outbox, limit: str, say: Callable[..., str]
    ) -> None:
        assert "Invalid value for '--limit'" in say("dead", "--limit", limit, status=2)

    def test_the_status_command_tells_of_an_unreadable_lock(
        self, path: Path, outbox: Outbox, say: Callable[..., str]
    ) -> None:
        path.with_name("outbox.db-drainer").write_text("mine " * 1000)
        assert "file is not a database" in say("status", status=2)

    def test_the_status_command_refuses_a_file_that_is_no_outbox(
        self, path: Path, say: Callable[..., str]
    ) -> None:
        path.write_text("Dear diary, " * 1000)
        assert "file is not a database" in say("status", status=2)

    def test_the_drain_command_needs_a_key(self, path: Path, say: Callable[..., str]) -> None:
        assert "SENDX_API_KEY" in say("drain", status=2)
        assert not path.exists()

    def test_the_drain_command_begins_though_the_file_cannot_be_looked_at(
        self,
        path: Path,
        fake_sendx: FakeSendX,
        say: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with Outbox(path) as outbox:
            outbox.put_sync(JANE)
        stats, refused = Outbox.stats, [True]

        def look(outbox: Outbox) -> OutboxStats:
            if refused:
                refused.clear()
                raise OutboxError("the disk is full")
            return stats(outbox)

        monkeypatch.setattr(Outbox, "stats", look)
        monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
        said = say("drain", "--until-empty", "--base-url", fake_sendx.url)
        assert "0 wait, 0 are dead, 0 uncertain" in said
        assert not refused

    def test_the_drain_command_reports_counts_as_json(
        self,
        outbox: Outbox,
        say: Callable[..., str],
        fake_sendx: FakeSendX,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)
        outbox.put_sync(JANE)
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [(number, signal.getsignal(number)) for number in numbers]
        try:
            said = say("drain", "--until-empty", "--json", "--base-url", fake_sendx.url)
        finally:
            for number, handler in before:
                signal.signal(number, handler)
        assert json.loads(said.splitlines()[0]) == {
            "pending": 0, "dead": 0, "uncertain": 0, "oldest_age": None,
            "is_draining": False, "trouble": None, "silent_for": None,
        }  # fmt: skip
        assert set(fake_sendx.contacts) == {"jane@example.com"}


class TestDrainCommand:
    """In a process of its own, as its users run it."""

    @pytest.fixture
    def start(
        self, path: Path, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[..., "subprocess.Popen[str]"]:
        monkeypatch.setenv("SENDX_BASE_URL", fake_sendx.url)
        monkeypatch.setenv("SENDX_API_KEY", fake_sendx.api_key)

        def start(*arguments: str) -> "subprocess.Popen[str]":
            return subprocess.Popen(
                [
                    sys.executable, "-W", "error", "-m", "sendx_async", "outbox", "drain",
                    str(path), *arguments,
                ],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

        return start

    def test_the_drain_command_ends_when_nothing_waits(
        self, outbox: Outbox, start: Callable[..., Any], fake_sendx: FakeSendX
    ) -> None:
        for number in range(30):
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        with start("--until-empty", "--concurrency", "2", "--rate", "100") as process:
            said, logged = process.communicate(timeout=150)
        assert process.returncode == 0, logged
        assert said == "Stopped. 0 wait, 0 are dead, 0 uncertain.\n"
        assert "INFO SendX outbox" in logged
        assert len(fake_sendx.contacts) == 30

    @pytest.mark.parametrize("options", [[], ["--until-empty"]])
    def test_a_signal_lets_what_is_under_way_end(
        self,
        outbox: Outbox,
        start: Callable[..., Any],
        fake_sendx: FakeSendX,
        options: list[str],
    ) -> None:
        fake_sendx.respond(200, path="custom", times=None)
        fake_sendx.latency = 0.3
        for _ in range(2):
            outbox.put_sync(SIGNUP)
        with start(*options) as process:
            fake_sendx.wait_for(lambda: fake_sendx.requests, timeout=100)
            process.send_signal(signal.SIGTERM)
            _, logged = process.communicate(timeout=150)
        assert outbox.failed() == [], logged
        assert outbox.stats().pending == 1

    def test_the_drain_command_takes_a_base_url(
        self,
        outbox: Outbox,
        start: Callable[..., Any],
        fake_sendx: FakeSendX,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        outbox.put_sync(JANE)
        monkeypatch.setenv("SENDX_BASE_URL", "http://127.0.0.1:1")
        with start("--until-empty", "--base-url", fake_sendx.url, "--timeout", "20") as process:
            _, logged = process.communicate(timeout=150)
        assert process.returncode == 0, logged
        assert set(fake_sendx.contacts) == {"jane@example.com"}

    def test_commands_report_errors_as_json(
        self, outbox: Outbox, start: Callable[..., Any]
    ) -> None:
        with start("--json", "--rate", "0") as process:
            said, logged = process.communicate(timeout=150)
        assert process.returncode == 2
        assert json.loads(said)["error"] == "ConfigurationError"
        assert logged.startswith("Error: Rate: per_second must be a number of requests above 0")

    def test_a_second_drain_command_says_that_it_waits(
        self, path: Path, outbox: Outbox, start: Callable[..., Any]
    ) -> None:
        first = _leader.LeaderLock(str(path))
        assert first.acquire()
        with start("--until-empty") as process:
            _, logged = process.communicate(timeout=150)
        assert process.returncode == 0, logged
        told = re.escape(f"Another process drains {path}, last sign of life ")
        assert re.match(told + r"\d+ s ago: this one waits for its turn\.\n", logged)
        first.release()

    def test_the_drain_command_ends_when_the_key_is_not_accepted(
        self, outbox: Outbox, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        outbox.put_sync(JANE)
        monkeypatch.setenv("SENDX_API_KEY", "wrong-key")
        with start("--until-empty") as process:
            said, logged = process.communicate(timeout=150)
        assert process.returncode == 2
        assert "Check the API key" in logged
        assert "Traceback" not in logged
        assert "wrong-key" not in said + logged
        assert outbox.stats().pending == 1

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows can't ask a process to end")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
    @pytest.mark.parametrize("until_empty", [True, False])
    def test_the_drain_command_stops_at_a_signal(
        self,
        *,
        outbox: Outbox,
        start: Callable[..., Any],
        fake_sendx: FakeSendX,
        number: signal.Signals,
        until_empty: bool,
    ) -> None:
        outbox.put_sync(JANE)
        fake_sendx.respond(503, times=None)
        with start(*["--until-empty"] * until_empty) as process:
            fake_sendx.wait_for(lambda: fake_sendx.requests, 25)
            # More than once, as people and supervisors do.
            process.send_signal(number)
            process.send_signal(number)
            said, logged = process.communicate(timeout=150)
        # To be stopped is how draining ends, unless it was to end when nothing waits.
        cut_short = 130 if number == signal.SIGINT else 143
        assert process.returncode == (cut_short if until_empty else 0), logged
        assert said == "Stopped. 1 wait, 0 are dead, 0 uncertain.\n"
        assert "Traceback" not in logged
