"""The log of delivered contacts: which tags whom was given, so that they can be taken back."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started

from .conftest import Import
from .stopped import LIMIT, resumed, sent, stopped, write_contacts

LOG = Path("log.ndjson")


def logged() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LOG.read_text().splitlines()]


def test_each_delivered_contact_is_logged_with_its_tags(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, path="identify/bulk")
    fake_sendx.respond(422, path="contact/identify")
    text = 'email,tags\nno@b.co,\na@b.co,"x, y"\nbad,z\nc@d.co,\n'
    tags = ("--tag", "y", "--tag", "2026")
    done = import_text(text, *tags, "--concurrency", "1", "--log", str(LOG))
    assert done.counts == (2, 2)
    assert done.report["log"] == "log.ndjson"
    assert sorted(logged(), key=lambda line: line["row"]) == [
        {"email": "a@b.co", "tags": ["x", "y", "2026"], "row": 3, "file": "c.csv"},
        {"email": "c@d.co", "tags": ["y", "2026"], "row": 5, "file": "c.csv"},
    ]
    assert stat.S_IMODE(LOG.stat().st_mode) == 0o600


def test_who_may_have_been_given_tags_is_logged_as_well(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    fake_sendx.drop(applied=True)
    text = "email,Visits,tags\na@b.co,++1,x\n"
    done = import_text(text, "--field", "Visits", "--increments", "--log", str(LOG))
    assert done.counts == (0, 1)
    assert [line["email"] for line in logged()] == ["a@b.co"]


def test_a_contact_whose_address_is_changed_is_logged_with_the_new_one(import_text: Import) -> None:
    import_text("email,new_email,tags\na@b.co,z@b.co,x\n", "--log", str(LOG))
    assert [line["email"] for line in logged()] == ["z@b.co"]


@pytest.mark.parametrize("before", ["precious", '{"email": "a@b.co", "tags": [], "row": 2}\n'])
def test_a_log_is_not_overwritten(import_text: Import, fake_sendx: FakeSendX, before: str) -> None:
    LOG.write_text(before)
    done = import_text("email\na@b.co\n", "--log", str(LOG))
    assert done.said.status == 2
    assert "log.ndjson exists, and may be the log of another import: rename it" in done.said.err
    assert LOG.read_text() == before
    assert fake_sendx.requests == []
    assert not Path("c.csv.sendx-progress").exists()


def test_an_empty_log_is_used(import_text: Import) -> None:
    LOG.touch()
    assert import_text("email\na@b.co\n", "--log", str(LOG)).counts == (1, 0)
    assert len(logged()) == 1


@pytest.mark.parametrize("torn", ["", '{"email": "x@b.co", "ta'])
def test_a_log_is_gone_on_with(
    import_text: Import, run: Run, fake_sendx: FakeSendX, torn: str
) -> None:
    options = ("--log", str(LOG), "--limit", "1")
    assert import_text("email\na@b.co\nc@d.co\ne@f.co\n", *options).counts == (1, 0)
    with LOG.open("a") as file:
        file.write(torn)  # as if it had been killed while it wrote
    assert resumed(run, *options).counts == (2, 0)
    assert resumed(run, "--log", "other.ndjson").counts == (3, 0)
    assert [line["row"] for line in logged()] == [2, 3]
    assert json.loads(Path("other.ndjson").read_text())["row"] == 4


def test_a_file_that_is_no_log_is_not_gone_on_with(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, "email\nbad\na@b.co\n")
    LOG.write_text("precious")
    said = run("import", "c.csv", "--resume", "--log", str(LOG))
    assert said.status == 2
    assert "log.ndjson is no log of delivered contacts: give another file with --log" in said.err
    assert LOG.read_text() == "precious"
    assert resumed(run).counts == (1, 1)


def test_where_the_log_can_not_be_written_is_found_at_once(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text("email\na@b.co\n", "--log", "absent/log")
    assert done.said.status == 2
    assert "the delivered contacts can't be written to absent/log: No such file" in done.said.err
    assert fake_sendx.requests == []
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


@pytest.mark.parametrize("path", ["c.csv", "r.csv"])
def test_the_log_must_be_a_file_of_its_own(import_text: Import, path: str) -> None:
    done = import_text("email\na@b.co\n", "--log", path, "--rejects", "r.csv")
    assert done.said.status == 2
    assert f"--log {path} must be a file of its own" in done.said.err


def test_the_log_may_go_to_a_device(import_text: Import) -> None:
    assert import_text("email\na@b.co\n", "--log", "/dev/null").counts == (1, 0)


def test_a_log_on_a_full_disk_stops_the_import_and_no_row_is_taken_for_finished(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    LOG.symlink_to("/dev/full")
    done = import_text("email\na@b.co\n", "--log", str(LOG))
    assert done.said.status == 2
    assert done.said.err == f"Error: {LOG}: No space left on device\n"
    LOG.unlink()
    assert resumed(run, "--log", str(LOG)).counts == (1, 0)
    assert [line["email"] for line in logged()] == ["a@b.co"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no file that is open")
def test_a_log_that_is_deleted_stops_the_import(import_text: Import, fake_sendx: FakeSendX) -> None:
    def delete_it() -> float:
        LOG.unlink()
        return 0

    fake_sendx.latency = delete_it
    done = import_text("email\na@b.co\n", "--log", str(LOG))
    assert done.said.status == 2
    assert f"{LOG} was deleted while the import wrote to it" in done.said.err
    assert done.report["can_resume"] is True


def test_several_files_have_one_log(run: Run) -> None:
    for name in "cd":
        Path(f"{name}.csv").write_text(f"email\n{name}@b.co\n")
    assert run("import", "c.csv", "d.csv", "--log", str(LOG)).status == 0
    assert [(line["email"], line["file"]) for line in logged()] == [
        ("c@b.co", "c.csv"), ("d@b.co", "d.csv"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("moment", [2, 8, 20])
def test_no_delivered_contact_is_missing_however_the_process_ends(
    settings: None, run: Run, fake_sendx: FakeSendX, moment: int
) -> None:
    write_contacts(1000)
    options = ("c.csv", "--log", str(LOG), "--concurrency", "4")
    fake_sendx.latency = lambda: 0 if len(fake_sendx.requests) < moment else 0.3
    with started("import", *options) as process:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) >= moment, LIMIT)
        process.kill()
        process.communicate(timeout=LIMIT)
    fake_sendx.wait_for(lambda: not fake_sendx.connections.open, LIMIT)
    fake_sendx.latency = 0
    assert json.loads(run("import", *options, "--resume", "--json").out)["delivered"] == 1000
    assert {line["email"] for line in logged()} == set(sent(fake_sendx))
    assert len(logged()) <= len(sent(fake_sendx)) <= 1100
