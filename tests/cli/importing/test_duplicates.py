"""Rows of the same address: which one is sent, and what becomes of the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.processes import run_in_shell

from .conftest import Import
from .stopped import resumed

ROWS = "email,first_name\na@b.co,One\nc@d.co,Two\nA@B.co,Three\nbad,Four\na@b.co,\n"
IN_EARLIER = {"has the same address as an earlier row": 2}
IN_LATER = {"has the same address as a later row": 2}


@pytest.mark.parametrize(
    "rule, skipped, rejected, name",
    [("first", IN_EARLIER, 1, "One"), ("last", IN_LATER, 1, None), ("reject", {}, 3, "One")],
)
def test_one_row_of_an_address_is_sent(
    run: Run,
    fake_sendx: FakeSendX,
    *,
    rule: str,
    skipped: dict[str, int],
    rejected: int,
    name: str | None,
) -> None:
    Path("c.csv").write_text(ROWS)
    command = ("import", "c.csv", "--json", "--duplicates", rule, "--skipped", "s.csv")
    shown = json.loads(run(*command, "--dry-run").out)
    assert (shown["good"], shown["rejected"], shown["people"]) == (2, rejected, 2)
    assert shown["skipped"] == skipped
    assert not fake_sendx.requests
    Path("s.csv").unlink(missing_ok=True)
    done = json.loads(run(*command).out)
    assert (done["delivered"], done["rejected"], done["skipped"]) == (2, rejected, skipped)
    assert len(fake_sendx.contacts) == 2
    assert fake_sendx.contact("a@b.co").first_name == name
    if skipped:
        assert Path("s.csv").read_text().count("same address") == 2


def test_a_rejected_duplicate_names_the_earlier_row(import_text: Import) -> None:
    import_text(ROWS, "--duplicates", "reject")
    lines = Path("c.rejects.csv").read_text().splitlines()
    assert lines[1].startswith('4,"has the same address as row 2: ')
    assert lines[3].startswith('6,"has the same address as row 2: ')


def test_a_row_that_can_not_be_sent_is_no_reason_to_leave_another_out(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text(
        'email,tags\na@b.co,vip\na@b.co,"[x"\n', "--duplicates", "last", name="t.csv"
    )
    assert done.counts == (1, 1)
    assert fake_sendx.contact("a@b.co").tags == {"vip"}


def test_a_pipe_is_not_read_twice(run: Run, fake_sendx: FakeSendX) -> None:
    said = run_in_shell("printf 'email\\na@b.co\\n' | sendx import - --duplicates last")
    assert said.status == 2
    assert "--duplicates last must read the file twice" in said.err
    said = run_in_shell("printf 'email\\na@b.co\\na@b.co\\n' | sendx import - --duplicates first")
    assert said.status == 0
    assert "1 row delivered" in said.out


@pytest.mark.parametrize("rule", ["first", "last", "reject"])
def test_a_row_is_a_duplicate_of_one_that_an_earlier_process_sent(
    import_text: Import, run: Run, fake_sendx: FakeSendX, rule: str
) -> None:
    text = "email\na0@b.co\na1@b.co\na2@b.co\na3@b.co\na0@b.co\nA1@b.co\n"
    assert import_text(text, "--duplicates", rule, "--limit", "2").counts == (2, 0)
    done = resumed(run, "--duplicates", rule)
    left = {"first": (4, 0), "last": (4, 0), "reject": (4, 2)}[rule]
    assert done.counts == left
    assert len(fake_sendx.contacts) == 4


def test_a_resumed_import_needs_the_same_rule(
    import_text: Import, run: Run, fake_sendx: FakeSendX
) -> None:
    text = "email\na0@b.co\na1@b.co\n"
    import_text(text, "--duplicates", "first", "--limit", "1")
    said = run("import", "c.csv", "--resume", "--json", "--duplicates", "last")
    message: dict[str, Any] = json.loads(said.out)
    assert "begun with another duplicates" in message["message"]


@pytest.mark.parametrize("rule", ["first", "last"])
def test_a_dry_run_asks_about_cells_as_an_import_does(run: Run, rule: str) -> None:
    Path("c.csv").write_text("email,first_name\na@b.co,NULL\na@b.co,NULL\n")
    command = ("import", "c.csv", "--json", "--duplicates", rule)
    shown, refused = (json.loads(run(*command, *more).out) for more in (["--dry-run"], []))
    assert "2 cells" in refused["message"]
    assert shown["message"] == refused["message"]


def test_people_are_counted_apart_from_rows(import_text: Import) -> None:
    done = import_text("email\na@b.co\nA@b.co\nc@d.co\n")
    assert (done.report["delivered"], done.report["people"]) == (3, 2)
