"""The file that remembers how far an import came."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import run_in_shell

from .conftest import Import
from .stopped import LIMIT, change_document, importing, resumed, sent, stopped, write_contacts


class TestCheckpoint:
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

    @pytest.mark.slow
    def test_to_resume_standard_input_a_checkpoint_must_be_named(self, settings: None) -> None:
        said = run_in_shell("printf 'email\\na@b.co\\n' | sendx import - --resume")
        assert said.status == 2
        assert "--resume with standard input, or a pipe, needs --progress-file" in said.err

    @pytest.mark.parametrize("kind", ["text", "database"])
    def test_a_file_that_is_no_checkpoint_is_left_alone(
        self, import_text: Import, kind: str
    ) -> None:
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

    def test_a_checkpoint_of_another_version_is_refused(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
        with contextlib.closing(sqlite3.connect("c.csv.sendx-progress")) as connection:
            connection.execute("UPDATE progress SET format = 1")
            connection.commit()
        said = run("import", "c.csv", "--resume")
        assert said.status == 2
        assert "written by another version of this command" in said.err

    def test_a_checkpoint_that_can_not_be_written_names_the_option(
        self, import_text: Import
    ) -> None:
        done = import_text("email\na@b.co\n", "--progress-file", "absent/p")
        assert done.said.status == 2
        assert "absent/p can't keep track of the import" in done.said.err
        assert "--progress-file" in done.said.err


def test_a_checkpoint_that_makes_no_sense_is_refused(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    change_document(finished=None)
    said = run("import", "c.csv", "--resume")
    assert said.status == 2
    assert "c.csv.sendx-progress can't be read: delete it to begin anew" in said.err


@pytest.mark.slow
def test_a_checkpoint_that_was_moved_without_its_log_is_refused(
    settings: None, run: Run, fake_sendx: FakeSendX
) -> None:
    write_contacts(3000)
    fake_sendx.latency = 0.2  # all would take 24 s
    with importing(fake_sendx, "--concurrency", "1") as process:
        fake_sendx.wait_for(lambda: len(sent(fake_sendx)) > 50, LIMIT)
        process.kill()
    fake_sendx.latency = 0
    log = Path("c.csv.sendx-progress-wal")
    log.rename("elsewhere")
    said = run("import", "c.csv", "--resume")
    assert said.status == 2
    assert "c.csv.sendx-progress is not whole: what was noted last stood in" in said.err
    Path("elsewhere").rename(log)
    assert resumed(run).counts == (3000, 0)


@pytest.mark.slow
def test_the_checkpoint_of_an_import_that_was_stopped_in_order_is_one_file(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    names = {path.name for path in Path().iterdir()}
    assert names == {"c.csv", "c.csv.sendx-progress", "c.rejects.csv"}
    Path("c.csv").rename("d.csv")
    Path("c.csv.sendx-progress").rename("d.csv.sendx-progress")
    said = run("import", "d.csv", "--resume", "--json")
    assert json.loads(said.out)["delivered"] == 1


@pytest.mark.parametrize("options", [[], ["--rejects", "./p"]])
def test_the_checkpoint_must_be_a_file_of_its_own(import_text: Import, options: list[str]) -> None:
    name = "c.csv" if not options else "p"
    done = import_text("email\na@b.co\n", "--progress-file", name, *options)
    assert done.said.status == 2
    assert f"--progress-file {name} must be a file of its own" in done.said.err
    assert Path("c.csv").exists()
