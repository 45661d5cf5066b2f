"""What every kind of table gives: records, numbered, as they stand in their file."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from sendx_async._cli.importing.reading.dialect import Dialect

Format = Literal["csv", "ndjson", "json", "xlsx", "parquet"]

REJECT_COLUMNS = ("sendx_row", "sendx_reason")
"""What a file of rejected rows has in front; passed over when it is imported."""


class Record(NamedTuple):
    """One row as it stands in the file; a tuple, since there are as many of them as rows.

    Attributes:
        number: Its row as a spreadsheet counts, where the header is row 1; in JSON its line.
        text: It as it is written, with the ends of its lines.
        names: The names of its columns, each another: see `usable_names`.
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
        """The names of the columns, each another, if all rows have the same."""
        ...

    @property
    def titles(self) -> tuple[str, ...] | None:
        """The header as it is written, for files of rejected rows; None where `header` is."""
        ...

    @property
    def before(self) -> tuple[str, ...]:
        """The lines that were passed over in front of the header."""
        ...

    @property
    def header_line(self) -> int | None:
        """The line, or row, in which the columns' names stand; None if none has them."""
        ...

    @property
    def dialect(self) -> Dialect | None:
        """How its cells are told apart; None if it is no text with cells."""
        ...

    def __iter__(self) -> Iterator[Record]: ...


class HeaderScore(Protocol):
    """Tells how much a row looks like a header: 0 for not at all, more for more."""

    def __call__(self, names: Sequence[str], /) -> float: ...


def usable_names(titles: Sequence[str]) -> tuple[str, ...]:
    """Return a name for each column that no other has.

    A blank one becomes ``#3``, by its position from 1; a second ``Phone`` becomes ``Phone (2)``.
    What a file of rejected rows has in front isn't counted.
    """
    names: list[str] = []
    written, given = set(titles), set[str]()
    times: Counter[str] = Counter()
    offset = sum(title in REJECT_COLUMNS for title in titles[: len(REJECT_COLUMNS)])
    for position, title in enumerate(titles, 1 - offset):
        name = wanted = title or f"#{position}"
        while name in given or (name != title and name in written):
            times[wanted] += 1
            name = f"{wanted} ({times[wanted] + 1})"
        given.add(name)
        names.append(name)
    return tuple(names)
