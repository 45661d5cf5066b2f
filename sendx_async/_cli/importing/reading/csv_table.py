"""The records of a text with a row a line, and something between its cells: CSV and its kin."""

import contextlib
import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator

from sendx_async._cli.importing.reading.dialect import DELIMITERS, Dialect
from sendx_async._cli.importing.reading.records import HeaderScore, Record, usable_names
from sendx_async._core.errors import ConfigurationError

_EXCEL = re.compile("sep=(.)", re.IGNORECASE)  # the first line of files that Excel is to open


class CsvTable:
    """A CSV file with a header.

    Args:
        lines: The text; lines keep their ends.
        delimiter: What stands between cells; None for what makes an address column of the header.
        header_score: Tells how much a row looks like a header.
        is_cut: Whether the text ends somewhere in the file; its last record may be half of one,
            and isn't given then.

    Raises:
        ConfigurationError: There is no header, or it can't be read.
    """

    def __init__(
        self,
        lines: Iterable[str],
        *,
        delimiter: str | None,
        header_score: HeaderScore,
        is_cut: bool = False,
    ) -> None:
        self._number = 0
        self._lines = _Lines(lines)
        self._is_cut = is_cut
        self.before: tuple[str, ...] = ()
        text = self._first_text()
        if delimiter is None and (told := _EXCEL.fullmatch(text.strip())):
            delimiter, text = told[1], self._first_text()
        candidates = DELIMITERS if delimiter is None else (delimiter,)
        self.dialect = Dialect(delimiter=candidates[0])
        for candidate in candidates:
            with contextlib.suppress(csv.Error):
                if header_score(_parsed(text, candidate)):
                    self.dialect = Dialect(delimiter=candidate)
                    break
        try:
            self.titles: tuple[str, ...] = _parsed(text, self.dialect.delimiter)
        except csv.Error as error:
            raise _unreadable_header(error) from None
        self.header = usable_names(self.titles)
        if "\0" in text:
            raise ConfigurationError(
                "the header has bytes that are no text: it looks like UTF-16, so try --encoding "
                "utf-16-le"
            )
        if not header_score(self.titles) and text.lstrip()[:1] in {"[", "{"}:
            raise ConfigurationError(
                "the file looks like JSON: one object a line is needed, and --format ndjson; of an "
                "array, jq -c '.[]' FILE makes that"
            )
        if not header_score(self.titles) and any("@" in name for name in self.titles):
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
        reader = csv.reader(self._lines, delimiter=self.dialect.delimiter, strict=True)
        while True:
            problem = None
            cells: list[str] = []
            try:
                cells = next(reader)
                text = self._lines.taken()
            except StopIteration:
                return
            except csv.Error as error:
                if self._is_cut and self._lines.are_over:
                    return
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

    Attributes:
        are_over: Whether the last one was given.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self._again: deque[str] = deque()
        self.are_over = False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        try:
            line = self._again.popleft() if self._again else next(self._lines)
        except StopIteration:
            self.are_over = True
            raise
        self._taken.append(line)
        return line

    def taken(self, *, only_first: bool = False) -> str:
        """Return the text since the last time; the other lines, if so asked, come again."""
        lines, self._taken = self._taken, []
        if only_first:
            self._again.extendleft(reversed(lines[1:]))
            return lines[0]
        return "".join(lines)


def _parsed(text: str, delimiter: str) -> tuple[str, ...]:
    # Not splitlines, which knows ends of lines that CSV doesn't.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return tuple(name.strip() for name in next(rows))


def _unreadable_header(error: csv.Error) -> ConfigurationError:
    return ConfigurationError(f"the header can't be read as CSV: {error}")
