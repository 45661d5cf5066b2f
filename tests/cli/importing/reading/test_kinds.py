"""Files that are no table: what they are, and the way out, in one line."""

import itertools
import random
from pathlib import Path

import pytest

from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run

PG_DUMP = "--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n"
KINDS: list[tuple[bytes | str, str]] = [
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "an old workbook (.xls): open it"),
    (b"%PDF-1.7\n%\xe2\xe3", "a PDF: export the contacts as CSV"),
    (b"SQLite format 3\0" + b"\0" * 600, "sqlite3 -csv -header FILE 'SELECT * FROM TABLE' | sendx"),
    (b"PGDMP\x01", "a dump of PostgreSQL: restore it"),
    ("{\\rtf1\\ansi", "a document (RTF)"),
    (b"ARROW1\0\0", "write it as Parquet or CSV"),
    (b"7z\xbc\xaf\x27\x1c\0", "a 7-Zip archive: unpack it"),
    (b"\x28\xb5\x2f\xfd\x04", "zstd -d FILE"),
    (b"\x89PNG\r\n\x1a\n\0", "an image"),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
    (random.Random(5).randbytes(5000), "no text, nor any other table that is known"),
    ("BEGIN:VCARD\r\nVERSION:3.0\r\n", "a file of vCards: export the contacts as CSV instead"),
    ("\ufeffbegin:vcard\n", "a file of vCards"),
    ("BEGIN:VCALENDAR\n", "a calendar"),
    ("\n <!doctype html><html>", "a web page (HTML): open it in a spreadsheet"),
    ("<table border=1><tr><td>email", "a web page (HTML)"),
    ("<?xml version='1.0'?>\n<x/>", "XML: export the contacts as CSV or JSON"),
    ("<Workbook xmlns='x'>", "XML"),
    (PG_DUMP, "a dump of SQL: load it into a database, and export the table as CSV"),
    ("-- MySQL dump 10.13\n", "a dump of SQL"),
    ("-- made by hand\n\n-- on Monday\nINSERT INTO people VALUES (1);\n", "a dump of SQL"),
    ("/*!40101 SET NAMES utf8 */;\n", "a dump of SQL"),
    ("insert into people (email) values ('a@b.co');\n", "a dump of SQL"),
    ("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n", "a dump of SQL"),
    ("x@b.co\n".encode("utf-16") [:2] + "<html>".encode("utf-16-le"), "a web page (HTML)"),
]  # fmt: skip


@pytest.mark.parametrize("data, says", KINDS, ids=itertools.count())
def test_what_is_no_table_says_so_in_one_line(
    run: Run, fake_sendx: FakeSendX, data: bytes | str, says: str
) -> None:
    Path("c.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    said = run("import", "c.csv")
    assert said.status == 2
    assert said.err.startswith("Error: the file is ")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert fake_sendx.requests == []
    assert [path.name for path in Path().iterdir()] == ["c.csv"]


@pytest.mark.parametrize("header", ["SET,email", "-- list --,email", "Set of,email", "-- x\n"])
def test_a_table_may_begin_with_much(run: Run, header: str) -> None:
    Path("c.csv").write_text(f"{header}\nx,a@b.co\n")
    said = run("import", "c.csv", "--ignore-rest")
    assert "the file is" not in said.err
