"""Taking back the tags that an import has given, as its log tells."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started

from .stopped import LIMIT, break_after_the_first

LOG = Path("log.ndjson")


def write_log(lines: Iterable[tuple[str, list[str]]]) -> None:
    LOG.write_text(
        "".join(
            json.dumps({"email": email, "tags": tags, "row": row, "file": "c.csv"}) + "\n"
            for row, (email, tags) in enumerate(lines, 2)
        )
    )


def know(run: Run, *emails: str) -> None:
    """Have SendX know these contacts."""
    Path("known.csv").write_text("\n".join(["email", *emails]))
    assert run("import", "known.csv").status == 0
    Path("known.csv").unlink()


def undone(run: Run, *options: str) -> dict[str, Any]:
    said = run("import", "--undo-tags", str(LOG), "--json", *options)
    return {"status": said.status, **json.loads(said.out)}


def removed(fake: FakeSendX) -> list[tuple[str, tuple[str, ...]]]:
    """Give whom tags were taken from, and which; nothing was added."""
    asked = [request.json for request in fake.requests if request.path.endswith("/track")]
    assert all(set(each) == {"email", "removeTags"} for each in asked)
    return sorted((each["email"], tuple(each["removeTags"])) for each in asked)


def test_the_tags_of_an_import_are_taken_back(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text('email,tags,company\na@b.co,"x, y",ACME\nc@d.co,y,\n')
    assert run("import", "c.csv", "--tag", "2026", "--log", str(LOG)).status == 0
    assert fake_sendx.contact("a@b.co").tags == {"x", "y", "2026"}
    said = run("import", "--undo-tags", str(LOG))
    assert said.status == 0
    assert said.out.startswith("Took back the tags of log.ndjson: 2 lines done, 0 rejected (")
    assert said.out.splitlines()[1:] == [
        (
            "Contacts, fields and lists stay as they are: SendX has no call that takes them back. "
            "A tag that a contact had before the import is gone as well."
        )
    ]
    assert fake_sendx.contact("a@b.co").tags == fake_sendx.contact("c@d.co").tags == set()
    assert fake_sendx.contact("a@b.co").company == "ACME"
    assert {path.name for path in Path().iterdir()} == {"c.csv", "log.ndjson"}
    again = undone(run)
    assert (again["status"], again["delivered"]) == (0, 2)


def test_a_tag_is_taken_once_from_each_contact(run: Run, fake_sendx: FakeSendX) -> None:
    know(run, "a@b.co", "c@d.co")
    write_log(
        [("a@b.co", ["x", "x"]), ("A@B.co", ["x", "X", "y"]), ("a@b.co", ["y"]), ("c@d.co", ["x"]),
         ("c@d.co", [])]
    )  # fmt: skip
    report = undone(run)
    assert (report["status"], report["delivered"], report["rejected"]) == (0, 3, 0)
    assert report["skipped"] == {"the same tags as in an earlier line": 1, "no tags were given": 1}
    assert removed(fake_sendx) == [
        ("A@B.co", ("X", "y")), ("a@b.co", ("x",)), ("c@d.co", ("x",)),
    ]  # fmt: skip


def test_contacts_that_are_unknown_are_counted(run: Run, fake_sendx: FakeSendX) -> None:
    know(run, "a@b.co")
    write_log([("gone@b.co", ["x"]), ("a@b.co", ["x"])])
    report = undone(run)
    assert (report["status"], report["delivered"], report["rejected"]) == (0, 1, 0)
    assert report["skipped"] == {"SendX doesn't know the contact": 1}


def test_where_no_contact_is_known_something_else_is_wrong(run: Run, fake_sendx: FakeSendX) -> None:
    write_log((f"a{n}@b.co", ["x"]) for n in range(2000))
    said = run("import", "--undo-tags", str(LOG))
    assert said.status == 2
    assert "SendX has refused 100 rows after each other in the same way" in said.err
    assert "To take all tags back, delete the progress file and begin anew" in said.err
    assert len(fake_sendx.requests) < 400


def test_many_unknown_contacts_among_others_stop_nothing(run: Run, fake_sendx: FakeSendX) -> None:
    know(run, "a@b.co")
    write_log([("a@b.co", ["x"]), *((f"a{n}@b.co", ["x"]) for n in range(300))])
    report = undone(run, "--concurrency", "1")
    assert (report["status"], report["delivered"]) == (0, 1)


def test_lines_that_can_not_be_taken_back_are_rejected(run: Run) -> None:
    know(run, "a@b.co")
    write_log([("a@b.co", ["x"]), ("", ["x"]), ("nobody", ["x"])])
    with LOG.open("a") as file:
        file.write('{"tags": ["x"]}\n{"email": "a@b.co", "tags": "x"}\nhalf a li\n')
    report = undone(run)
    assert (report["status"], report["delivered"], report["rejected"]) == (1, 1, 5)
    rejects = Path("log.rejects.ndjson")
    assert report["rejects"] == str(rejects)
    mended = rejects.read_text().replace("nobody", "a@b.co").splitlines()[1]
    LOG.write_text(mended)
    assert undone(run, "--rejects", "r")["delivered"] == 1


@pytest.mark.parametrize("text", ["email\na@b.co\n", '{"email": "a@b.co"}\n'])
def test_what_is_no_log_is_refused(run: Run, fake_sendx: FakeSendX, text: str) -> None:
    LOG.write_text(text)
    said = run("import", "--undo-tags", str(LOG))
    assert said.status == 2
    assert "this is no log of an import: --undo-tags takes a file that --log has" in said.err
    assert fake_sendx.requests == []
    assert not Path("log.ndjson.sendx-progress").exists()


def test_an_empty_log_has_nothing_to_take_back(run: Run) -> None:
    LOG.touch()
    assert undone(run)["delivered"] == 0


@pytest.mark.parametrize(
    "options", [["c.csv"], ["--tag", "x"], ["--from", "mailchimp"], ["--log", "another"]]
)
def test_options_that_say_nothing_to_it_are_refused(run: Run, options: list[str]) -> None:
    write_log([])
    said = run("import", "--undo-tags", str(LOG), *options)
    assert said.status == 2
    assert "--undo-tags" in said.err


def test_a_dry_run_counts_and_sends_nothing(
    run: Run, fake_sendx: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENDX_API_KEY")
    write_log([("a@b.co", ["x"]), ("a@b.co", ["x"]), ("nobody", ["x"])])
    report = undone(run, "--dry-run")
    assert (report["status"], report["good"], report["rejected"]) == (1, 1, 1)
    assert report["skipped"] == {"the same tags as in an earlier line": 1}
    said = run("import", "--undo-tags", str(LOG), "--dry-run")
    assert said.out.startswith("Looked at log.ndjson: 1 line can be taken back, 1 can't, 1 skipped")
    assert fake_sendx.requests == []
    assert [path.name for path in Path().iterdir()] == ["log.ndjson"]


def test_it_goes_on_after_an_outage_and_takes_each_tag_once(
    run: Run, fake_sendx: FakeSendX
) -> None:
    write_log((f"a{n % 60}@b.co", ["x"]) for n in range(120))
    know(run, *(f"a{n}@b.co" for n in range(60)))
    break_after_the_first(fake_sendx, status=429, retry_after=3600)
    first = undone(run, "--concurrency", "1")
    assert (first["status"], first["can_resume"]) == (3, True)
    assert 0 < first["delivered"] < 30  # no more than 25 lines are begun at once
    fake_sendx.recover()
    assert undone(run)["status"] == 2  # it was begun, and not ended
    last = undone(run, "--resume")
    assert (last["status"], last["delivered"], last["skipped"]) == (
        0, 60, {"the same tags as in an earlier line": 60},
    )  # fmt: skip


@pytest.mark.slow
def test_it_goes_on_after_a_kill(settings: None, run: Run, fake_sendx: FakeSendX) -> None:
    write_log((f"a{n}@b.co", ["x", "y"]) for n in range(300))
    know(run, *(f"a{n}@b.co" for n in range(300)))
    before = len(fake_sendx.requests)
    fake_sendx.latency = lambda: 0 if len(fake_sendx.requests) < before + 60 else 0.3
    with started("import", "--undo-tags", str(LOG)) as process:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) >= before + 60, LIMIT)
        process.kill()
        process.communicate(timeout=LIMIT)
    fake_sendx.latency = 0
    assert undone(run, "--resume")["delivered"] == 300
    assert {email for email, _ in removed(fake_sendx)} == {f"a{n}@b.co" for n in range(300)}
