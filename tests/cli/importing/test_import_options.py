"""What can be written behind `sendx import`, and what is said of what can't be meant."""

from pathlib import Path
from typing import get_args

import pytest

from sendx_async._cli import _import_options
from sendx_async._cli.importing.reading.records import Format
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

from .conftest import Import

JANE = "jane@example.com"


@pytest.mark.parametrize(
    "options, says",
    [
        (["--only", "Plan"], "--only 'Plan' must be COLUMN=VALUE"),
        (["--skip", ""], "--skip '' must be COLUMN=VALUE"),
        (["--field", "Role="], "--field 'Role=' must be NAME or NAME=TITLE"),
        (["--field", "R=A", "--field", "R=B"], "--field is given twice for 'R', with A and B"),
        (["--column", "R=tags", "--column", "R=lists"], "--column is given twice for 'R'"),
        (["--null", ""], "--null must not be empty"),
        (["--columns", " , "], "--columns must be names with commas between"),
        (["--columns", "email,a,a"], "--columns names 'a' twice"),
        (["--escape", "ab"], "--escape 'ab' must be one character"),
        (["--escape", ",", "--delimiter", ","], "must be different characters"),
        (["--max-rejects", "few"], "--max-rejects 'few' must be a number of rows, such as 100"),
        (["--max-rejects", "100%"], "--max-rejects '100%' must be"),
        (["--save-mapping", "m.toml"], "--save-mapping goes with --dry-run"),
        (["--undo-tags", "log"], "--undo-tags FILE takes no other files"),
        (["c.csv"], "c.csv is named twice"),
        (["d.csv", "--rejects", "r.csv"], "--rejects r.csv belongs to one file, and 2 are named"),
        (["--mapping", "absent.toml"], "absent.toml: No such file"),
    ],
)
def test_what_can_not_be_meant_is_said_before_anything_is_sent(
    run: Run, fake_sendx: FakeSendX, options: list[str], says: str
) -> None:
    Path("c.csv").write_text(f"email\n{JANE}\n")
    said = run("import", "c.csv", *options)
    assert said.status == 2
    assert says in said.err
    assert said.err.count("\n") == 1
    assert fake_sendx.requests == []


def test_a_file_is_needed(run: Run) -> None:
    said = run("import")
    assert said.status == 2
    assert said.err == (
        "Error: no file was named: write sendx import FILE, or - for standard input\n"
    )


def test_several_files_are_imported_one_after_the_other(run: Run, fake_sendx: FakeSendX) -> None:
    for number in (1, 2, 3):
        Path(f"{number}.csv").write_text(f"email\na{number}@b.co\n")
    Path("2.csv").write_text("email\nbad\na2@b.co\n")
    said = run("import", "1.csv", "2.csv", "3.csv")
    assert said.status == 1
    assert set(fake_sendx.contacts) == {"a1@b.co", "a2@b.co", "a3@b.co"}
    told = [line for line in said.out.splitlines() if line.startswith("Imported")]
    assert [line.split(":")[0] for line in told] == [f"Imported {n}.csv" for n in (1, 2, 3)]


def test_no_other_file_is_begun_when_one_was_stopped(run: Run, fake_sendx: FakeSendX) -> None:
    fake_sendx.respond(401, times=None)
    for number in (1, 2):
        Path(f"{number}.csv").write_text(f"email\na{number}@b.co\n")
    said = run("import", "1.csv", "2.csv")
    assert said.status == 2
    assert "1.csv" in said.out
    assert "2.csv" not in said.out


def test_a_custom_field_can_have_a_name_of_its_own(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    done = import_text(
        f"email,Beruf,=x,a=b\n{JANE},Engineer,1,2\n",
        *("--field", "Beruf=Role", "--field", "=x", "--field", "a=b=c"),
    )
    assert done.counts == (1, 0)
    assert fake_sendx.contact(JANE).custom_fields == {"Role": "Engineer", "=x": "1", "c": "2"}


class TestMappingFile:
    def test_what_was_decided_is_saved_and_used_again(
        self, import_text: Import, run: Run, fake_sendx: FakeSendX
    ) -> None:
        Path("old.csv").write_text(f"Adresse;E-Mail;Rolle\nx;{JANE};Chef\n")
        options = ("--field", "Rolle=Role", "--ignore", "Adresse", "--delimiter", ";")
        said = run("import", "old.csv", *options, "--dry-run", "--save-mapping", "m.toml")
        assert said.status == 0
        assert '[column]\nE-Mail = "email"' in Path("m.toml").read_text()
        assert fake_sendx.requests == []
        text = f"Rolle;E-Mail;Adresse\nKoch;{JANE};y\nx;bad;\n"
        assert import_text(text, "--mapping", "m.toml").counts == (1, 1)
        assert fake_sendx.contact(JANE).custom_fields == {"Role": "Koch"}
        # A file of rejected rows is like its own file.
        mended = Path("c.rejects.csv").read_text().replace(";bad;", ";bob@example.com;")
        assert import_text(mended, "--mapping", "m.toml", name="r.csv").counts == (1, 0)

    def test_what_somebody_may_have_written_is_not_overwritten(self, run: Run) -> None:
        Path("c.csv").write_text(f"email\n{JANE}\n")
        Path("m.toml").write_text("")
        said = run("import", "c.csv", "--dry-run", "--save-mapping", "m.toml")
        assert said.status == 2
        assert "m.toml exists: delete it, or give --save-mapping another file" in said.err

    @pytest.mark.parametrize(
        "text, says",
        [
            ("from = ", "m.toml is no TOML: "),
            ("ignor = []", "m.toml: 'ignor' is no key; did you mean ignore?"),
            ("wxyz = 1", "m.toml: 'wxyz' is no key; the keys are from, format"),
            ("ignore = 'x'", "m.toml: ignore must be a list of texts"),
            ("ignore = [1]", "m.toml: ignore must be a list of texts"),
            ("everyone = 1", "m.toml: everyone must be true or false"),
            ("skip-lines = true", "m.toml: skip-lines must be a whole number"),
            ("separator = 5", "m.toml: separator must be a text"),
            ("[field]\na = 1", "m.toml: field must be a table of texts"),
            ("field = 'a'", "m.toml: field must be a table of texts"),
            ("format = 'docx'", "m.toml: format must be one of csv, ndjson, json"),
            ("duplicates = 'none'", "m.toml: duplicates must be one of last, first, reject"),
            ("only = ['x']", "--only 'x' must be COLUMN=VALUE"),
            (b"\xff", "m.toml is no TOML: that is always UTF-8"),
        ],
    )
    def test_what_is_wrong_in_it_is_named(self, run: Run, text: str | bytes, says: str) -> None:
        Path("c.csv").write_text(f"email\n{JANE}\n")
        Path("m.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        said = run("import", "c.csv", "--mapping", "m.toml")
        assert said.status == 2
        assert says in said.err

    def test_options_come_before_it(self, import_text: Import, fake_sendx: FakeSendX) -> None:
        Path("m.toml").write_text(
            """
            ignore = ["A"]
            ignore-rest = true
            tag = ["saved"]
            separator = "|"
            delimiter = ";"
            only = ["B=1"]

            [column]
            Mail = "email"
            C = "first_name"
            G = "tags"

            [field]
            B = "Bee"
            """
        )
        done = import_text(
            f"Mail;Other;A;B;C;D;G\nx;{JANE};a;b;c;d;g|h\n",
            *("--mapping", "m.toml", "--column", "Other=email", "--field", "A=Aye"),
            *("--column", "C=last_name", "--tag", "given", "--only", "B=b", "--all-fields"),
        )
        assert done.counts == (1, 0)
        jane = fake_sendx.contact(JANE)
        assert (jane.first_name, jane.last_name) == (None, "c")
        assert jane.tags == {"g", "h", "saved", "given"}
        assert jane.custom_fields == {"Mail": "x", "Aye": "a", "Bee": "b", "D": "d"}


def test_the_formats_that_can_be_named_are_those_that_can_be_read() -> None:
    named = get_args(get_args(get_args(_import_options.Format)[0])[0])
    assert named == get_args(Format)
