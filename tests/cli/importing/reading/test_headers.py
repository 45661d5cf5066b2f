"""Which row names the columns, and what these are called."""

from pathlib import Path

import pytest

from sendx_async._cli.importing.reading.header import find_header
from sendx_async._cli.importing.reading.records import usable_names
from sendx_async._core.errors import ConfigurationError
from sendx_async.testing import FakeSendX
from tests.cli.importing.conftest import Import

from .conftest import Open


@pytest.mark.parametrize(
    "titles, names",
    [
        (["email", "", "Phone", "Phone", ""], ["email", "#2", "Phone", "Phone (2)", "#5"]),
        (
            ["Phone", "Phone", "Phone (2)", "Phone"],
            ["Phone", "Phone (3)", "Phone (2)", "Phone (4)"],
        ),
        (["#2", "", "#2"], ["#2", "#2 (2)", "#2 (3)"]),
        (["", "#1"], ["#1 (2)", "#1"]),
        (["sendx_row", "sendx_reason", "email", ""], ["sendx_row", "sendx_reason", "email", "#2"]),
        ([], []),
    ],
)
def test_each_column_has_a_name_of_its_own(titles: list[str], names: list[str]) -> None:
    assert list(usable_names(titles)) == names


def test_titles_stay_as_they_are_written(open_export: Open) -> None:
    assert open_export("dup_headers.csv").header == (
        *("Email", "First Name", "Phone", "Phone (2)", "Email (2)"),
    )
    assert open_export("blank_headers.csv").header == ("email", "#2", "first_name", "#4", "#5")


def words(row: object) -> float:
    return float(sum(cell in {"Name", "Mail", "Ort"} for cell in row))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "rows, place",
    [
        ([["Name", "Mail"], ["Ada", "a@b.co"]], 0),
        ([["List of 2026", ""], ["Name", "Mail"], ["Ada", "a@b.co"]], 1),
        ([["From:", "Ann", ""], ["Name", "Mail", "Ort", "x"]], 1),
        # Nothing looks like a header: the first row as wide as the table.
        ([["Notes"], ["more"], ["A", "B", "C"], ["x", "y", "z"], ["x", "", "a@b.co"]], 2),
        ([["A", "", ""], ["x", "y", "a@b.co"], ["x", "y", "b@b.co"]], 0),
        ([["", "A", "B"], ["1", "x", "y"], ["2", "x", "y"]], 0),
        # A row that looks like one stands below others like it: no row is lost.
        ([["Nom", "Courriel"], ["Ada", "x"], ["Name", "Mail"]], 0),
        # Nor is one below an address.
        ([["A"], ["a@b.co"], ["Name", "Mail"]], 0),
        ([["a@b.co"], ["b@b.co"]], 0),
        ([], 0),
    ],
)
def test_a_header_is_found_below_titles(rows: list[list[str]], place: int) -> None:
    assert find_header(rows, words) == place


def test_titles_above_the_header_are_told(open_export: Open) -> None:
    found = open_export("title_row.csv")
    assert found.header == ("Email", "First Name", "Last Name")
    assert found.before == ("Kundenliste Stand 27.11.2026",)
    assert found.dialect is not None
    assert (found.dialect.skipped, found.records[0].number) == (2, 4)

    found = open_export("linkedin_connections.csv", header_score=lambda _: 0)
    assert found.header is not None
    assert found.header[:2] == ("First Name", "Last Name")
    assert found.before[0] == "Notes:"
    assert len(found.records) == 20


def test_how_many_lines_stand_in_front_can_be_said(open_text: Open) -> None:
    text = "email,Plan\nemail,Plan\n\na@b.co,Pro\n"
    assert open_text(text, skipped_lines=1).rows == [["a@b.co", "Pro"]]
    assert open_text(text, skipped_lines=0).rows[0] == ["email", "Plan"]
    assert open_text(text, skipped_lines=1).before == ("email,Plan",)
    assert open_text("a,b,\nMail,x\n", skipped_lines=0).header == ("a", "b", "#3")


def test_names_can_be_given_to_a_file_without_a_header(
    import_text: Import, fake_sendx: FakeSendX
) -> None:
    options = ("--skip-lines", "1", "--columns", "email,first_name")
    done = import_text("rubbish\na@b.co,Ann\nbad,Bo\n", *options)
    assert done.counts == (1, 1)
    assert fake_sendx.contact("a@b.co").first_name == "Ann"
    text = Path("c.rejects.csv").read_text()
    header, row = text.splitlines()
    assert header == "sendx_row,sendx_reason,email,first_name"
    assert row.startswith("3,")

    # The rejected rows have their own header, whatever is given.
    again = import_text(text.replace("bad", "b@b.co"), *options, name="d.csv")
    assert again.counts == (1, 0)
    assert fake_sendx.contact("b@b.co").first_name == "Bo"


def test_names_that_do_not_fit(open_text: Open) -> None:
    with pytest.raises(ConfigurationError, match="--columns names 2 columns, but the rows have 3"):
        open_text("a@b.co,Ann,x\nb@b.co,Bo,y\n", names=("email", "first_name"))


@pytest.mark.parametrize(
    "text, says",
    [
        ("ada@b.co\nbo@b.co\n", "--columns email\n"),
        ("Ada;ada@b.co;b@b.co\nBo;bo@b.co;\n", "--columns column_1,email,column_3\n"),
        ('1,"<ada@b.co>"\n', "--columns column_1,email\n"),
    ],
)
def test_without_a_header_it_is_said_how_to_name_the_columns(
    import_text: Import, fake_sendx: FakeSendX, text: str, says: str
) -> None:
    done = import_text(text, name="c.txt")
    assert done.said.status == 2
    assert "the file has no header" in done.said.err
    assert done.said.err.endswith(says)
    option, names = says.split()
    named = import_text(text, option, names, "--ignore-rest", name="c.txt")
    assert named.counts[0] > 0
    assert "ada@b.co" in fake_sendx.contacts


def test_the_sample_of_bare_addresses(open_export: Open) -> None:
    with pytest.raises(ConfigurationError, match=r"--columns email$"):
        open_export("addresses_only.txt")
    assert len(open_export("addresses_only.txt", names=("email",)).records) == 20


def test_the_line_of_excel_holds_unless_another_delimiter_is_given(open_text: Open) -> None:
    text = "\nsep=^\nemail^a,b\na@b.co^x\n"
    assert open_text(text).header == ("email", "a,b")
    assert open_text(text, delimiter=",").header == ("email^a", "b")


def test_rows_of_nothing_are_no_rows(open_export: Open, open_text: Open) -> None:
    found = open_export("nul.csv")
    assert (len(found.records), found.records[-1].values[0]) == (20, "tulay.darcy19@example.com")
    found = open_text("email,Plan\na@b.co,\n,\n  \n\0\0\0\0\nb@b.co,x\n" + "\0" * 1_500_000)
    assert [record.number for record in found.records] == [2, 6]
