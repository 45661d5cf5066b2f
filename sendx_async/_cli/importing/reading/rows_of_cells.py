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
        are_over: Whether the last one was given.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self._again: deque[str] = deque()
        self.are_over = False

    def __iter__(self) -> Iterator[str]:
        """Return the lines that weren't given, or come again; to be asked for anew after these."""
        add = self._taken.append
        while self._again:
            line = self._again.popleft()
            add(line)
            yield line
        for line in self._lines:
            add(line)
            yield line
        self.are_over = True

    @property
    def number(self) -> int:
        """How many lines were given since their text was taken."""
        return len(self._taken)

    def taken(self) -> str:
        """Return the text since the last time."""
        taken = self._taken
        text = taken[0] if len(taken) == 1 else "".join(taken)
        taken.clear()
        return text

    def first_taken(self) -> str:
        """Return the first line since the last time; the others come again."""
        taken = self._taken
        text = taken[0]
        self._again.extendleft(reversed(taken[1:]))
        taken.clear()
        self.are_over = False
        return text


def rows_of_cells(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    """Return the rows of a text; after an error they must be asked for anew.

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
