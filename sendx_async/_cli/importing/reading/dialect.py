"""How the text of a table is written: what stands between cells, and how they are escaped."""

import attrs

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between cells, most likely first."""

NULL = r"\N"
"""What databases write where there is no value; nobody means it as text."""


@attrs.frozen(kw_only=True)
class Dialect:
    """How rows and cells are told apart.

    Attributes:
        name: ``csv``, ``copy`` (PostgreSQL's text format) or ``mysql`` (its batch output).
        delimiter: What stands between cells.
        escape: What stands before a quote, delimiter or letter that is meant otherwise; None if
            quotes are doubled.
        nulls: Texts that mean that a cell is empty, exactly as written.
        skipped: How many lines stand before the header.
        has_header: Whether the first row names the columns.
    """

    name: str = "csv"
    delimiter: str = ","
    escape: str | None = None
    nulls: frozenset[str] = frozenset({NULL})
    skipped: int = 0
    has_header: bool = True
