"""Rows that a rule leaves out: counted by reason, and written if it is said where."""

import csv
import json
import stat
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started

from .conftest import Import
from .stopped import LIMIT, resumed, sent, stopped

TEXT = (
    "email,Plan,State\na@b.co,Pro,ok\nb@b.co,Free,ok\nbad,Pro,ok\nc@b.co,Pro,left\nd@b.co,Pro,ok\n"
)
RULES = ("--only", "Plan=Pro", "--skip", "State=left", "--ignore-rest")
SKIPPED = Path("s.csv")


def skipped_rows() -> list[list[str]]:
    with SKIPPED.open(newline="") as file:
        return list(csv.reader(file))


def test_skipped_rows_are_counted_by_reason_and_neither_sent_nor_rejected(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text(TEXT, *RULES, "--skipped", str(SKIPPED))
    assert (done.said.status, done.counts) == (1, (2, 1))
    assert list(done.report["skipped"].values()) == [1, 1]
    assert done.report["skipped_file"] == "s.csv"
    assert done.report["rows"] == 5
    assert sorted(sent(fake_sendx)) == ["a@b.co", "d@b.co"]
    header, first, second = skipped_rows()
    assert header == ["sendx_row", "sendx_reason", "email", "Plan", "State"]
    assert (first[0], first[2:]) == ("3", ["b@b.co", "Free", "ok"])
    assert (second[0], second[2:]) == ("5", ["c@b.co", "Pro", "left"])
    assert [first[1], second[1]] == list(done.report["skipped"])
    assert stat.S_IMODE(SKIPPED.stat().st_mode) == 0o600


def test_a_person_is_told_how_many_and_why(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text(TEXT)
    said = run("import", "c.csv", *RULES, "--skipped", str(SKIPPED))
    (_, first), (_, second) = ((row[0], row[1]) for row in skipped_rows()[1:])
    assert said.out.startswith(
        f"Imported c.csv: 2 rows delivered, 1 rejected, 2 skipped: 1 {first}, 1 {second} ("
    )
    assert "The skipped rows are in s.csv, with the reasons." in said.out


def test_skipped_rows_are_imported_from_their_file_when_nothing_skips_them(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    import_text(TEXT, *RULES, "--skipped", str(SKIPPED))
    again = import_text(SKIPPED.read_text(), "--ignore-rest", name="s2.csv")
    assert again.counts == (2, 0)
    assert {"b@b.co", "c@b.co"} <= set(sent(fake_sendx))


def test_a_file_with_nothing_but_skipped_rows_ends_well(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    text = "email,Plan\n" + "".join(f"a{n}@b.co,Free\n" for n in range(500))
    done = import_text(text, "--only", "Plan=Pro", "--ignore-rest")
    assert (done.said.status, done.counts) == (0, (0, 0))
    assert list(done.report["skipped"].values()) == [500]
    assert (done.report["skipped_file"], done.report["complete"]) == (None, True)
    assert fake_sendx.requests == []


def test_skipped_rows_that_are_there_already_are_not_overwritten(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    SKIPPED.write_text("precious")
    done = import_text(TEXT, *RULES, "--skipped", str(SKIPPED))
    assert done.said.status == 2
    assert "s.csv exists, and may hold the skipped rows of another import" in done.said.err
    assert "--skipped" in done.said.err
    assert SKIPPED.read_text() == "precious"
    assert fake_sendx.requests == []


def test_no_file_is_left_where_nothing_is_skipped(import_text: Import) -> None:
    assert import_text("email\na@b.co\n", "--skipped", str(SKIPPED)).counts == (1, 0)
    assert not SKIPPED.exists()


def test_an_import_goes_on_with_its_skipped_rows(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, TEXT, *RULES, "--skipped", str(SKIPPED))
    before = SKIPPED.read_text()
    with SKIPPED.open("a") as file:
        file.write("5,half a li")  # as if it had been killed while it wrote
    said = run("import", "c.csv", "--resume", *RULES, "--skipped", "other.csv")
    assert said.status == 2
    assert "the import was begun with --skipped s.csv: resume with that" in said.err
    again = resumed(run, *RULES)
    assert again.counts == (2, 1)
    assert list(again.report["skipped"].values()) == [1, 1]
    assert SKIPPED.read_text().startswith(before)
    assert [row[0] for row in skipped_rows()] == ["sendx_row", "3", "5"]


def test_rows_that_were_skipped_into_nothing_can_not_be_found_again(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    stopped(import_text, fake_sendx, TEXT, *RULES)
    said = run("import", "c.csv", "--resume", *RULES, "--skipped", str(SKIPPED))
    assert said.status == 2
    assert "the import was begun without --skipped, so some skipped rows are written" in said.err
    assert resumed(run, *RULES).counts == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 6, 15])
def test_each_skipped_row_is_there_once_however_the_process_ends(
    settings: None, run: Run, fake_sendx: FakeSendX, moment: int
) -> None:
    rows = "".join(f"a{n}@b.co,{'Free' if n % 3 else 'Pro'}\n" for n in range(1500))
    Path("c.csv").write_text("email,Plan\n" + rows)
    options = ("c.csv", "--only", "Plan=Pro", "--ignore-rest", "--skipped", str(SKIPPED))
    fake_sendx.latency = lambda: 0 if len(fake_sendx.requests) < moment else 0.3
    with started("import", *options, "--concurrency", "2") as process:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) >= moment, LIMIT)
        process.kill()
        process.communicate(timeout=LIMIT)
    fake_sendx.wait_for(lambda: not fake_sendx.connections.open, LIMIT)
    fake_sendx.latency = 0
    report = json.loads(run("import", *options, "--resume", "--json").out)
    assert (report["delivered"], list(report["skipped"].values())) == (500, [1000])
    assert [row[0] for row in skipped_rows()[1:]] == [str(n + 2) for n in range(1500) if n % 3]
    assert set(sent(fake_sendx)) == {f"a{n}@b.co" for n in range(1500) if n % 3 == 0}


def test_people_are_counted_apart_from_rows(import_text: Import, run: Run) -> None:
    done = import_text("email\na@b.co\nA@b.co\nbad\nc@d.co\n")
    assert (done.counts, done.report["people"]) == ((3, 1), 2)
    Path("d.csv").write_text("email\na@b.co\na@b.co\n")
    assert "2 rows delivered, 0 rejected (1 address, " in run("import", "d.csv").out


def test_one_of_the_tags_of_a_cell_is_enough(import_text: Import, fake_sendx: FakeSendX) -> None:
    text = 'email,tags\na@b.co,"VIP, new"\nc@d.co,new\ne@f.co,"old, [broken"\n'
    assert import_text(text, "--only", "tags=vip").counts == (1, 0)
    assert fake_sendx.contact("a@b.co").tags == {"VIP", "new"}
    done = import_text(text, "--skip", "tags=New")
    assert (done.counts, done.report["skipped"]) == ((0, 1), {"--skip tags=New": 2})
