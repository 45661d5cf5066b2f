"""What a file is by its first bytes; of kinds that can't be imported, the way out."""

import re
from collections.abc import Sequence

from sendx_async._cli.importing.reading.records import REJECT_COLUMNS
from sendx_async._core.errors import ConfigurationError

_AS_CSV = "open it in a spreadsheet, and save it as CSV or .xlsx"

_BY_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an old workbook (.xls): {_AS_CSV}"),
    (b"%PDF", "a PDF: export the contacts as CSV where it was made"),
    (
        b"SQLite format 3\0",
        "an SQLite database: sqlite3 -csv -header FILE 'SELECT * FROM TABLE' | sendx import -",
    ),
    (b"PGDMP", "a dump of PostgreSQL: restore it, and export the table with psql and \\copy"),
    (b"{\\rtf", "a document (RTF): save it as CSV"),
    (b"ARROW1", "an Arrow file: write it as Parquet or CSV"),
    (b"FEA1", "a Feather file: write it as Parquet or CSV"),
    (b"ORC", "an ORC file: write it as Parquet or CSV"),
    (b"Obj\x01", "an Avro file: write it as Parquet or CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard: unpack it, zstd -d FILE"),
    (b"\x89PNG", "an image: a table of contacts is needed, as CSV"),
    (b"\xff\xd8\xff", "an image: a table of contacts is needed, as CSV"),
    (b"GIF8", "an image: a table of contacts is needed, as CSV"),
)
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # in what else would be an old workbook
_SQL = (
    "a dump of SQL: load it into a database, and export the table as CSV, for example with psql "
    "and \\copy, or mysql --batch"
)
_SQL_WORDS = (
    r"-- (POSTGRESQL|MYSQL|MARIADB|PHPMYADMIN) |/\*!\d|SET (\w+ ?=|NAMES )|"
    r"(INSERT (IGNORE )?INTO|CREATE TABLE|DROP TABLE|BEGIN TRANSACTION|PRAGMA FOREIGN_KEYS|"
    r"LOCK TABLES|START TRANSACTION)\b"
)
_BY_WORDS: tuple[tuple[str, str], ...] = (
    ("BEGIN:VCARD", "a file of vCards: export the contacts as CSV instead"),
    ("BEGIN:VCALENDAR", "a calendar: a table of contacts is needed, as CSV"),
    ("<!DOCTYPE HTML|<HTML|<TABLE|<HEAD|<BODY|<META", f"a web page (HTML): {_AS_CSV}"),
    (r"<\?XML|<[A-Z][\w:.-]*[\s>/]", "XML: export the contacts as CSV or JSON instead"),
    (_SQL_WORDS, _SQL),
)
_WORDS = tuple((re.compile(words, re.IGNORECASE), what) for words, what in _BY_WORDS)
_IN_ZIP = (
    ("xl/workbook.bin", f"a binary workbook (.xlsb): {_AS_CSV}"),
    ("word/document.xml", "a document (.docx): save its table as CSV"),
    ("ppt/presentation.xml", "a presentation: a table of contacts is needed, as CSV"),
    ("content.xml", f"an OpenDocument file (.ods): {_AS_CSV}"),
    ("Index/Document.iwa", f"a Numbers document: {_AS_CSV}"),
)
_TAR = (257, b"ustar")
_LOOKED_AT = 4096
_FEW = 0.04
_CONTROLS = bytes({*range(1, 9), *range(14, 26), *range(27, 32)})
_SET_ASIDE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:sep=[^\r\n]*[\r\n]+)?(?:\"?|\{\")%s\"?" % REJECT_COLUMNS[0].encode()
)
_PARQUET = b"PAR1"
_WORKBOOK = "xl/workbook.xml"


def are_set_aside(head: bytes) -> bool:
    """Return whether a file begins as those of rejected and skipped rows do.

    It is CSV or NDJSON then, whatever the rows' own file was, and what was said of that.
    """
    return bool(_SET_ASIDE.match(head))


def is_parquet(head: bytes) -> bool:
    """Return whether a file is Parquet."""
    return head.startswith(_PARQUET)


def is_workbook(names: Sequence[str]) -> bool:
    """Return whether a zip with these files is a workbook (.xlsx).

    Raises:
        ConfigurationError: It is a document of another kind.
    """
    for name, what in _IN_ZIP:
        if name in names:
            raise _can_not_be(what)
    return _WORKBOOK in names


def check_bytes(head: bytes, *, is_wide: bool) -> None:
    """Check that a file may be a text.

    Args:
        head: Its first bytes.
        is_wide: Whether it is in an encoding in which one byte alone means nothing.

    Raises:
        ConfigurationError: It is of a kind that can't be imported; it says what to do.
    """
    if head.startswith(_BY_BYTES[0][0]) and _ENCRYPTED in head:
        raise _can_not_be(
            "a workbook with a password: open it in a spreadsheet, and save it without one"
        )
    for start, what in _BY_BYTES:
        if head.startswith(start):
            raise _can_not_be(what)
    place, mark = _TAR
    if head[place : place + len(mark)] == mark:
        raise _can_not_be("an archive (tar): unpack it, and import the file that you mean")
    looked_at = head[:_LOOKED_AT]
    controls = len(looked_at) - len(looked_at.translate(None, _CONTROLS))
    if not is_wide and controls > len(looked_at) * _FEW:
        raise _can_not_be("no text, nor any other table that is known: save it as CSV")


def check_text(text: str) -> None:
    """Check that a text may be a table.

    Raises:
        ConfigurationError: It is of a kind that can't be imported; it says what to do.
    """
    text = text.lstrip("\ufeff \t\r\n")
    for words, what in _WORDS:
        if words.match(text):
            raise _can_not_be(what)
    # Programs that dump databases begin with remarks.
    while text.startswith("--"):
        text = text.partition("\n")[2].lstrip()
        if _WORDS[-1][0].match(text):
            raise _can_not_be(_SQL)


def _can_not_be(what: str) -> ConfigurationError:
    return ConfigurationError(f"the file is {what}")
