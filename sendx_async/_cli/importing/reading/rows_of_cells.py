"""Lines become rows of cells, as a dialect says."""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator

from sendx_async._cli.importing.reading.dialect import NULL, Dialect

# A null mark where backslashes escape: the reader of CSV would take it for the letter N.
_NULL_CELL = r"(?:(?<=^)|(?<={0}))\\N(?=[{0}\r\n]|$)"

_ESCAPED_BY_COPY = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))")
_ESCAPED_BY_MYSQL = re.compile(r"\\()()(.)")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_COPY_END = r"\."


class Lines:
    """Lines that can be given once more, and the text of those that were given.

    Args:
        lines: What to give.

    Attributes:
        number: How many were given since their text was taken.
        are_over: Whether the last one was given.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self._again: deque[str] = deque()
        self.are_over = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        try:
            line = self._again.popleft() if self._again else next(self._lines)
        except StopIteration:
            self.are_over = True
            raise
        self._taken.append(line)
        return line

    @property
    def number(self) -> int:
        return len(self._taken)

    def taken(self) -> str:
        """Return the text since the last time."""
        lines = self._taken
        if len(lines) == 1:
            text = lines[0]
            lines.clear()
            return text
        self._taken = []
        return "".join(lines)

    def first_taken(self) -> str:
        """Return the first line since the last time; the others come again."""
        lines, self._taken = self._taken, []
        self._again.extendleft(reversed(lines[1:]))
        self.are_over = False
        return lines[0]


def rows_of_cells(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    """Return the rows of a text; after an error it goes on with the next line.

    Raises:
        csv.Error: A row can't be read.
    """
    if dialect.name == "csv":
        if dialect.escape == "\\":
            lines = _with_nulls(lines, dialect.delimiter)
        return csv.reader(
            lines, delimiter=dialect.delimiter, escapechar=dialect.escape, strict=True
        )
    return _split(lines, dialect)


def _with_nulls(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    null = re.compile(_NULL_CELL.format(re.escape(delimiter)))
    for line in lines:
        yield null.sub(r"\\\\N", line) if NULL in line else line


def _split(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    is_copy = dialect.name == "copy"
    escaped = _ESCAPED_BY_COPY if is_copy else _ESCAPED_BY_MYSQL
    for line in lines:
        text = line.rstrip("\r\n")
        if is_copy and text == _COPY_END:
            return
        cells = text.split(dialect.delimiter)
        if "\\" in text:
            cells = [cell if cell == NULL else escaped.sub(_meant, cell) for cell in cells]
        yield cells


def _meant(found: re.Match[str]) -> str:
    hexadecimal, octal, letter = found.groups()
    if hexadecimal:
        return chr(int(hexadecimal, 16))
    if octal:
        return chr(int(octal, 8))
    return _LETTERS.get(letter, letter)
