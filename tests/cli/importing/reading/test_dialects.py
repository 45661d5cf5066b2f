"""What stands between cells, how they are escaped, and which texts mean that nothing is there."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async._cli.importing.reading.dialect import DELIMITERS, Dialect
from sendx_async._cli.importing.reading.rows_of_cells import Lines, rows_of_cells
from sendx_async._cli.importing.reading.sniffing import sniffed

from .conftest import Open


def dialect_of(text: str, delimiter: str | None = None, escape: str | None = None) -> Dialect:
    return sniffed(text.splitlines(keepends=True), delimiter=delimiter, escape=escape)


@pytest.mark.parametrize(
    "text, delimiter",
    [
        ("email,first_name\na@b.co,Ann\n", ","),
        ("Adresse;Name\na@b.co;Abel, Ada\nb@b.co;Bell, Bo\n", ";"),
        ("Adresse,Tags\na@b.co,x;y\nb@b.co,x;z\nc@b.co,y;z\n", ","),
        ("Notes:\nwhat,ever\n\nA|B|C\n1|2|3\n4|5|6\n", "|"),
        ('A;B\n"x, y, z";"1,2"\n\'q, r\';2\n', ";"),
        ("A\tB\n1,5\t2,5\n3,5\t4,5\n", "\t"),
        # Rows that end early, or have cells too many, make no other table more regular.
        ("email,first_name\na@b.co\nc@d.co,Cid,,\n", ","),
        # A header of one column counts against a delimiter, more than ragged rows do.
        ("Adresse,Tags\n" + "a@b.co,x;y\n" * 6 + "a@b.co,x;y,z\n" * 3, ","),
        # A cell that can't be read as CSV, in one row of many.
        ('A;B\n"x"y;1\n' + "a;b\n" * 20, ";"),
        ("email\na@b.co\n", ","),
        ("", ","),
        (",\n", ","),
        ('"x"y\n', ","),
    ],
)
def test_the_delimiter_makes_the_most_regular_table(text: str, delimiter: str) -> None:
    assert dialect_of(text).delimiter == delimiter


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=12)


@given(
    st.sampled_from(DELIMITERS),
    st.integers(2, 6).flatmap(
        lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12)
    ),
)
def test_a_table_that_was_written_as_csv_is_read_as_it_was(
    delimiter: str, rows: list[list[str]]
) -> None:
    header = [f"column {number}" for number in range(len(rows[0]) if rows else 2)]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    lines = io.StringIO(text.getvalue(), newline="").readlines()
    found = sniffed(lines, delimiter=None, escape=None)
    assert (found.name, found.delimiter, found.escape) == ("csv", delimiter, None)
    assert list(rows_of_cells(iter(Lines(lines)), found)) == [header, *rows]


def test_backslashes_are_found_where_they_make_the_table_regular(open_export: Open) -> None:
    found = open_export("backslash_escape.csv")
    assert found.dialect is not None
    assert found.dialect.escape == "\\"
    assert found.rows[0] == ["ada.abel0@example.com", "Ada", 'he said "hi", ok']
    assert not any(record.problem for record in found.records)


def test_backslashes_are_text_where_quotes_are_doubled(open_text: Open) -> None:
    found = open_text('email,Note\na@b.co,"a ""b\\"" c"\nb@b.co,C:\\new\n')
    assert found.dialect is not None
    assert found.dialect.escape is None
    assert found.rows == [["a@b.co", 'a "b\\" c'], ["b@b.co", "C:\\new"]]


def test_an_escape_can_be_given(open_text: Open) -> None:
    text = 'email,Note\na@b.co,"x|"y"\nb@b.co,one|,two\n'
    assert open_text(text, escape="|").rows == [["a@b.co", 'x"y'], ["b@b.co", "one,two"]]


def test_a_null_mark_survives_where_backslashes_escape(open_text: Open) -> None:
    text = 'email,Note,More\na@b.co,\\N,"\\N"\nb@b.co,"say \\"N\\"",\\N\n'
    found = open_text(text)
    assert found.rows[0][1] == "\\N"
    assert found.rows[1] == ["b@b.co", 'say "N"', "\\N"]


def test_what_postgresql_copies(open_export: Open) -> None:
    found = open_export("pg_copy_text_header.tsv")
    assert found.dialect is not None
    assert (found.dialect.name, set(found.dialect.nulls)) == ("copy", {"\\N"})
    assert found.rows[0] == ["ada.abel0@example.com", "\\N", "pro", "f", "\\N"]
    assert found.rows[1][4] == "back\\slash\tand tab"


def test_escapes_of_copy_are_undone_up_to_its_end(open_text: Open) -> None:
    found = open_text(
        'email\tNote\na@b.co\t\\N\nb@b.co\t\\x41\\101\\b\\f\\n\\r\\t\\v\\\\N\\q "q\n\\.\njunk\n'
    )
    assert found.rows == [["a@b.co", "\\N"], ["b@b.co", 'AA\b\f\n\r\t\v\\Nq "q']]


def test_what_mysql_prints(open_export: Open) -> None:
    found = open_export("mysql_batch.tsv")
    assert found.dialect is not None
    assert (found.dialect.name, set(found.dialect.nulls)) == ("mysql", {"NULL", "\\N"})
    assert found.rows[0][1] == "NULL"


def test_escapes_of_mysql_are_undone(open_text: Open) -> None:
    found = open_text('email\tNote\na@b.co\tNULL\nb@b.co\t"x\\t\\n\\\\\\0\\012\n\\.\tx\n')
    assert found.rows == [["a@b.co", "NULL"], ["b@b.co", '"x\t\n\\\x00\x0012'], [".", "x"]]


def test_a_table_with_quotes_is_none_of_a_database(open_text: Open) -> None:
    found = open_text('email\tNote\na@b.co\tNULL\nb@b.co\t"x\ty"\n')
    assert found.dialect is not None
    assert (found.dialect.name, "NULL" in found.dialect.nulls) == ("csv", False)
    assert found.rows[1] == ["b@b.co", "x\ty"]


@pytest.mark.parametrize("name, marks", [("pandas_nan.csv", True), ("pandas_index.csv", False)])
def test_nan_means_nothing_where_pandas_wrote_it(open_export: Open, name: str, marks: bool) -> None:
    found = open_export(name)
    assert found.dialect is not None
    assert ({"nan", "NaN"} <= found.dialect.nulls) is marks


def test_nan_is_text_beside_other_text(open_text: Open) -> None:
    found = open_text("email,first_name,Age\na@b.co,nan,5\nb@b.co,Bo,nan\n")
    assert found.dialect is not None
    assert "nan" not in found.dialect.nulls
