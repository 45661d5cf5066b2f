"""Imports that are stopped: by people, by SendX, by the file; and going on where they were."""

import contextlib
import functools
import json
import os
import re
import signal
import sqlite3
import subprocess
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import Said, end_of, run_command, run_in_shell, started

from .conftest import Import, Imported

LIMIT = 30.0


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
def importing(server: FakeSendX, *options: str) -> Generator["subprocess.Popen[str]"]:
    """Import a file in a process of its own, which has begun to send."""
    with started("import", "c.csv", *options) as process:
        server.wait_for(lambda: sent(server), LIMIT)
        yield process


def stop_at_once(process: "subprocess.Popen[str]") -> Said:
    """Send Ctrl-C again and again, since two that come together may be seen as one."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    return end_of(process)


@pytest.mark.usefixtures("settings")
class TestSignals:
    @pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_what_is_under_way_is_finished_and_the_rest_later(
        self, run: Run, fake_sendx: FakeSendX, number: int, status: int
    ) -> None:
        write_contacts(3000)
        fake_sendx.latency = 0.05
        with importing(fake_sendx) as process:
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

    def test_what_does_not_end_is_waited_for_only_so_long(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        write_contacts(3000)
        with importing(fake_sendx) as process:
            fake_sendx.black_hole(applied=False, times=None)
            fake_sendx.wait_for(lambda: any(r.status is None for r in fake_sendx.requests), LIMIT)
            process.send_signal(signal.SIGTERM)
            assert end_of(process).status == 143
        fake_sendx.recover()
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
        fake_sendx.latency = 0.2
        with importing(fake_sendx):
            for options in ([], ["--resume"]):
                said = run("import", "c.csv", *options)
                assert said.status == 2
                assert "another process is importing with c.csv.sendx-progress" in said.err


def stopped(import_text: Import, server: FakeSendX, text: str, *options: str) -> Imported:
    """Import a file while SendX refuses everything for an hour."""
    server.respond(429, retry_after=3600, times=None)
    done = import_text(text, *options)
    assert done.said.status == 3
    assert done.report["stopped_by"] == "OutageError"
    assert done.report["can_resume"] is True
    assert "It asks to wait 3600 s." in done.said.err
    assert done.said.err.startswith("Error: SendX is in trouble for too long: SendX answered")
    server.recover()
    return done


class TestOutage:
    TEXT = "email,first_name\nbad,x\na@b.co,Ann\nc@d.co,Cid\n"

    def test_it_goes_on_later(self, import_text: Import, run: Run, fake_sendx: FakeSendX) -> None:
        done = stopped(import_text, fake_sendx, self.TEXT)
        assert done.counts == (0, 1)
        assert done.report["stopped_at_row"] == 3
        again = resumed(run)
        assert (again.said.status, again.counts) == (1, (2, 1))
        assert len(Path("c.rejects.csv").read_text().splitlines()) == 2

    def test_a_wrong_key_ends_it_at_once(
        self, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("c.csv").write_text(self.TEXT)
        with monkeypatch.context() as wrong:
            wrong.setenv("SENDX_API_KEY", "wrong")
            said = run("import", "c.csv", "--json")
        assert said.status == 2
        assert json.loads(said.out)["stopped_by"] == "AuthenticationError"
        assert "HTTP 401" in said.err
        assert resumed(run).counts == (2, 1)

    def test_no_key_at_all(
        self, run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("c.csv").write_text(self.TEXT)
        monkeypatch.delenv("SENDX_API_KEY")
        said = run("import", "c.csv")
        assert said.status == 2
        assert "SENDX_API_KEY" in said.err
        assert [path.name for path in Path().iterdir()] == ["c.csv"]

    def test_rows_may_be_added_before_it_goes_on(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        with Path("c.csv").open("a") as file:
            file.write("e@f.co,Eve\n")
        assert resumed(run).counts == (3, 1)

    @pytest.mark.parametrize(
        "now, says",
        [
            ("email,first_name\nworse,x\na@b.co,Ann\nc@d.co,Cid\n", "its rows differ"),
            ("email,first_name\n", "it has only 0 rows, and 1 were imported"),
            ("email\nbad\n", "the import was begun with another header"),
        ],
    )
    def test_another_file_is_noticed_before_anything_is_sent(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX, now: str, says: str
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        before = len(fake_sendx.requests)
        Path("c.csv").write_text(now)
        done = resumed(run)
        assert done.said.status == 2
        assert says in done.said.err
        assert "Go on with" not in done.said.out
        assert len(fake_sendx.requests) == before
        Path("c.csv").write_text(self.TEXT)
        assert resumed(run).counts == (2, 1)

    @pytest.mark.parametrize(
        "options, says",
        [
            (
                ["--tag", "x"],
                "begun with another set of options for columns, tags or lists: resume",
            ),
            (["--encoding", "latin-1"], "begun with another encoding: resume it"),
            (["--rejects", "other.csv"], "begun with --rejects c.rejects.csv"),
        ],
    )
    def test_other_options_are_noticed(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX, options: list[str], says: str
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        said = run("import", "c.csv", "--resume", *options)
        assert said.status == 2
        assert says in said.err
        assert resumed(run, "--rejects", "c.rejects.csv", "--patience", "9").counts == (2, 1)

    def test_rejects_that_were_mended_meanwhile_are_left_alone(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT)
        rejects = Path("c.rejects.csv")
        for text in (rejects.read_text().replace("bad", "b@b.co"), "short"):
            rejects.write_text(text)
            said = run("import", "c.csv", "--resume")
            assert said.status == 2
            assert "c.rejects.csv was changed since the import was stopped: rename it" in said.err
        rejects.rename("mended.csv")
        assert resumed(run).counts == (2, 1)
        assert not rejects.exists()

    def test_rejects_that_are_not_certain_are_written_again(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, self.TEXT + "worse,x\n")
        before = Path("c.rejects.csv").read_text()
        with Path("c.rejects.csv").open("a") as file:
            file.write("5,half a li")  # as if it had been killed while it wrote
        assert resumed(run).counts == (2, 2)
        after = Path("c.rejects.csv").read_text()
        assert after.startswith(before)
        assert len(after.splitlines()) == 3

    def test_rejects_of_which_nothing_is_certain_are_written_again_or_left_alone(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        def refuse_the_others() -> float:
            fake_sendx.respond(429, retry_after=3600, times=None)
            return 0

        fake_sendx.latency = refuse_the_others
        options = ("--field", "Visits", "--concurrency", "1")  # ++1 travels alone
        done = import_text("email,Visits\na@b.co,++1\nc@d.co,++1\nbad,x\n", *options)
        assert (done.said.status, done.report["delivered"]) == (3, 1)
        fake_sendx.latency = 0
        fake_sendx.recover()
        rejects = Path("c.rejects.csv")
        # As if it had been killed before it rejected that row.
        change_document(
            finished=[[0, 1]],
            end=1,
            checksum=zlib.crc32(b"a@b.co,++1\n"),
            rejected=0,
            written=[0, 0],
        )
        rejects.write_text("precious")
        assert "c.rejects.csv was changed" in run("import", "c.csv", "--resume", *options).err
        assert rejects.read_text() == "precious"
        rejects.write_text("sendx_row,sendx_rea")
        assert resumed(run, *options).counts == (2, 1)
        assert [line[:9] for line in rejects.read_text().splitlines()] == ["sendx_row", '4,"email ']

    def test_standard_input_goes_on_with_a_progress_file(
        self, fake_sendx: FakeSendX, run: Run, settings: None
    ) -> None:
        def imported(*options: str) -> Said:
            with Path("c.csv").open("rb") as file:
                return run_command(
                    "import", "-", "--progress-file", "p", "--json", *options,
                    stdin=file,
                )  # fmt: skip

        Path("c.csv").write_text(self.TEXT)
        fake_sendx.respond(429, retry_after=3600, times=None)
        assert imported().status == 3
        fake_sendx.recover()
        report = json.loads(imported("--resume").out)
        assert (report["delivered"], report["rejected"]) == (2, 1)
        assert Path("stdin.rejects.csv").exists()
        assert not Path("p").exists()


@pytest.mark.usefixtures("settings")
class TestNotSafeToRepeat:
    def test_what_was_certainly_not_sent_is_sent_later(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, "email,Visits\na@b.co,++1\n", "--field", "Visits")
        assert resumed(run, "--field", "Visits").counts == (1, 0)
        assert fake_sendx.contact("a@b.co").custom_fields == {"Visits": "1"}

    def test_what_was_under_way_when_it_was_stopped_is_for_people_to_look_at(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        Path("c.csv").write_text("email,Visits\na@b.co,++1\n")
        fake_sendx.black_hole(applied=True)
        with started("import", "c.csv", "--field", "Visits") as process:
            fake_sendx.wait_for(lambda: fake_sendx.contact("a@b.co"), LIMIT)
            stop_at_once(process)
        assert resumed(run, "--field", "Visits").counts == (0, 1)
        assert "it may have been applied" in Path("c.rejects.csv").read_text()
        assert fake_sendx.contact("a@b.co").custom_fields == {"Visits": "1"}

    def test_what_was_under_way_at_a_kill_is_for_people_to_look_at(
        self, run: Run, fake_sendx: FakeSendX
    ) -> None:
        Path("c.csv").write_text("email,Visits\na@b.co,++1\nc@d.co,++1\n")
        fake_sendx.black_hole(applied=True)
        with started("import", "c.csv", "--field", "Visits", "--concurrency", "1") as process:
            fake_sendx.wait_for(lambda: fake_sendx.contact("a@b.co"), LIMIT)
            process.kill()
        done = resumed(run, "--field", "Visits")
        assert done.said.status == 1
        assert done.counts[0] + done.counts[1] == 2
        assert "2,may have been applied: the import ended" in (
            Path("c.rejects.csv").read_text().replace('"', "")
        )
        for address, contact in fake_sendx.contacts.items():
            assert contact.custom_fields == {"Visits": "1"}, address


class TestProgressFile:
    def test_where_nothing_was_stopped_nothing_is_resumed(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        # It would send all rows again, if whoever resumes has not heard of the end.
        assert import_text("email\na@b.co\n").counts == (1, 0)
        said = run("import", "c.csv", "--resume")
        assert said.status == 2
        assert (
            "there is nothing to resume: no import of c.csv has stopped before its end" in said.err
        )
        assert sent(fake_sendx) == ["a@b.co"]
        assert [path.name for path in Path().iterdir()] == ["c.csv"]

    def test_standard_input_has_none_of_its_own(self, run: Run) -> None:
        said = run("import", "-", "--resume")
        assert said.status == 2
        assert "--resume with standard input, or a pipe, needs --progress-file" in said.err

    @pytest.mark.parametrize("kind", ["text", "database"])
    def test_another_file_is_left_alone(self, import_text: Import, kind: str) -> None:
        path = Path("p")
        if kind == "text":
            path.write_text("precious " * 1000)
        else:
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE precious (x)")
                connection.commit()
        before = path.read_bytes()
        done = import_text("email\na@b.co\n", "--progress-file", "p")
        assert done.said.status == 2
        assert "p is no file in which an import keeps track of its rows" in done.said.err
        assert path.read_bytes() == before

    def test_one_of_another_version(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
        with contextlib.closing(sqlite3.connect("c.csv.sendx-progress")) as connection:
            connection.execute("UPDATE progress SET format = 2")
            connection.commit()
        said = run("import", "c.csv", "--resume")
        assert said.status == 2
        assert "written by another version of this command" in said.err

    def test_where_nothing_can_be_written(self, import_text: Import) -> None:
        done = import_text("email\na@b.co\n", "--progress-file", "absent/p")
        assert done.said.status == 2
        assert "absent/p can't keep track of the import" in done.said.err
        assert "--progress-file" in done.said.err


class SmallDisk(sqlite3.Connection):
    """Has room for what is written first, and for nothing else."""

    updates = 0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.updates += sql.startswith("UPDATE")
        if self.updates > 1:
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, parameters)


@pytest.mark.parametrize("value", ["x", "++1"])
def test_a_progress_file_that_can_not_be_written_any_more_stops_the_import(
    import_text: Import, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=SmallDisk))
    done = import_text(f"email,Visits\na@b.co,{value}\n", "--field", "Visits")
    assert done.said.status == 2
    assert done.report["stopped_by"] == "ConfigurationError"
    assert done.report["delivered"] == 0
    assert "c.csv.sendx-progress can't keep track of the import: database or disk is full" in (
        done.said.err
    )
    if value == "++1":  # nobody could tell afterwards whether it was sent
        assert fake_sendx.requests == []


@pytest.mark.parametrize("status", [404, 422])
def test_what_is_wrong_with_all_rows_is_noticed(
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


def break_after_the_first(server: FakeSendX, **how: Any) -> None:
    """Let a server answer well once, and then no more."""

    def break_() -> float:
        server.latency = 0
        server.respond(times=None, **how)
        return 0

    server.latency = break_


def test_a_server_that_is_another_one_from_some_moment_on_is_noticed(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    break_after_the_first(fake_sendx, status=200, body="<html>please log in</html>")
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(2000)))
    assert done.said.status == 2
    assert done.report["delivered"] > 0
    assert done.report["rejected"] < 400
    assert "it may have been applied" not in Path("c.rejects.csv").read_text()


def test_a_redirect_is_not_waited_out(import_text: Import, fake_sendx: FakeSendX) -> None:
    fake_sendx.redirect("http://127.0.0.1:9/", times=None)
    done = import_text("email\n" + "".join(f"a{n}@b.co\n" for n in range(10)))
    assert (done.said.status, done.counts) == (2, (0, 0))
    assert "SendX answers with a redirect (HTTP 3" in done.said.err
    assert "is the base URL right?" in done.said.err


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
def test_limits_that_are_none(run: Run, options: list[str]) -> None:
    said = run("import", "absent.csv", *options)
    assert said.status == 2
    assert options[0].strip("-") in said.err.lower()
    assert "absent" not in said.err


def test_an_import_that_was_killed_before_it_sent_anything_is_nobodys(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text("email\nbad\n", "--tag", "x")
    assert done.counts == (0, 1)
    Path("c.rejects.csv").unlink()
    fake_sendx.respond(429, retry_after=3600, times=None)
    first = import_text("email\nbad\na@b.co\n")
    assert first.said.status == 3
    fake_sendx.recover()
    # As if it had been killed when it had begun to write its first rejected row.
    change_document(finished=[], end=0, checksum=0, rejected=0, written=[0, 0], stopped_at=1)
    Path("c.rejects.csv").write_text("sendx_row,sendx_reas")
    again = import_text("email\nbad\na@b.co\n", "--tag", "y")
    assert again.counts == (1, 1)
    assert len(Path("c.rejects.csv").read_text().splitlines()) == 2


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


def test_a_look_can_not_be_resumed(run: Run) -> None:
    said = run("import", "c.csv", "--dry-run", "--resume")
    assert said.status == 2
    assert "--dry-run and --resume can't go together" in said.err


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


def test_a_document_that_makes_no_sense(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    change_document(finished=None)
    said = run("import", "c.csv", "--resume")
    assert said.status == 2
    assert "c.csv.sendx-progress can't be read: delete it to begin anew" in said.err


def test_rows_in_doubt_are_known_by_their_file_too(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    rows = "".join(f"a{n}@b.co,++1\n" for n in range(3))
    Path("c.csv").write_text("email,Visits\n" + rows)
    fake_sendx.black_hole(applied=True, times=None)
    with started("import", "c.csv", "--field", "Visits") as process:
        fake_sendx.wait_for(lambda: len(sent(fake_sendx)) == 3, LIMIT)
        process.kill()
    fake_sendx.recover()
    Path("c.csv").write_text("email,Visits\nnew@b.co,x\n" + rows)
    said = run("import", "c.csv", "--resume", "--field", "Visits")
    assert said.status == 2
    assert "this is not the file whose import was stopped" in said.err
    Path("c.csv").write_text("email,Visits\n" + rows)
    assert resumed(run, "--field", "Visits").counts == (0, 3)
    assert len(sent(fake_sendx)) == 3


def test_a_progress_file_that_was_moved_without_its_other_half(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    write_contacts(3000)
    fake_sendx.latency = 0.05
    with importing(fake_sendx) as process:
        fake_sendx.wait_for(lambda: len(sent(fake_sendx)) > 300, LIMIT)
        process.kill()
    fake_sendx.latency = 0
    log = Path("c.csv.sendx-progress-wal")
    log.rename("elsewhere")
    said = run("import", "c.csv", "--resume")
    assert said.status == 2
    assert "c.csv.sendx-progress is not whole: what was noted last stood in" in said.err
    Path("elsewhere").rename(log)
    assert resumed(run).counts == (3000, 0)


def test_one_that_was_stopped_in_order_is_one_file(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    names = {path.name for path in Path().iterdir()}
    assert names == {"c.csv", "c.csv.sendx-progress", "c.rejects.csv"}
    Path("c.csv").rename("d.csv")
    Path("c.csv.sendx-progress").rename("d.csv.sendx-progress")
    said = run("import", "d.csv", "--resume", "--json")
    assert json.loads(said.out)["delivered"] == 1


def test_another_base_url_is_noticed(import_text: Import, run: Run, fake_sendx: FakeSendX) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    elsewhere = fake_sendx.url.replace("127.0.0.1", "localhost")
    said = run("import", "c.csv", "--resume", "--base-url", elsewhere)
    assert said.status == 2
    assert "begun with another base URL" in said.err


@pytest.mark.parametrize("options", [[], ["--rejects", "./p"]])
def test_the_progress_file_is_a_file_of_its_own(import_text: Import, options: list[str]) -> None:
    name = "c.csv" if not options else "p"
    done = import_text("email\na@b.co\n", "--progress-file", name, *options)
    assert done.said.status == 2
    assert f"--progress-file {name} must be a file of its own" in done.said.err
    assert Path("c.csv").exists()


def change_document(**changes: object) -> None:
    with contextlib.closing(sqlite3.connect("c.csv.sendx-progress")) as connection:
        (text,) = connection.execute("SELECT document FROM progress").fetchone()
        document = json.dumps(json.loads(text) | changes)
        connection.execute("UPDATE progress SET document = ?", [document])
        connection.commit()
