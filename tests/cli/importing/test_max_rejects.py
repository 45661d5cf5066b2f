"""An import that ends early since more rows are rejected than it was told to take."""

import os
from pathlib import Path

import pytest

from sendx_async._cli.importing.options import MostRejects
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import end_of, started

from .conftest import Import
from .stopped import resumed, sent


@pytest.mark.parametrize(
    "most, rejected, rows, is_passed",
    [
        (MostRejects(number=2), 2, 2, False),
        (MostRejects(number=2), 3, 1000, True),
        (MostRejects(number=0), 0, 1000, False),
        (MostRejects(number=0), 1, 1, True),
        (MostRejects(number=10, is_percent=True), 99, 99, False),
        (MostRejects(number=10, is_percent=True), 10, 100, False),
        (MostRejects(number=10, is_percent=True), 11, 100, True),
        (MostRejects(number=0.5, is_percent=True), 5, 999, True),
    ],
)
def test_of_few_rows_no_share_is_taken(
    most: MostRejects, rejected: int, rows: int, is_passed: bool
) -> None:
    assert most.is_passed(rejected, rows) is is_passed


def test_rows_that_are_refused_here_end_it(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    text = "email\n" + "".join(f"bad\na{n}@b.co\n" for n in range(50))
    done = import_text(text, "--max-rejects", "2")
    assert done.said.status == 1
    assert done.counts == (2, 3)
    report = done.report
    assert (report["stopped_by"], report["can_resume"]) == ("max_rejects", True)
    assert report["stopped_at_row"] == 7
    # It counts anew, since whoever goes on has looked at the reasons.
    again = resumed(run, "--max-rejects", "2")
    assert again.counts == (5, 6)
    last = resumed(run)
    assert (last.said.status, last.counts) == (1, (50, 50))
    assert sorted(sent(fake_sendx)) == sorted(f"a{n}@b.co" for n in range(50))


def test_a_person_is_told_why(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text("email\nbad\na@b.co\n")
    said = run("import", "c.csv", "--max-rejects", "0")
    assert said.status == 1
    assert said.out.splitlines()[1:] == [
        "More rows were rejected than --max-rejects allows.",
        (
            "The rejected rows so far are in c.rejects.csv, with the reasons: leave that file "
            "alone until all rows are finished."
        ),
        "When you have looked at the reasons, --resume goes on, and counts anew.",
    ]


def test_rows_that_sendx_refuses_end_it_and_what_is_under_way_comes_to_its_end(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, path="identify/bulk")
    fake_sendx.respond(422, path="contact/identify", times=11)
    text = "email\n" + "".join(f"a{n}@b.co\n" for n in range(1000))
    done = import_text(text, "--max-rejects", "10", "--concurrency", "1")
    delivered, rejected = done.counts
    assert (done.said.status, rejected) == (1, 11)
    assert 0 < delivered < 500
    assert len(sent(fake_sendx)) == delivered
    assert resumed(run).counts == (989, 11)
    assert len(sent(fake_sendx)) == 989


def test_a_share_of_the_rows_ends_it(import_text: Import) -> None:
    text = "email\n" + "bad\n" * 40 + "".join(f"a{n}@b.co\n" for n in range(1000))
    assert import_text(text, "--max-rejects", "5%").counts[1] == 40
    Path("c.rejects.csv").unlink()
    Path("c.csv.sendx-progress").unlink()
    assert import_text(text, "--max-rejects", "50%").counts == (1000, 40)


def test_too_many_in_the_last_rows_come_too_late_to_end_it(import_text: Import) -> None:
    done = import_text("email\na@b.co\nbad\n", "--max-rejects", "0")
    assert (done.said.status, done.counts) == (1, (1, 1))
    assert (done.report["complete"], done.report["stopped_by"]) == (True, None)


@pytest.mark.slow
def test_it_ends_while_it_waits_for_standard_input(settings: None, fake_sendx: FakeSendX) -> None:
    read, write = os.pipe()
    try:
        os.write(write, b"email\nbad\n")
        with started("import", "-", "--max-rejects", "0", stdin=read) as process:
            said = end_of(process)
    finally:
        os.close(read)
        os.close(write)
    assert said.status == 1
    assert "--max-rejects allows" in said.out
    assert "--resume" not in said.out
