"""The records of a text with a row a line, and something between its cells: CSV and its kin."""

import csv
from collections.abc import Iterator
from itertools import islice

from sendx_async._cli.importing.reading.layout import Layout
from sendx_async._cli.importing.reading.records import Record, usable_names
from sendx_async._cli.importing.reading.rows_of_cells import Lines, rows_of_cells


class CsvTable:
    """A text of rows and cells.

    Args:
        lines: The text, as an iterator; lines keep their ends.
        layout: Where its rows begin, and what they are made of.
        is_cut: Whether the text ends somewhere in the file; its last record may be half of one,
            and isn't given then.
    """

    def __init__(self, lines: Iterator[str], layout: Layout, *, is_cut: bool = False) -> None:
        self._lines = lines
        self._layout = layout
        self._is_cut = is_cut
        self.titles = layout.titles
        self.header = usable_names(layout.titles)
        self.before = layout.before
        self.header_line = layout.dialect.skipped + 1 if layout.dialect.has_header else None
        self.dialect = layout.dialect

    def __iter__(self) -> Iterator[Record]:
        names, number = self.header, self._layout.rows
        for _ in islice(self._lines, self._layout.lines):
            pass
        lines = Lines(self._lines)
        reader = rows_of_cells(lines, self.dialect)
        while True:
            number += 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if self._is_cut and lines.are_over:
                    return
                # A quote that is never closed would take all the rows behind it along.
                text = lines.first_taken()
                reader = rows_of_cells(lines, self.dialect)
                problem = f"can't be read as CSV: {error}; are its quotes closed, and doubled?"
                if not _is_padding(text):
                    yield Record(number, text, names, (), problem)
                continue
            text = lines.taken()
            if any(cells) and not text.isspace() and not ("\0" in text and _is_padding(text)):
                yield Record(number, text, names, cells)


def _is_padding(text: str) -> bool:
    """Return whether nothing but NULs stands there, as where a disk was full."""
    return not text.strip("\0 \r\n\t")
