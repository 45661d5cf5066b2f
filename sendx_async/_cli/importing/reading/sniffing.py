"""Which dialect a table is written in: the one that makes the most regular table of it."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import attrs

from sendx_async._cli.importing.reading.dialect import DELIMITERS, NULL, Dialect
from sendx_async._cli.importing.reading.rows_of_cells import Lines, rows_of_cells

_MOST_ROWS = 200
_MYSQL_NULL = "NULL"
_PANDAS_NULLS = frozenset({"nan", "NaN"})
_FLOAT = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?|-?\d+e[+-]\d+|-?inf")


@attrs.frozen
class SniffedRow:
    """One of the rows that a text begins with.

    Attributes:
        cells: Its cells; none if it can't be read.
        text: It as it is written.
        lines: How many lines it takes.
        error: Why it can't be read.
    """

    cells: list[str]
    text: str
    lines: int = 1
    error: csv.Error | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in it."""
        return self.error is None and not any(cell.strip(" \0") for cell in self.cells)


def sniffed(lines: Sequence[str], *, delimiter: str | None, escape: str | None) -> Dialect:
    """Return the dialect of a text.

    Args:
        lines: The lines that it begins with, with their ends.
        delimiter: What stands between cells, if somebody knows.
        escape: What stands before a quote within quotes, if somebody knows.
    """
    found = _candidates(lines, delimiter, escape)
    best, best_score = found[0], -1.0
    for dialect in found:
        score = _regularity(first_rows(lines, dialect))
        if score > best_score:
            best, best_score = dialect, score
    if best.name == "csv" and _is_from_pandas(first_rows(lines, best)):
        return attrs.evolve(best, nulls=best.nulls | _PANDAS_NULLS)
    return best


def first_rows(lines: Sequence[str], dialect: Dialect) -> list[SniffedRow]:
    """Return the rows that a text begins with, up to some 200."""
    taken = Lines(lines)
    reader = rows_of_cells(taken, dialect)
    rows: list[SniffedRow] = []
    while len(rows) < _MOST_ROWS:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            rows.append(SniffedRow([], taken.first_taken(), 1, error))
            reader = rows_of_cells(taken, dialect)
        else:
            number = taken.number
            rows.append(SniffedRow(cells, taken.taken(), number))
    return rows


def _candidates(lines: Sequence[str], delimiter: str | None, escape: str | None) -> list[Dialect]:
    delimiters = DELIMITERS if delimiter is None else (delimiter,)
    escapes = [escape]
    if escape is None and any('\\"' in line for line in lines):
        escapes.append("\\")
    found = [Dialect(delimiter=each, escape=other) for other in escapes for each in delimiters]
    if escape is None and "\t" in delimiters:
        found = [*_without_quotes(lines), *found]
    return found


def _without_quotes(lines: Sequence[str]) -> list[Dialect]:
    """Return the dialects of databases that show by their mark where a value is missing."""
    rows = [line.rstrip("\r\n").split("\t") for line in islice(lines, _MOST_ROWS)]
    cells = {cell for row in rows if len(row) > 1 for cell in row}
    if any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells):
        return []
    if NULL in cells:
        return [Dialect(name="copy", delimiter="\t")]
    if _MYSQL_NULL in cells:
        return [Dialect(name="mysql", delimiter="\t", nulls=frozenset({NULL, _MYSQL_NULL}))]
    return []


def _regularity(rows: list[SniffedRow]) -> float:
    """Return how much of a table some rows are, from 0 to 1.

    The more rows are equally wide, the wider they are, and the earlier the first of them comes,
    the more. Rows that can't be read count as rows of another width.
    """
    widths = [len(row.cells) for row in rows if not row.is_empty]
    if not widths:
        return 0.0
    shares = {
        width: (number / len(widths)) ** 2 * (width - 1) / width
        for width, number in Counter(widths).items()
        if width
    }
    if not shares:
        return 0.0
    usual = max(shares, key=lambda width: shares[width])
    return sum(shares.values()) / (1 + widths.index(usual))


def _is_from_pandas(rows: list[SniffedRow]) -> bool:
    """Return whether a column has numbers as Python writes them, and ``nan``."""
    for column in range(max((len(row.cells) for row in rows), default=0)):
        cells = {row.cells[column] for row in rows[1:] if column < len(row.cells)} - {""}
        numbers = cells - _PANDAS_NULLS
        if len(numbers) < len(cells) and numbers and all(map(_FLOAT.fullmatch, numbers)):
            return True
    return False
