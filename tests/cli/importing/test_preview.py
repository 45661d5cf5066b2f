"""What is shown of a file before anything is sent."""

import bz2
import json
from pathlib import Path
from typing import Any

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

CONTACTS = """\
Email Address,First Name,Tags,Plan,Notes
jane@example.com,Jane,"vip, new",Pro,
 bob@example.com ,Bob,vip,Pro,
mailto:jane@example.com,Jane,,'=1+1,a	b
bad,Eve,,Free,
"""
OPTIONS = ("--field", "Plan=Tariff", "--ignore", "Notes")


def looked_at(run: Run, *arguments: str) -> dict[str, Any]:
    said = run("import", *arguments, "--dry-run", "--json")
    report: dict[str, Any] = json.loads(said.out)
    return report


def test_a_program_is_told_what_was_found(run: Run, fake_sendx: FakeSendX) -> None:
    Path("c.csv").write_text(CONTACTS)
    report = looked_at(run, "c.csv", *OPTIONS)
    assert (report["good"], report["rejected"], report["people"]) == (3, 1, 2)
    assert report["proposal"] is None
    preview = report["preview"]
    columns = preview.pop("columns")
    refused = preview.pop("refused")
    assert preview == {
        "format": "csv",
        "compression": None,
        "encoding": "utf-8",
        "encoding_is_guessed": False,
        "delimiter": ",",
        "header_line": 1,
        "lines_before": [],
        "whole_file": True,
        "rows": 4,
        "good": 3,
        "rejected": 1,
        "doubtful": 0,
        "people": 2,
        "contacts": [
            {
                "email": "jane@example.com",
                "firstName": "Jane",
                "tags": ["vip", "new"],
                "customFields": {"Tariff": "Pro"},
            },
            {
                "email": "bob@example.com",
                "firstName": "Bob",
                "tags": ["vip"],
                "customFields": {"Tariff": "Pro"},
            },
        ],
        "tags": {"vip": 2, "new": 1},
        "more_tags": False,
        "custom_fields": {"Tariff": 3},
        "skipped": {},
        "doubts": [],
    }
    (eve,) = refused
    assert (eve["rows"], eve["first_rows"]) == (1, [5])
    assert "bad" not in eve["reason"]
    email, name, tags, plan, notes = columns
    assert email == {
        "name": "Email Address",
        "becomes": "email",
        "title": None,
        "why": "its name",
        "samples": ["jane@example.com", "bob@example.com", "mailto:jane@example.com"],
        "filled_percent": 100,
        "notes": {"wrapped_address": 1},
        "chooses_rows": False,
    }
    assert (name["becomes"], name["samples"]) == ("first_name", ["Jane", "Bob", "Eve"])
    assert (tags["becomes"], tags["filled_percent"]) == ("tags", 50)
    assert (plan["becomes"], plan["title"]) == ("custom field", "Tariff")
    assert plan["notes"] == {"guard": 1}
    assert (notes["becomes"], notes["why"], notes["filled_percent"]) == ("left out", "--ignore", 25)
    assert not fake_sendx.requests


def test_a_person_is_told_the_same(run: Run) -> None:
    Path("c.csv").write_text(CONTACTS)
    said = run("import", "c.csv", "--dry-run", *OPTIONS)
    assert said.status == 1
    shown = said.out.splitlines()
    assert shown[0] == "c.csv: csv, encoding utf-8, delimiter comma, header in line 1"
    assert "  Plan -> custom field 'Tariff' (--field), 100 % full" in shown
    assert "      Pro | '=1+1 | Free" in shown
    assert "  Notes -> left out (--ignore), 25 % full" in shown
    assert "  vip: 2 contacts" in shown
    assert "  new: 1 contact" in shown
    assert (
        '  {"email": "bob@example.com", "firstName": "Bob", "tags": ["vip"], '
        '"customFields": {"Tariff": "Pro"}}'
    ) in shown
    assert any(line.startswith("  1 row (5): ") for line in shown)
    assert shown[-1].startswith("Looked at c.csv: 3 rows can be sent, 1 can't (")
    assert "In all: 3 of 4 rows can be sent, to 2 people; 0 left out, 1 can't be sent." in shown
    assert said.err.startswith("row 5: ")


def test_what_is_shown_steers_no_terminal(run: Run) -> None:
    Path("c.csv").write_text('email,\x1b[2JPlan\na@b.co,"\x1b]0;x\x07\u202eb"\nc@d.co,\x9b1m\n')
    said = run("import", "c.csv", "--dry-run", "--all-fields")
    assert {each for each in said.out + said.err if not each.isprintable()} <= {"\n"}


def test_what_stands_before_the_header_is_shown(run: Run) -> None:
    Path("c.csv").write_text("Export of May\n\nemail,Plan\na@b.co,Pro\n")
    report = looked_at(run, "c.csv", "--all-fields", "--skip-lines", "2")
    assert report["preview"]["lines_before"][0].strip() == "Export of May"
    assert report["preview"]["header_line"] == 3
    said = run("import", "c.csv", "--all-fields", "--skip-lines", "2", "--dry-run")
    assert "  Export of May" in said.out.splitlines()


def test_only_some_tags_and_reasons_are_listed(run: Run) -> None:
    rows = "".join(f"a{n}@b.co,t{n}\n" for n in range(120))
    Path("c.csv").write_text("email,tags\n" + rows)
    preview = looked_at(run, "c.csv")["preview"]
    assert (len(preview["tags"]), preview["more_tags"]) == (100, True)
    shown = run("import", "c.csv", "--dry-run").out
    assert "and more than 90 others; --json lists more of them" in shown
    assert shown.count("\n  t") == 11  # with the column


def test_rows_are_counted_by_what_is_wrong_with_them(run: Run) -> None:
    Path("c.csv").write_text("email\n" + "".join(f"bad{n}\n" for n in range(9)))
    (only,) = looked_at(run, "c.csv")["preview"]["refused"]
    assert (only["rows"], only["first_rows"]) == (9, [2, 3, 4, 5, 6])


def test_reasons_without_end_are_counted_together(run: Run) -> None:
    lines = [f'{{"email": "a@b.co", "x": {"[" * n} }}\n' for n in range(150)]
    Path("c.ndjson").write_text("".join(lines))
    refused = looked_at(run, "c.ndjson", "--all-fields")["preview"]["refused"]
    assert len(refused) <= 101
    assert sum(each["rows"] for each in refused) == 150


def test_columns_without_end_are_not_all_remembered(run: Run) -> None:
    lines = [json.dumps({"email": f"a{n}@b.co", f"x{n}": f"'={n}"}) + "\n" for n in range(1_100)]
    Path("c.ndjson").write_text("".join(lines))
    report = looked_at(run, "c.ndjson", "--all-fields")
    assert report["good"] == 1_100
    assert len(report["preview"]["columns"]) == 1_000


def test_a_packed_file_is_called_so(run: Run) -> None:
    Path("c.csv.bz2").write_bytes(bz2.compress(b"email\na@b.co\n"))
    assert looked_at(run, "c.csv.bz2")["preview"]["compression"] == "bzip2"
    shown = run("import", "c.csv.bz2", "--dry-run").out
    assert shown.startswith("c.csv.bz2: csv, bzip2, encoding utf-8")


@pytest.mark.parametrize("filled, percent", [(0, 0), (1, 1), (200, 50), (399, 99), (400, 100)])
def test_a_column_is_full_or_empty_only_if_it_is(run: Run, filled: int, percent: int) -> None:
    rows = "".join(f"a{n}@b.co,{'x' if n < filled else ''}\n" for n in range(400))
    Path("c.csv").write_text("email,Plan\n" + rows)
    columns = looked_at(run, "c.csv", "--all-fields")["preview"]["columns"]
    assert columns[1]["filled_percent"] == percent


def test_a_column_by_which_rows_are_chosen_is_not_said_to_be_left_out(run: Run) -> None:
    Path("c.csv").write_text(
        "email_address,state,tags,id\na@b.co,active,vip,1\nc@d.co,bounced,,2\n"
    )
    said = run("import", "c.csv", "--dry-run")
    assert "  state -> tells which rows are sent (--from kit), 100 % full" in said.out.splitlines()
    assert "sends rows by what 'state' says, and leaves out 'id'" in said.err
    state, tags = looked_at(run, "c.csv", "--from", "kit")["preview"]["columns"][1:3]
    assert (state["chooses_rows"], tags["chooses_rows"]) == (True, False)


def test_a_null_mark_fills_no_cell_in_any_column_or_row(run: Run) -> None:
    Path("c.tsv").write_text(
        "email\tPlan\tNote\tUnsubscribed\n"
        "a@b.co\tPro\tNULL\t0\nc@d.co\tNULL\tx\t1\nNULL\tPro\tNULL\t0\ne@f.co\tPro\tNULL\tNULL\n"
    )
    options = ("--field", "Plan", "--ignore", "Note", "--skip", "Unsubscribed=1", "--null", "NULL")
    columns = looked_at(run, "c.tsv", *options)["preview"]["columns"]
    assert [each["filled_percent"] for each in columns] == [75, 75, 25, 75]
    assert [each["samples"] for each in columns][2] == ["x"]
    Path("c.ndjson").write_text(
        '{"email": "a@b.co", "Plan": NaN}\n{"email": "c@d.co", "Plan": 1}\n'
    )
    assert looked_at(run, "c.ndjson", "--all-fields")["preview"]["columns"][1]["samples"] == ["1"]


def test_a_null_mark_behind_a_guard_fills_no_cell(run: Run) -> None:
    Path("c.csv").write_text('email,Plan\na@b.co,"=""#N/A"""\nc@d.co,Pro\n')
    report = looked_at(run, "c.csv", "--all-fields")
    assert report["preview"]["columns"][1]["filled_percent"] == 50
