"""One file of contacts, opened: what it is, its first records, and all of them."""

from collections.abc import Iterator
from itertools import islice
from typing import Self

import attrs

from sendx_async._cli.importing.reading.csv_table import CsvTable
from sendx_async._cli.importing.reading.json_table import JsonLines
from sendx_async._cli.importing.reading.raw_file import STANDARD_INPUT, Head, RawFile
from sendx_async._cli.importing.reading.records import Format, HeaderScore, Record, Table
from sendx_async._cli.importing.reading.text import (
    Encoding,
    check_encoding,
    encoding_of,
    lines_of,
    whole_lines,
)
from sendx_async._core.errors import ConfigurationError

MOST_LOOKED_AT = 1000

_JSON_ENDINGS = (".ndjson", ".jsonl", ".ldjson")


@attrs.frozen(kw_only=True)
class Reading:
    """How a file is to be read; None where its bytes are to tell.

    Attributes:
        format: What it is.
        encoding: Python's name of its encoding.
        delimiter: What stands between the cells of CSV.
        escape: What stands before a quote within quotes.
        skipped_lines: How many lines stand before the header.
        names: The columns' names, of a file without a header.
        sheet: The sheet of a workbook.
        header_score: Tells how much a row looks like a header.
    """

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    escape: str | None = None
    skipped_lines: int | None = None
    names: tuple[str, ...] | None = None
    sheet: str | None = None
    header_score: HeaderScore


@attrs.frozen
class FirstRecords:
    """What a file begins with.

    Attributes:
        records: The records.
        are_all: Whether the file has no others.
    """

    records: list[Record]
    are_all: bool


class Source:
    """An opened file of contacts; a context manager that closes it.

    Args:
        file: Its path, or ``-`` for standard input.
        reading: How it is read.

    Attributes:
        format: What it is.
        compression: How it is packed, such as ``gzip``; None if it isn't.
        encoding: How its text is written.
        size: Its size in bytes, as it is packed, or None if it has none, as a pipe.
        table: Its columns, and how its cells are told apart.

    Raises:
        ConfigurationError: It can't be used as it is: its encoding, its kind, or its header.
        OSError: The file can't be read.
    """

    def __init__(self, file: str, reading: Reading) -> None:
        if reading.encoding is not None:
            check_encoding(reading.encoding)
        self._file = file
        self._reading = reading
        self._raw = RawFile(file)
        try:
            self.size = self._raw.size
            self.compression: str | None = None
            self._head = Head(self._raw.binary, is_pipe=self.size is None)
            if self._head.data.startswith(b"PK\x03\x04"):
                raise ConfigurationError(  # noqa: TRY301 - the file is to be closed
                    "the file is a workbook or an archive: save it as CSV, or unpack it"
                )
            self.encoding: Encoding = encoding_of(self._head.data, reading.encoding)
            self.format: Format = self._told_format()
            self.table: Table = self._table(lines_of(self._head.whole(), self.encoding))
        except BaseException:
            self._raw.close()
            raise

    def __iter__(self) -> Iterator[Record]:
        """Return its records, from the first one; to be asked for once, in any thread.

        Raises:
            ConfigurationError: It can't be read in its encoding, or a line is far too long.
            OSError: It can't be read.
        """
        return iter(self.table)

    def first_records(self) -> FirstRecords:
        """Return up to 1,000 records that it begins with, or fewer if they are long.

        Of a pipe that are those that have arrived whole. It may be called at any time, and takes
        nothing away from iterating.
        """
        head = self._head
        lines = whole_lines(head.data, self.encoding, is_all=head.is_all)
        table = self._table(lines, is_cut=not head.is_all)
        records = list(islice(table, MOST_LOOKED_AT + 1))
        are_all = head.is_all and len(records) <= MOST_LOOKED_AT
        return FirstRecords(records[:MOST_LOOKED_AT], are_all)

    @property
    def position(self) -> int:
        """How many of its bytes were read, as it is packed; 0 for a pipe."""
        return self._raw.position

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._raw.close()

    def _told_format(self) -> Format:
        if self._reading.format is not None:
            return self._reading.format
        if self._file == STANDARD_INPUT:
            text = self._head.data.decode(self.encoding.name, "ignore")
            return "ndjson" if text.lstrip("\ufeff \t\r\n").startswith("{") else "csv"
        return "ndjson" if self._file.lower().endswith(_JSON_ENDINGS) else "csv"

    def _table(self, lines: Iterator[str], *, is_cut: bool = False) -> Table:
        if self.format == "ndjson":
            return JsonLines(lines)
        reading = self._reading
        return CsvTable(
            lines,
            delimiter=reading.delimiter,
            header_score=reading.header_score,
            is_cut=is_cut,
        )
