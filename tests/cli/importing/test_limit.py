"""A few contacts tried first: ``--limit`` sends the first of a file, and the rest waits."""

import json
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import started

from .conftest import Import
from .stopped import LIMIT, resumed, sent, stopped, write_contacts


def first(count: int) -> list[str]:
    return [f"a{n}@b.co" for n in range(count)]


def test_the_first_contacts_are_sent_and_the_others_with_resume(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    done = import_text("email\n" + "".join(f"{each}\n" for each in first(60)), "--limit", "10")
    assert (done.said.status, done.counts) == (0, (10, 0))
    report = done.report
    assert (report["stopped_by"], report["complete"], report["can_resume"]) == (
        "limit",
        False,
        True,
    )
    assert report["stopped_at_row"] == 12
    assert sorted(sent(fake_sendx)) == sorted(first(10))

    again = resumed(run, "--limit", "10")
    assert again.counts == (20, 0)
    assert again.report["rows"] == 10
    assert sorted(sent(fake_sendx)) == sorted(first(20))

    assert resumed(run).counts == (60, 0)
    assert sorted(sent(fake_sendx)) == sorted(first(60))
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


def test_a_person_is_told_how_to_go_on(run: Run, fake_sendx: FakeSendX) -> None:
    write_contacts(5)
    said = run("import", "c.csv", "--limit", "2")
    assert said.status == 0
    assert said.out.startswith("Stopped at row 4 of c.csv: 2 rows delivered, 0 rejected (")
    assert said.out.splitlines()[1:] == [
        (
            "--limit 2 is reached. Look at these contacts in SendX, then go on with the same "
            "command and --resume: without --limit for all others, with it for as many more."
        )
    ]


@pytest.mark.parametrize("limit", ["3", "4"])
def test_a_file_that_has_no_more_contacts_is_at_its_end(import_text: Import, limit: str) -> None:
    done = import_text("email\na@b.co\nbad\nc@d.co\ne@f.co\nworse\n", "--limit", limit)
    assert (done.said.status, done.counts) == (1, (3, 2))
    assert (done.report["complete"], done.report["stopped_by"]) == (True, None)
    assert not Path("c.csv.sendx-progress").exists()


def test_rows_that_can_not_be_sent_are_not_counted_and_refused_ones_are(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    fake_sendx.respond(422, times=None)
    text = "email\nbad\na@b.co\nc@d.co\nworse\ne@f.co\n"
    done = import_text(text, "--limit", "2")
    assert (done.said.status, done.counts) == (1, (0, 4))
    assert (done.report["stopped_by"], done.report["stopped_at_row"]) == ("limit", 6)
    fake_sendx.recover()
    assert resumed(run, "--limit", "2").counts == (1, 4)
    assert sent(fake_sendx) == ["e@f.co"]


def test_from_a_pipe_the_first_contacts_are_sent_and_nothing_is_promised(
    fake_sendx: FakeSendX, settings: None
) -> None:
    write_contacts(5)
    with (
        Path("c.csv").open("rb") as file,
        started("import", "-", "--limit", "2", stdin=file) as process,
    ):
        out, error = process.communicate(timeout=LIMIT)
    assert (process.returncode, error) == (0, "")
    assert out.startswith("Stopped at row 4 of standard input: 2 rows delivered")
    assert "--resume" not in out


@pytest.mark.parametrize("limit, after", [(["--limit", "30"], 30), (["--limit", "7"], 7), ([], 60)])
def test_what_an_outage_left_of_the_first_contacts_is_sent_first(
    import_text: Import, run: Run, fake_sendx: FakeSendX, limit: list[str], after: int
) -> None:
    text = "email\n" + "".join(f"{each}\n" for each in first(60))
    done = stopped(import_text, fake_sendx, text, "--limit", "30")
    assert done.counts == (0, 0)
    assert resumed(run, *limit).counts == (after, 0)
    assert sorted(sent(fake_sendx)) == sorted(first(after))


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 3, 9])
def test_it_is_as_many_when_the_process_is_killed(
    settings: None, run: Run, fake_sendx: FakeSendX, moment: int
) -> None:
    write_contacts(2000)
    options = ("c.csv", "--limit", "500", "--concurrency", "4")
    fake_sendx.latency = lambda: 0 if len(fake_sendx.requests) < moment else 0.3
    with started("import", *options) as process:
        fake_sendx.wait_for(lambda: len(fake_sendx.requests) >= moment, LIMIT)
        process.kill()
        process.communicate(timeout=LIMIT)
    fake_sendx.wait_for(lambda: not fake_sendx.connections.open, LIMIT)
    fake_sendx.latency = 0
    for count in (500, 1000):
        said = run("import", *options, "--resume", "--json")
        report = json.loads(said.out)
        assert (said.status, report["delivered"], report["stopped_by"]) == (0, count, "limit")
        assert set(sent(fake_sendx)) == set(first(count))
