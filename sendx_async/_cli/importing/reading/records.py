"""The records of a file of contacts, numbered, as they stand in it: CSV or a JSON object a line."""

import contextlib
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol, cast

import attrs

from sendx_async._core.errors import ConfigurationError

Format = Literal["csv", "ndjson"]

DELIMITERS = (",", ";", "\t", "|")
_EXCEL = re.compile("sep=(.)", re.IGNORECASE)  # the first line of files that Excel is to open


@attrs.frozen
class Record:
    """One row as it stands in the file.

    Attributes:
        number: Its row as a spreadsheet counts, where the header is row 1; in JSON its line.
        text: It as it is written, with the ends of its lines.
        names: The names of its columns.
        values: A value for each name; more of them, if the row has too many cells.
        problem: Why it can't be read; then it has no values.
    """

    number: int
    text: str
    names: tuple[str, ...] = ()
    values: Sequence[Any] = ()
    problem: str | None = None


class Table(Protocol):
    """A file's records, one after the other; rows without any value are passed over."""

    @property
    def header(self) -> tuple[str, ...] | None:
        """The names of the columns, if all rows have the same."""
        ...

    @property
    def delimiter(self) -> str:
        """What stands between its cells; nothing, in JSON."""
        ...

    def __iter__(self) -> Iterator[Record]: ...


class CsvTable:
    """A CSV file with a header.

    Args:
        lines: The text; lines keep their ends.
        delimiter: What stands between cells; None for what makes an address column of the header.
        has_address: Tells whether a column of addresses is among these names.

    Raises:
        ConfigurationError: There is no header, or it can't be read.
    """

    def __init__(
        self, lines: Iterable[str], *, delimiter: str | None, has_address: "HasAddress"
    ) -> None:
        self._number = 0
        self._lines = _Lines(lines)
        text = self._first_text()
        if delimiter is None and (told := _EXCEL.fullmatch(text.strip())):
            delimiter, text = told[1], self._first_text()
        candidates = DELIMITERS if delimiter is None else (delimiter,)
        self.delimiter = candidates[0]
        for candidate in candidates:
            with contextlib.suppress(csv.Error):
                if has_address(_parsed(text, candidate)):
                    self.delimiter = candidate
                    break
        try:
            self.header: tuple[str, ...] = _parsed(text, self.delimiter)
        except csv.Error as error:
            raise _unreadable_header(error) from None
        if "\0" in text:
            raise ConfigurationError(
                "the header has bytes that are no text: it looks like UTF-16, so try --encoding "
                "utf-16-le"
            )
        if not has_address(self.header) and text.lstrip()[:1] in {"[", "{"}:
            raise ConfigurationError(
                "the file looks like JSON: one object a line is needed, and --format ndjson; of an "
                "array, jq -c '.[]' FILE makes that"
            )
        if not has_address(self.header) and any("@" in name for name in self.header):
            raise ConfigurationError(
                "the file has no header: its first row must name the columns, such as "
                "email,first_name"
            )

    def _first_text(self) -> str:
        """Return the text of the first row that isn't empty."""
        # Where a row ends doesn't depend on what stands between its cells.
        rows = csv.reader(self._lines)
        try:
            for _ in rows:
                self._number += 1
                text = self._lines.taken()
                if text.strip():
                    return text
        except csv.Error as error:
            raise _unreadable_header(error) from None
        raise ConfigurationError("the file is empty: it needs a header, such as email,first_name")

    def __iter__(self) -> Iterator[Record]:
        reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        while True:
            problem = None
            cells: list[str] = []
            try:
                cells = next(reader)
                text = self._lines.taken()
            except StopIteration:
                return
            except csv.Error as error:
                problem = f"can't be read as CSV: {error}; are its quotes closed, and doubled?"
                # A quote that is never closed would take all the rows behind it along.
                text = self._lines.taken(only_first=True)
            self._number += 1
            if any(cells) or problem:
                yield Record(self._number, text, self.header, cells, problem)


class _Lines:
    """Lines that can be given once more, and the text of those that were given.

    Args:
        lines: What to give.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self._again: deque[str] = deque()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def taken(self, *, only_first: bool = False) -> str:
        """Return the text since the last time; the other lines, if so asked, come again."""
        lines, self._taken = self._taken, []
        if only_first:
            self._again.extendleft(reversed(lines[1:]))
            return lines[0]
        return "".join(lines)


class JsonLines:
    """A file with one JSON object a line.

    Args:
        lines: The text; lines keep their ends.
    """

    header = None
    delimiter = ""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Record]:
        for number, line in enumerate(self._lines, 1):
            if not line or line.isspace():
                continue
            problem = None
            found: object = {}
            try:
                found = json.loads(line, object_pairs_hook=_object, parse_float=Decimal)
            except _NamedTwiceError as error:
                problem = f"names {error.args[0]!r} twice"
            except json.JSONDecodeError as error:
                problem = f"is no JSON: {error.msg} (character {error.pos + 1})"
            except ValueError:
                problem = "has a number that is too long"
            except RecursionError:
                problem = "is nested too deep"
            if not isinstance(found, dict):
                problem = 'must be a JSON object, such as {"email": "jane@example.com"}'
                found = {}
            values = cast("dict[str, Any]", found)
            yield Record(number, line, tuple(values), tuple(values.values()), problem)


class HasAddress(Protocol):
    """Tells whether a column of addresses is among these names."""

    def __call__(self, names: Sequence[str], /) -> bool: ...


class _NamedTwiceError(ValueError):
    """A JSON object has a name twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _NamedTwiceError(next(name for name in names if names.count(name) > 1))
    return made


def _parsed(text: str, delimiter: str) -> tuple[str, ...]:
    # Not splitlines, which knows ends of lines that CSV doesn't.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return tuple(name.strip() for name in next(rows))


def _unreadable_header(error: csv.Error) -> ConfigurationError:
    return ConfigurationError(f"the header can't be read as CSV: {error}")
