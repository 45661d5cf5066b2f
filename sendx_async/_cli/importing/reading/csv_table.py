"""The records of a text with a row a line, and something between its cells: CSV and its kin."""

import csv
from collections.abc import Iterable, Iterator
from itertools import islice

from sendx_async._cli.importing.reading.layout import Layout
from sendx_async._cli.importing.reading.records import Record, usable_names
from sendx_async._cli.importing.reading.rows_of_cells import Lines, rows_of_cells


class CsvTable:
    """A text of rows and cells.

    Args:
        lines: The text; lines keep their ends.
        layout: Where its rows begin, and what they are made of.
        is_cut: Whether the text ends somewhere in the file; its last record may be half of one,
            and isn't given then.
    """

    def __init__(self, lines: Iterable[str], layout: Layout, *, is_cut: bool = False) -> None:
        self._lines = lines
        self._layout = layout
        self._is_cut = is_cut
        self.titles = layout.titles
        self.header = usable_names(layout.titles)
        self.before = layout.before
        self.dialect = layout.dialect

    def __iter__(self) -> Iterator[Record]:
        names, number = self.header, self._layout.rows
        lines = Lines(islice(self._lines, self._layout.lines, None))
        reader = rows_of_cells(lines, self.dialect)
        while True:
            problem = None
            cells: list[str] = []
            try:
                cells = next(reader)
                text = lines.taken()
            except StopIteration:
                return
            except csv.Error as error:
                if self._is_cut and lines.are_over:
                    return
                problem = f"can't be read as CSV: {error}; are its quotes closed, and doubled?"
                # A quote that is never closed would take all the rows behind it along.
                text = lines.first_taken()
            number += 1
            if problem is None and (not any(cells) or text.isspace() or _is_padding(text)):
                continue
            yield Record(number, text, names, cells, problem)


def _is_padding(text: str) -> bool:
    """Return whether nothing but NULs stands there, as where a disk was full."""
    return "\0" in text and not text.strip("\0 \r\n\t")
