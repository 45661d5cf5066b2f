"""Rejected rows of each kind of file are mended, and imported with the options of their file."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import openpyxl
import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

HEADER = "email,First Name,Plan"


def packed_in_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside.csv", data)
    return file.getvalue()


def workbook(*rows: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "People"
    for cells in (rows[0], *(row.values() for row in rows)):
        sheet.append(list(cells))
    book.save(file)
    return file.getvalue()


@attrs.frozen
class Case:
    """A file with one row that can't be sent, and how it is imported.

    Attributes:
        name: The file's.
        data: What it holds.
        rejects: Where that row goes.
        options: Those of the command.
        bad: What stands where an address should.
        fields: The custom fields of the mended contact.
        first_name: Its name.
    """

    name: str
    data: bytes
    rejects: str
    options: Sequence[str] = ("--field", "Plan")
    bad: str = "bad"
    fields: dict[str, str] = attrs.field(factory=lambda: {"Plan": "Pro"})
    first_name: str | None = "Zoë"


PLAIN = f"{HEADER}\na@b.co,Ann,Free\nbad,Zoë,Pro\n"
GERMAN = "email;Vorname;Straße\r\n" + "".join(
    f"a{n}@b.co;Jürgen;Größe und Höhe der Tür für Käthe\r\n" for n in range(20)
) + "bad;Zoë;Süß\r\n"  # fmt: skip
ARRAY = """[
  {"email": "a@b.co", "first_name": "Ann", "Plan": "Free", "Seats": 1},
  {"email": "bad",
   "first_name": "Zoë", "Plan": "Pro", "Seats": 1.10}
]"""
ROWS = (
    {"email": "a@b.co", "First Name": "Ann", "Plan": date(2026, 11, 27)},
    {"email": "bad", "First Name": "Zoë", "Plan": date(2026, 11, 28)},
)
NESTED = '[{"email": "bad", "traits": {"name": "Zoë", "plan": "Pro"}}]'
CASES = {
    "gzip": Case("c.csv.gz", gzip.compress(PLAIN.encode()), "c.rejects.csv"),
    "gzip of tabs": Case(
        "c.tsv.gz", gzip.compress(PLAIN.replace(",", "\t").encode()), "c.rejects.tsv"
    ),
    "gzip without a name": Case("c.gz", gzip.compress(PLAIN.encode()), "c.rejects.csv"),
    "bzip2": Case("c.csv.bz2", bz2.compress(PLAIN.encode()), "c.rejects.csv"),
    "xz": Case("c.csv.xz", lzma.compress(PLAIN.encode()), "c.rejects.csv"),
    "zip": Case("c.zip", packed_in_zip(PLAIN.encode()), "c.rejects.csv"),
    "gzip of JSON": Case(
        "c.ndjson.gz",
        gzip.compress('{"email": "bad", "first_name": "Zoë", "Plan": "Pro"}\n'.encode()),
        "c.rejects.ndjson",
    ),
    "JSON under another name": Case(
        "c.txt", '{"email": "bad", "first_name": "Zoë", "Plan": "Pro"}\n'.encode(),
        "c.rejects.ndjson",
    ),
    "an array of JSON": Case(
        "c.json", ARRAY.encode(), "c.rejects.ndjson", fields={"Plan": "Pro", "Seats": "1.10"},
        options=("--field", "Plan", "--field", "Seats"),
    ),
    "an array of JSON, said so": Case(
        "c.json", ARRAY.encode(), "c.rejects.ndjson",
        ("--format", "json", "--field", "Plan", "--ignore", "Seats"),
    ),
    "an array of JSON in UTF-16": Case(
        "c.json", ARRAY.encode("utf-16"), "c.rejects.ndjson",
        ("--field", "Plan", "--ignore", "Seats"),
    ),
    "nested JSON": Case(
        "c.json", NESTED.encode(), "c.rejects.ndjson",
        ("--column", "traits.name=first_name", "--field", "traits.plan=Plan"),
    ),
    "a workbook": Case(
        "c.xlsx", workbook(*ROWS), "c.rejects.csv", fields={"Plan": "2026-11-28"},
    ),
    "a sheet of a workbook": Case(
        "c.xlsx", workbook(*ROWS), "c.rejects.csv",
        ("--sheet", "People", "--format", "xlsx", "--field", "Plan"),
        fields={"Plan": "2026-11-28"},
    ),
    "a delimiter that is given": Case(
        "c.csv", PLAIN.replace(",", "^").encode(), "c.rejects.csv",
        ("--delimiter", "^", "--field", "Plan"),
    ),
    "an encoding that is given": Case(
        "c.csv", PLAIN.encode("cp1252"), "c.rejects.csv",
        ("--encoding", "cp1252", "--field", "Plan"),
    ),
    "a wide encoding that is given": Case(
        "c.csv", PLAIN.encode("utf-16-le"), "c.rejects.csv",
        ("--encoding", "utf-16-le", "--field", "Plan"),
    ),
    "an encoding that is guessed": Case(
        "c.csv", GERMAN.encode("cp1252"), "c.rejects.csv",
        ("--field", "Straße", "--yes"), fields={"Straße": "Süß"},
    ),
    "names that are given": Case(
        "c.csv", PLAIN.partition("\n")[2].encode(), "c.rejects.csv",
        ("--columns", "email,first_name,Plan", "--field", "Plan"),
    ),
    "lines that are skipped": Case(
        "c.csv", b"My contacts\nNotes: none\n" + PLAIN.encode(), "c.rejects.csv",
        ("--skip-lines", "2", "--field", "Plan"),
    ),
    "lines that are passed over": Case(
        "c.csv", b"My contacts\n\n" + PLAIN.encode(), "c.rejects.csv",
        ("--field", "Plan", "--yes"),
    ),
    "columns by number": Case(
        "c.csv", PLAIN.replace("Plan", "").encode(), "c.rejects.csv", ("--field", "#3=Plan"),
    ),
    "the same name twice": Case(
        "c.csv", PLAIN.replace("First Name", "Plan").encode(), "c.rejects.csv",
        ("--field", "Plan (2)=Level", "--field", "Plan"),
        fields={"Plan": "Zoë", "Level": "Pro"}, first_name=None,
    ),
    "a preset": Case(
        "c.csv", b"Email,Name,Subscribed\na@b.co,Ann,yes\nbad,Zo\xc3\xab,yes\n", "c.rejects.csv",
        ("--column", "Name=first_name", "--only", "Subscribed=yes", "--ignore", "Subscribed"),
        fields={},
    ),
    "COPY": Case(
        "c.tsv", 'email\tFirst Name\tPlan\na@b.co\t\\N\tFree\nbad\tZoë\tC:\\\\new "x"\n'.encode(),
        "c.rejects.tsv", fields={"Plan": 'C:\\new "x"'},
    ),
    "COPY with its delimiter": Case(
        "c.tsv", "email\tFirst Name\tPlan\na@b.co\t\\N\tFree\nbad\tZoë\tC:\\\\new\n".encode(),
        "c.rejects.tsv", ("--delimiter", "\\t", "--field", "Plan"), fields={"Plan": "C:\\new"},
    ),
    "COPY with nothing": Case(
        "c.tsv", b"email\tFirst Name\tPlan\na@b.co\tAnn\tFree\nbad\t\\N\tC:\\\\new\n",
        "c.rejects.tsv", fields={"Plan": "C:\\new"}, first_name=None,
    ),
    "mysql": Case(
        "c.tsv", "email\tFirst Name\tPlan\na@b.co\tNULL\tFree\nbad\tZoë\tNULL\n".encode(),
        "c.rejects.tsv", fields={},
    ),
    "backslashes": Case(
        "c.csv", f'{HEADER}\na@b.co,"Ann \\"x\\"",Free\nbad,Zoë,"C:\\\\dir, \\"new\\""\n'.encode(),
        "c.rejects.csv", fields={"Plan": 'C:\\dir, "new"'},
    ),
    "backslashes that are given": Case(
        "c.csv", f'{HEADER}\na@b.co,Ann,Free\nbad,Zoë,"C:\\\\dir, \\"new\\""\n'.encode(),
        "c.rejects.csv", ("--escape", "\\", "--field", "Plan"), fields={"Plan": 'C:\\dir, "new"'},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rejected_rows_are_mended_and_imported_with_the_options_of_their_file(
    run: Run, fake_sendx: FakeSendX, case: Case
) -> None:
    Path(case.name).write_bytes(case.data)
    said = run("import", case.name, *case.options)
    assert said.status == 1, said
    assert f"The rejected rows are in {case.rejects}" in said.out
    path = Path(case.rejects)
    twice = run("import", case.rejects, *case.options, "--rejects", "again")
    assert twice.status == 1, twice
    data = Path("again").read_bytes()
    assert data.count(b"sendx_row") == path.read_bytes().count(b"sendx_row") == 1
    for each in (path, Path("again")):
        each.write_bytes(each.read_bytes().replace(case.bad.encode(), b"z@b.co"))
        said = run("import", str(each), *case.options)
        assert said.status == 0, (said, each.read_text(errors="replace"))
        contact = fake_sendx.contact("z@b.co")
        assert contact.first_name == case.first_name
        assert contact.custom_fields == case.fields


def test_rejected_rows_of_parquet_are_mended_likewise(run: Run, fake_sendx: FakeSendX) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow has no wheel for this Python")
    parquet = pytest.importorskip("pyarrow.parquet", reason="likewise")
    parquet.write_table(pa.Table.from_pylist(list(ROWS)), "c.parquet")
    case = Case(
        "c.parquet", Path("c.parquet").read_bytes(), "c.rejects.csv",
        ("--format", "parquet", "--field", "Plan"), fields={"Plan": "2026-11-28"},
    )  # fmt: skip
    test_rejected_rows_are_mended_and_imported_with_the_options_of_their_file(run, fake_sendx, case)


def test_rows_whose_encoding_was_guessed_need_no_second_guess(run: Run) -> None:
    Path("c.csv").write_bytes(GERMAN.encode("cp1252"))
    assert run("import", "c.csv", "--field", "Straße", "--yes").status == 1
    assert Path("c.rejects.csv").read_text(encoding="utf-8").startswith("\ufeffsendx_row;")
