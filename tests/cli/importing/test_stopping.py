"""Imports that are stopped: by people, by SendX, by a disk, by what is wrong with all rows."""

import functools
import json
import os
import re
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import end_of, run_in_shell, started

from .conftest import Import
from .stopped import (
    LIMIT,
    break_after_the_first,
    importing,
    resumed,
    sent,
    stop_at_once,
    write_contacts,
)

# The command, with less time for what is under way.
IMPATIENT = [
    sys.executable, "-W", "error", "-c", """
import sys
from sendx_async._cli import main
from sendx_async._cli.importing.sending import sender as _sender

_sender._SECONDS_TO_FINISH = 0.3
sys.exit(main())
""",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("settings")
class TestSignals:
    @pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_lets_what_is_under_way_finish_and_the_rest_come_later(
        self, run: Run, fake_sendx: FakeSendX, number: int, status: int
    ) -> None:
        write_contacts(3000)
        fake_sendx.latency = 0.4  # all would take 24 s
        with importing(fake_sendx, "--concurrency", "2") as process:
            process.send_signal(number)
            said = end_of(process)
        assert said.status == status
        assert said.err == ""
        first, last = said.out.splitlines()
        assert first.startswith("Stopped at row ")
        assert last == "Go on with the same command and --resume; no finished row is sent again."
        before = sent(fake_sendx)
        assert re.search(rf" of c\.csv: {len(before)} rows? delivered, 0 rejected", first)
        assert 0 < len(before) < 3000

        fake_sendx.latency = 0
        assert run("import", "c.csv").status == 2  # it doesn't begin anew by itself
        done = resumed(run)
        assert (done.said.status, done.counts) == (0, (3000, 0))
        assert done.report["rows"] == 3000 - len(before)
        assert sorted(sent(fake_sendx)) == sorted(f"a{n}@b.co" for n in range(3000))
        assert [path.name for path in Path().iterdir()] == ["c.csv"]

    def test_a_second_ctrl_c_waits_for_nothing(self, run: Run, fake_sendx: FakeSendX) -> None:
        write_contacts(300)
        fake_sendx.black_hole(applied=True, times=None)
        with importing(fake_sendx, "--json") as process:
            said = stop_at_once(process)
        report = json.loads(said.out)
        # One of them may have come when Python itself was ending.
        assert said.status in {130, -signal.SIGINT}
        assert (report["delivered"], report["stopped_by"], report["can_resume"]) == (
            0, "SIGINT", True,
        )  # fmt: skip

    def test_a_signal_waits_only_so_long_for_a_request_that_does_not_end(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        write_contacts(3000)
        fake_sendx.latency = 0.2  # all would take 24 s
        with importing(fake_sendx, "--concurrency", "1", command=IMPATIENT) as process:
            fake_sendx.black_hole(applied=False, times=None)
            fake_sendx.wait_for(lambda: any(r.status is None for r in fake_sendx.requests), LIMIT)
            process.send_signal(signal.SIGTERM)
            assert end_of(process).status == 143
        fake_sendx.recover()
        fake_sendx.latency = 0
        assert resumed(run).counts == (3000, 0)
        assert sorted(sent(fake_sendx)) == sorted(f"a{n}@b.co" for n in range(3000))

    def test_stopped_while_it_waits_for_standard_input(self, fake_sendx: FakeSendX) -> None:
        read, write = os.pipe()
        try:
            os.write(write, b"email\na@b.co\n")
            with started("import", "-", stdin=read) as process:
                fake_sendx.wait_for(lambda: sent(fake_sendx), LIMIT)
                process.send_signal(signal.SIGINT)
                said = end_of(process)
        finally:
            os.close(read)
            os.close(write)
        assert said.status == 130
        assert said.err == ""
        assert said.out.startswith("Stopped at row 3 of standard input: 1 row delivered")
        assert "--resume" not in said.out

    def test_only_one_process_imports_a_file(self, run: Run, fake_sendx: FakeSendX) -> None:
        write_contacts(3000)
        fake_sendx.latency = 0.2  # all would take 24 s
        with importing(fake_sendx, "--concurrency", "1"):
            for options in ([], ["--resume"]):
                said = run("import", "c.csv", *options)
                assert said.status == 2
                assert "another process is importing with c.csv.sendx-progress" in said.err


class SmallDisk(sqlite3.Connection):
    """Has room for what is written first, and for nothing else."""

    updates = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.updates += sql.startswith("UPDATE")
        if self.updates > 2:  # whose the rejects are, and that it has begun
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, parameters)


@pytest.mark.parametrize("value", ["x", "++1"])
def test_a_progress_file_that_can_not_be_written_any_more_stops_the_import(
    import_text: Import, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=SmallDisk))
    done = import_text(f"email,Visits\na@b.co,{value}\n", "--field", "Visits", "--increments")
    assert done.said.status == 2
    assert done.report["stopped_by"] == "ConfigurationError"
    assert done.report["delivered"] == 0
    assert "c.csv.sendx-progress can't keep track of the import: database or disk is full" in (
        done.said.err
    )
    if value == "++1":  # nobody could tell afterwards whether it was sent
        assert fake_sendx.requests == []


@pytest.mark.parametrize("status", [404, 422])
def test_the_same_refusal_of_all_rows_stops_the_import(
    import_text: Import, fake_sendx: FakeSendX, status: int
) -> None:
    fake_sendx.respond(status, times=None)
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(2000)))
    assert done.said.status == 2
    assert done.report["stopped_by"] == "ConfigurationError"
    assert "SendX has refused 100 rows after each other in the same way: " in done.said.err
    assert ".." not in done.said.err
    assert done.report["delivered"] == 0
    assert 100 <= done.report["rejected"] < 400
    assert done.report["can_resume"] is True


def test_a_server_that_is_another_one_from_some_moment_on_is_noticed(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    break_after_the_first(fake_sendx, status=404)
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(2000)))
    assert done.said.status == 2
    assert done.report["delivered"] > 0
    assert done.report["rejected"] < 400


@pytest.mark.parametrize("status", [200, 307])
def test_what_something_else_answers_is_waited_out_once_sendx_has_answered(
    import_text: Import, run: Run, fake_sendx: FakeSendX, status: int
) -> None:
    break_after_the_first(
        fake_sendx, status=status, body="<html>please log in</html>", applied=False
    )
    text = "email\n" + "".join(f"a{n}@b.co\n" for n in range(60))
    done = import_text(text, "--concurrency", "1", "--patience", "0.1")
    assert (done.said.status, done.report["stopped_by"]) == (3, "OutageError")
    assert done.report["delivered"] > 0
    assert done.report["rejected"] == 0
    assert "SendX is in trouble for too long: " in done.said.err
    assert f"HTTP {status}" in done.said.err
    fake_sendx.recover()
    assert resumed(run).counts == (60, 0)
    assert sorted(sent(fake_sendx)) == sorted(f"a{n}@b.co" for n in range(60))


@pytest.mark.parametrize("field", ["x", "++1"])
@pytest.mark.parametrize("status", [200, 307])
def test_what_something_else_answers_at_first_is_not_waited_out(
    import_text: Import, fake_sendx: FakeSendX, status: int, field: str
) -> None:
    fake_sendx.respond(status, body="<html>please log in</html>", applied=False, times=None)
    rows = "".join(f"a{n}@b.co,{field}\n" for n in range(100))
    done = import_text(
        "email,Visits\n" + rows, "--field", "Visits", "--increments", "--concurrency", "1"
    )
    assert done.said.status == 2
    assert done.report["delivered"] == 0
    # A row that must not be sent twice is in doubt when a page answers, and refused by a redirect.
    assert done.report["rejected"] == (status == 200 and field == "++1")
    assert f"answers with HTTP {status} can't be SendX: is the base URL right" in done.said.err
    assert done.report["can_resume"] is True


@pytest.mark.parametrize("status,body", [(200, {"error": "quota exceeded"}), (207, {})])
def test_rows_whose_failure_is_reported_in_a_success_are_rejected(
    import_text: Import, fake_sendx: FakeSendX, status: int, body: dict[str, str]
) -> None:
    fake_sendx.respond(status, body=body, path="identify/bulk", applied=False)
    fake_sendx.respond(200, body={"error": "quota exceeded"}, path="contact/identify", times=3)
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(25)))
    assert (done.said.status, done.counts) == (1, (22, 3))
    reason = "SendX answered with HTTP 200: quota exceeded. The answer reports a failure"
    rejects = Path("c.rejects.csv").read_text()
    assert rejects.count(reason) == rejects.count("; it may have been applied") == 3


def test_after_something_was_delivered_nothing_is_wrong_with_all_rows(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    break_after_the_first(fake_sendx, status=429, retry_after=3600)
    text = "email\n" + "".join(f"a{n}@b.co\n" for n in range(300))
    first = import_text(text, "--concurrency", "1")
    assert first.said.status == 3
    delivered = first.report["delivered"]
    assert delivered > 0
    fake_sendx.recover()
    fake_sendx.respond(422, times=None)
    assert resumed(run).counts == (delivered, 300 - delivered)


def test_refusals_of_several_kinds_are_of_the_rows(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(404, path="identify/bulk", times=None)
    fake_sendx.respond(422, path="contact/identify", times=60)
    fake_sendx.respond(400, path="contact/identify", times=60)
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(200)))
    assert (done.said.status, done.counts) == (1, (80, 120))


@pytest.mark.parametrize("options", [["--patience", "-1"], ["--rate", "0"]])
def test_limits_that_make_no_sense_are_refused_before_the_file_is_opened(
    run: Run, options: list[str]
) -> None:
    said = run("import", "absent.csv", *options)
    assert said.status == 2
    assert options[0].strip("-") in said.err.lower()
    assert "absent" not in said.err


def test_rejects_that_are_deleted_meanwhile_stop_the_import(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    def delete() -> float:
        if Path("c.rejects.csv").exists() and Path("c.rejects.csv").stat().st_size:
            Path("c.rejects.csv").unlink()
        return 0

    fake_sendx.latency = delete
    rows = "".join(f"a{n}@b.co\n" + "bad\n" * (n % 20 == 0) for n in range(2000))
    done = import_text("email\n" + rows)
    assert done.said.status == 2
    assert "c.rejects.csv was deleted while the import wrote to it" in done.said.err


def test_a_dry_run_can_not_be_resumed(run: Run) -> None:
    said = run("import", "c.csv", "--dry-run", "--resume")
    assert said.status == 2
    assert "--dry-run and --resume can't go together" in said.err


@pytest.mark.slow
@pytest.mark.parametrize("target", [">/dev/full", "| true"])
def test_a_result_that_nobody_can_read_changes_no_status(
    settings: None, fake_sendx: FakeSendX, target: str
) -> None:
    Path("c.csv").write_text("email\na@b.co\n")
    said = run_in_shell(f"sendx import c.csv {target}; echo $? >&2")
    assert said.err.splitlines()[-1] == "0"
    reason = "No space left on device" if target == ">/dev/full" else "nobody reads it"
    assert f"the result can't be written: {reason}" in said.err
    assert sent(fake_sendx) == ["a@b.co"]
