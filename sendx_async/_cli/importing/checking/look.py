"""The look at a file before anything is sent: what it is, what would be sent, and what is odd."""

from collections.abc import Mapping

import attrs

from sendx_async._cli.importing.checking.column_facts import ColumnFacts
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._core.models import IdentifyRequest


@attrs.frozen(kw_only=True)
class TableFacts:
    """How a file is written.

    Attributes:
        format: What it is, such as ``csv``.
        compression: How it is packed; None if it isn't.
        encoding: Python's name of its encoding.
        is_guessed: Whether the encoding is only likely.
        delimiter: What stands between its cells; None in JSON and the like.
        header_line: The line, or row, of the columns' names; None if there is none.
        before: The lines in front of that.
    """

    format: str
    compression: str | None
    encoding: str
    is_guessed: bool
    delimiter: str | None
    header_line: int | None
    before: tuple[str, ...]

    @classmethod
    def of(cls, source: Source) -> "TableFacts":
        """Return how an opened file is written."""
        table, dialect = source.table, source.table.dialect
        return cls(
            format=source.format if dialect is None else dialect.name,
            compression=source.compression,
            encoding=source.encoding.name,
            is_guessed=source.encoding.is_guessed,
            delimiter=None if dialect is None else dialect.delimiter,
            header_line=table.header_line,
            before=tuple(table.before),
        )


@attrs.frozen(kw_only=True)
class Counted:
    """How often something was found, and where first.

    Attributes:
        count: In how many rows.
        rows: The first of these, as a spreadsheet counts.
    """

    count: int
    rows: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Look:
    """What a look at a file has found.

    Attributes:
        table: How the file is written.
        is_whole: Whether all of its rows were looked at.
        rows: How many rows were.
        good: How many of them can be sent.
        people: How many different addresses these have.
        columns: Its columns, in order.
        contacts: The first contacts, as they would be sent: the JSON objects.
        tags: How many contacts have each tag.
        more_tags: Whether there are others.
        fields: How many contacts have each custom field.
        skipped: How many rows are left out, by the reason.
        refused: Which rows can't be sent, by the reason.
        doubtful: How many of the good rows have cells that may not be meant as they are.
        names: The names of all columns; of JSON, of all rows.
        plan: What becomes of them; of JSON, as if one row had all of them.
    """

    table: TableFacts
    is_whole: bool
    rows: int
    good: int
    people: int
    columns: tuple[ColumnFacts, ...]
    contacts: tuple[IdentifyRequest, ...]
    tags: Mapping[str, int]
    more_tags: bool
    fields: Mapping[str, int]
    skipped: Mapping[str, Counted]
    refused: Mapping[str, Counted]
    doubtful: int
    names: tuple[str, ...]
    plan: Plan

    @property
    def rejected(self) -> int:
        """How many rows can't be sent."""
        return sum(each.count for each in self.refused.values())
