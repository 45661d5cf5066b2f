"""Workbooks (.xlsx): which sheet, which row is the header, and what a person sees in a cell."""

import sys
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from sendx_async import ConfigurationError
from sendx_async._cli.importing.reading.cell_texts import cell_text
from sendx_async._cli.importing.reading.number_formats import formatted
from sendx_async._cli.importing.reading.opening import Reading, Source
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.importing.conftest import Import

from .records import first_records, has_address, records_of, rows_of

JANE = "jane@example.com"
Rows = Sequence[Sequence[Any]]
HEADER = ["email", "x"]
MIDNIGHT = datetime(2026, 1, 2)  # noqa: DTZ001 - a spreadsheet has no time zones


def workbook(
    sheets: dict[str, Rows],
    *,
    formats: dict[str, str] | None = None,
    hidden: Sequence[str] = (),
    replaced: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write a workbook; texts in the XML of its first sheet may be replaced."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
        if title in hidden:
            sheet.sheet_state = "hidden"
    for cell, number_format in (formats or {}).items():
        book.worksheets[0][cell].number_format = number_format
    book.save("written.xlsx")
    with zipfile.ZipFile("written.xlsx") as old, zipfile.ZipFile("c.xlsx", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                for before, after in replaced:
                    assert before.encode() in data
                    data = data.replace(before.encode(), after.encode())
            new.writestr(name, data)
    return Path("c.xlsx")


def test_a_workbook_is_imported(import_text: Import, fake_sendx: FakeSendX) -> None:
    rows: Rows = [["E-Mail", "First Name", "Plan"], [JANE, "Jane", "Pro"], ["bad", "x", None]]
    content = workbook({"Contacts": rows}).read_bytes()
    options = ["--column", "E-Mail=email", "--field", "Plan", "--rejects", "r.csv"]
    done = import_text(content, *options, name="d.xlsx")
    assert done.counts == (1, 1)
    assert fake_sendx.contact(JANE).first_name == "Jane"
    assert fake_sendx.contact(JANE).custom_fields == {"Plan": "Pro"}
    first, second = Path("r.csv").read_text("utf-8-sig").splitlines()
    assert first == "sendx_row,sendx_reason,E-Mail,First Name,Plan"
    assert second.startswith("3,")  # as the spreadsheet counts
    assert second.endswith(",bad,x")


@pytest.mark.parametrize(
    "value, number_format, text",
    [
        ("Zoë, \n'x'", None, "Zoë, \n'x'"),
        ("a_x000D_\nb_x0041_", None, "a\r\nb_x0041_"),
        (27, None, "27"),
        (27.0, None, "27"),
        (-0.1, None, "-0.1"),
        (0.1 + 0.2, None, "0.3"),
        (0.00001, None, "0.00001"),
        (4006381333931, None, "4006381333931"),
        (4.006381333931e12, "0", "4006381333931"),
        (491701234567, "+0", "+491701234567"),
        (491701234567, "0.00E+00", "491701234567"),
        (1234.5, "#,##0.00 €", "1234.5"),
        (0.25, "0%", "25%"),
        (0.255, "0%", "25.5%"),
        (1234, "00000", "01234"),
        (123456, "00000", "123456"),
        (71234, '"D-"00000', "D-71234"),
        (12345678, "00000\\-0000", "01234-5678"),
        (12345678901, "000-00", "123456789-01"),
        (1.5, "00000", "1.5"),
        (-5, "000", "-5"),
        (True, None, "true"),
        (False, None, "false"),
        (date(2026, 1, 2), None, "2026-01-02"),
        (MIDNIGHT, None, "2026-01-02"),
        (MIDNIGHT.replace(hour=10, minute=30), None, "2026-01-02T10:30:00"),
        (time(10, 30), None, "10:30:00"),
        (timedelta(hours=36, minutes=15), None, "36:15:00"),
        ("#N/A", None, "#N/A"),
        ("#DIV/0!", None, "#DIV/0!"),
    ],
)
def test_cells_are_what_a_person_sees(value: object, number_format: str | None, text: str) -> None:
    formats = {} if number_format is None else {"B2": number_format}
    (row,) = rows_of(workbook({"S": [HEADER, [JANE, value]]}, formats=formats))
    assert row == {"email": JANE, "x": text}


def test_dates_that_mac_excel_counts_from_1904() -> None:
    book = openpyxl.Workbook()
    book.epoch = CALENDAR_MAC_1904
    sheet = book.worksheets[0]
    sheet.append(HEADER)
    sheet.append([JANE, date(2026, 1, 2)])
    book.save("c.xlsx")
    assert rows_of("c.xlsx") == [{"email": JANE, "x": "2026-01-02"}]


def test_what_takes_part_of_a_format() -> None:
    assert formatted(5, '[Red]"no. "00;-00') == "no. 05"
    assert formatted(0.1 + 0.2, "General") == "0.3"
    assert cell_text(timedelta(minutes=-90)) == "-1:30:00"


def test_texts_that_the_sheets_share() -> None:
    # As Excel writes them, and openpyxl doesn't.
    with xlsxwriter.Workbook("c.xlsx") as book:
        sheet = book.add_worksheet()
        bold = book.add_format({"bold": True})
        sheet.write_row(0, 0, ["email", "name", "total"])
        sheet.write_string(1, 0, JANE)
        sheet.write_rich_string(1, 1, "Jane ", bold, "Smith", "!")
        sheet.write_formula(1, 2, "=1+1", value=2)
        sheet.write_row(2, 0, [JANE, "Jane _x000D_"])
    assert "xl/sharedStrings.xml" in zipfile.ZipFile("c.xlsx").namelist()
    assert [record.values for record in records_of("c.xlsx")] == [
        [JANE, "Jane Smith!", "2"],
        [JANE, "Jane \r"],
    ]


def test_empty_rows_columns_and_sheets_do_not_count() -> None:
    rows: Rows = [[], HEADER, [], [JANE, "1", None, ""], [None, None], ["b@b.co"], [None, "y"]]
    path = workbook({"Empty": [], "S": rows})
    records = records_of(path)
    assert [(each.number, each.values) for each in records] == [
        (4, [JANE, "1"]),
        (6, ["b@b.co"]),
        (7, ["", "y"]),
    ]
    assert {each.names for each in records} == {("email", "x")}
    assert records[2].text == ",y\r\n"


def test_a_title_may_stand_above_the_header() -> None:
    path = workbook(
        {"S": [["Members of 2026"], [], ["x", "Email", "", "x"], ["1", JANE, "2", "3"]]}
    )
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert source.format == "xlsx"
        assert source.compression is None
        assert source.table.before == ("Members of 2026",)
        assert source.table.titles == ("x", "Email", "", "x")
        assert source.table.header_line == 3
        assert source.table.header == ("x", "Email", "#3", "x (2)")
        assert [record.number for record in source] == [4]


def test_a_column_behind_the_header_has_a_name() -> None:
    (record,) = records_of(workbook({"S": [HEADER, [JANE, "1", None, "a remark"]]}))
    assert dict(zip(record.names, record.values, strict=True)) == {
        "email": JANE,
        "x": "1",
        "#3": "",
        "#4": "a remark",
    }


def test_rows_that_are_passed_over_and_columns_that_are_named() -> None:
    path = workbook({"S": [["a", "b"], ["email", "c"], [JANE, "1"]]})
    assert rows_of(path, skipped_lines=1) == [{"email": JANE, "c": "1"}]
    path = workbook({"S": [[JANE, "1"], ["b@b.co", "2"]]})
    assert rows_of(path, names=("email", "n")) == [
        {"email": JANE, "n": "1"},
        {"email": "b@b.co", "n": "2"},
    ]
    with pytest.raises(ConfigurationError, match="--columns email,column_2"):
        records_of(path)
    with pytest.raises(ConfigurationError, match="names 1 columns, but the sheet has 2"):
        records_of(path, names=("email",))
    with pytest.raises(ConfigurationError, match="no rows behind"):
        records_of(path, skipped_lines=5)


def test_which_sheet() -> None:
    path = workbook(
        {
            "New people": [HEADER, [JANE, "new"]],
            "Old": [HEADER, [JANE, "old"]],
            "Hidden": [HEADER, [JANE, "hidden"]],
            "Empty": [],
        },
        hidden=["Hidden"],
    )
    with pytest.raises(ConfigurationError) as caught:
        records_of(path)
    assert str(caught.value) == (
        "the workbook has 2 sheets with rows: say which one, --sheet 'New people' or --sheet Old"
    )
    assert rows_of(path, sheet="old") == [{"email": JANE, "x": "old"}]
    assert rows_of(path, sheet="Hidden") == [{"email": JANE, "x": "hidden"}]
    with pytest.raises(ConfigurationError, match="there is no sheet 'Olde': give --sheet 'New"):
        records_of(path, sheet="Olde")
    with pytest.raises(ConfigurationError, match="no sheet with rows"):
        records_of(workbook({"A": [], "B": []}))
    with pytest.raises(ConfigurationError, match="no rows"):
        records_of(workbook({"A": [HEADER], "B": []}), sheet="B")


def test_a_size_that_a_sheet_gets_wrong_hides_nothing() -> None:
    path = workbook(
        {"S": [HEADER, [JANE, "1"], ["b@b.co", "2"]]},
        replaced=[('<dimension ref="A1:B3" />', '<dimension ref="A1" />')],
    )
    assert len(rows_of(path)) == 2
    path = workbook({"S": [HEADER, [JANE, "1"]]}, replaced=[('<dimension ref="A1:B2" />', "")])
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert len(list(source)) == 1
        assert 0 < source.position <= path.stat().st_size


def test_the_bar_goes_by_rows() -> None:
    path = workbook({"S": [HEADER, *([f"a{n}@b.co", n] for n in range(999))]})
    size = path.stat().st_size
    with Source(str(path), Reading(header_score=has_address)) as source:
        assert source.size == size
        positions = [source.position for _ in source]
    assert positions == [round(number / 1000 * size) for number in range(2, 1001)]


def test_the_look_takes_nothing_away() -> None:
    path = workbook({"S": [HEADER, *([f"a{n}@b.co", n] for n in range(1200))]})
    first, are_all = first_records(path)
    assert (len(first), are_all) == (1000, False)
    with Source(str(path), Reading(header_score=has_address)) as source:
        again = source.first_records()
        assert again.records == first
        assert len(list(source)) == 1200


FORMULAS = [
    ("<f>1+1</f><v />", "<f>1+1</f><v>2</v>"),
    ("<f>2+2</f><v />", "<f>2+2</f><v>4.5</v>"),
]


def test_formulas_are_their_values() -> None:
    rows = [["email", "x", "y"], [JANE, "=1+1", "=2+2"]]
    path = workbook({"S": rows}, replaced=FORMULAS)
    assert rows_of(path) == [{"email": JANE, "x": "2", "y": "4.5"}]
    # An empty text is a value.
    empty = ('<c r="C2"><f>2+2</f><v />', '<c r="C2" t="str"><f>2+2</f><v />')
    path = workbook({"S": [*rows, ["b@b.co", "1", "2"]]}, replaced=[FORMULAS[0], empty])
    records = records_of(path)
    assert [record.values for record in records] == [[JANE, "2"], ["b@b.co", "1", "2"]]
    assert [record.problem for record in records] == [None, None]


def test_a_formula_without_its_value_is_a_problem_of_its_row() -> None:
    path = workbook({"S": [["email", "x"], [JANE, "=1+1"], ["b@b.co", 3], [None, None, "=2+2"]]})
    bad, good, beyond = records_of(path)
    assert (bad.number, good.problem, beyond.number) == (2, None, 4)
    assert bad.problem == (
        "'x' is a formula whose value isn't in the file: open it in a spreadsheet, and save it"
    )
    assert beyond.problem is not None
    assert beyond.problem.startswith("'#3' is a formula")


@pytest.mark.parametrize(
    "replaced",
    [
        [('<row r="2">', '<row r="x">')],
        [("</sheetData>", "")],
    ],
)
def test_a_damaged_workbook(replaced: list[tuple[str, str]]) -> None:
    path = workbook({"S": [HEADER, [JANE, "one"]]}, replaced=replaced)
    with pytest.raises(ConfigurationError, match="the workbook can't be read: it is damaged"):
        records_of(path)


def test_a_workbook_with_a_password(run: Run) -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000)
    Path("c.xlsx").write_bytes(ole + "EncryptedPackage".encode("utf-16-le") + bytes(1000))
    said = run("import", "c.xlsx")
    assert said.status == 2
    assert "the file is a workbook with a password" in said.err
    Path("c.xls").write_bytes(ole)
    assert "an old workbook (.xls)" in run("import", "c.xls").err


@pytest.mark.parametrize("options", [{"sheet": "S"}, {"format": "xlsx"}])
def test_what_is_no_workbook(options: dict[str, Any]) -> None:
    Path("c.xlsx").write_text("email\na@b.co\n")
    with pytest.raises(ConfigurationError, match="the file is no workbook"):
        records_of("c.xlsx", **options)
    assert len(records_of("c.xlsx")) == 1  # whatever its name


def test_without_openpyxl(monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook({"S": [HEADER]})
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'sendx-async\[files\]'"):
        records_of(path)


def test_what_openpyxl_remarks_is_kept_from_people() -> None:
    extension = '<extLst><ext uri="{CCE6A557-97BC-4b89-ADB6-D9C93CAAB3DF}"/></extLst></worksheet>'
    path = workbook({"S": [HEADER, [JANE, "1"]]}, replaced=[("</worksheet>", extension)])
    assert len(rows_of(path)) == 1


def test_a_workbook_that_would_fill_the_memory() -> None:
    path = workbook({"A": [HEADER, [JANE, "here"]]}, replaced=[("here", "x" * (1 << 24))])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile("b.xlsx", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ConfigurationError, match=r"more than 100 times its size.* save it as CSV"):
        records_of("b.xlsx")
    assert len(records_of(path)) == 1  # as large, and no surprise
