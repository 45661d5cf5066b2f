"""One file of contacts, opened: what it is, its first records, and all of them."""

import codecs
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Self

import attrs

from sendx_async._cli.importing.reading import kinds
from sendx_async._cli.importing.reading.compression import (
    Compression,
    compression_of,
    names_in_zip,
    unpacked,
)
from sendx_async._cli.importing.reading.csv_table import CsvTable
from sendx_async._cli.importing.reading.encoding import (
    UTF_8,
    Encoding,
    check_encoding,
    encoding_of,
)
from sendx_async._cli.importing.reading.json_table import JsonLines, JsonObjects, are_lines
from sendx_async._cli.importing.reading.layout import Layout, layout_of
from sendx_async._cli.importing.reading.parquet import ParquetTable
from sendx_async._cli.importing.reading.raw_file import Head, RawFile
from sendx_async._cli.importing.reading.records import Format, HeaderScore, Record, Table
from sendx_async._cli.importing.reading.text import lines_of, pieces_of, whole_lines
from sendx_async._cli.importing.reading.workbook import WorkbookTable
from sendx_async._core.errors import ConfigurationError

MOST_LOOKED_AT = 1000

_JSON_ENDINGS = (".ndjson", ".jsonl", ".ldjson")
_ARRAY = re.compile(r"\s*\[\s*[\[{\]]")
_BYTES_TO_TELL_BY = 1 << 18


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
        compression: How it is packed; None if it isn't.
        encoding: How its text is written.
        names: What the file is called, and what the one within a zip is.
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
        self.names: tuple[str, ...] = (file,)
        self._reading = reading
        self._raw = RawFile(file)
        self.size = self._raw.size
        try:
            self._open()
        except BaseException:
            self._raw.close()
            raise

    def _open(self) -> None:
        binary = self._raw.binary
        first = binary.peek()
        if kinds.are_set_aside(first):
            has_mark = first.startswith(codecs.BOM_UTF8)  # then their own file's doesn't matter
            encoding = None if has_mark else self._reading.encoding
            self._reading = attrs.evolve(self._reading, format=None, encoding=encoding, sheet=None)
        self.encoding: Encoding = UTF_8
        self.format: Format
        self.compression: Compression | None = compression_of(first)
        self._sized_table = self._told_table(first)
        if self._sized_table is not None:
            self.table: Table = self._sized_table
            return
        if self.compression == "zip":
            self.names += tuple(names_in_zip(binary))
        if self.compression is not None:
            binary = unpacked(binary, self.compression)
        self._head = head = Head(binary, is_pipe=self._raw.is_pipe)
        self.encoding = encoding_of(head.data, self._reading.encoding)
        if compression_of(head.data) is not None:
            raise ConfigurationError("the file is packed twice, or a packed workbook: unpack it")
        kinds.check_bytes(head.data, is_wide=self.encoding.is_wide)
        lines = list(self._first_lines(_BYTES_TO_TELL_BY))
        kinds.check_text("".join(lines))
        self.format = self._told_format("".join(lines))
        self._layout = self._told_layout(lines) if self.format == "csv" else None
        self.table = self._whole_table()

    def _told_table(self, first: bytes) -> WorkbookTable | ParquetTable | None:
        """Return the table of a file that isn't text."""
        binary, reading = self._raw.binary, self._reading
        if self.compression == "zip" and kinds.is_workbook(names_in_zip(binary)):
            self.compression, self.format = None, "xlsx"
            return WorkbookTable(
                binary,
                sheet=reading.sheet,
                names=reading.names,
                skipped_lines=reading.skipped_lines,
                header_score=reading.header_score,
            )
        if reading.sheet is not None or reading.format == "xlsx":
            raise ConfigurationError(
                "the file is no workbook (.xlsx): leave out --sheet and --format"
            )
        if kinds.is_parquet(first):
            if self._raw.is_pipe:
                raise ConfigurationError(
                    "Parquet can't be read from a pipe: save it as a file, and give its name"
                )
            if reading.names is not None or reading.skipped_lines is not None:
                raise ConfigurationError(
                    "a Parquet file names its columns: leave out --columns and --skip-lines"
                )
            self.format = "parquet"
            return ParquetTable(binary)
        if reading.format == "parquet":
            raise ConfigurationError("the file is no Parquet: leave out --format")
        return None

    def __iter__(self) -> Iterator[Record]:
        """Return its records, from the first one; to be asked for once, in any thread.

        Raises:
            ConfigurationError: It can't be read in its encoding, is damaged, or a line is far too
                long.
            OSError: It can't be read.
        """
        return iter(self.table)

    def first_records(self) -> FirstRecords:
        """Return up to 1,000 records that it begins with, or fewer if they are long.

        Of a pipe that are those that have arrived whole. It may be called at any time, and takes
        nothing away from iterating.
        """
        is_all = self._sized_table is not None or self._head.is_all
        records = list(islice(self._first_table(), MOST_LOOKED_AT + 1))
        are_all = is_all and len(records) <= MOST_LOOKED_AT
        return FirstRecords(records[:MOST_LOOKED_AT], are_all)

    @property
    def position(self) -> int:
        """How many of its bytes were read, as it is packed; 0 for a pipe.

        Of a workbook or Parquet, which aren't read from front to back, it goes by the rows.
        """
        share = None if self._sized_table is None else self._sized_table.share
        return self._raw.position if share is None else round(share * (self.size or 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._raw.close()

    def _first_lines(self, size: int | None = None) -> Iterator[str]:
        data = self._head.data[:size]
        is_all = self._head.is_all and len(data) == len(self._head.data)
        return whole_lines(data, self.encoding, is_all=is_all)

    def _told_format(self, text: str) -> Format:
        if self._reading.format is not None:
            return self._reading.format
        if self._file.lower().endswith(_JSON_ENDINGS):
            return "ndjson"
        if _ARRAY.match(text):
            return "json"
        if not text.lstrip().startswith("{"):
            return "csv"
        return "ndjson" if are_lines(text) else "json"

    def _told_layout(self, lines: list[str]) -> Layout:
        reading = self._reading
        return layout_of(
            lines,
            delimiter=reading.delimiter,
            escape=reading.escape,
            skipped_lines=reading.skipped_lines,
            names=reading.names,
            score=reading.header_score,
        )

    def _whole_table(self) -> Table:
        whole = self._head.whole()
        if self.format == "json":
            return JsonObjects(pieces_of(whole, self.encoding))
        return self._table(lines_of(whole, self.encoding))

    def _first_table(self) -> Table:
        if self._sized_table is not None:
            return self._sized_table
        head = self._head
        is_cut = not head.is_all
        if self.format == "json":
            pieces = pieces_of(io.BytesIO(head.data), self.encoding, is_cut=is_cut)
            return JsonObjects(pieces, is_cut=is_cut)
        return self._table(self._first_lines(), is_cut=is_cut)

    def _table(self, lines: Iterator[str], *, is_cut: bool = False) -> Table:
        if self._layout is None:
            return JsonLines(lines)
        return CsvTable(lines, self._layout, is_cut=is_cut)
