"""Reading the records of a file, as an import does."""

from pathlib import Path
from typing import Any

from sendx_async._cli.importing.reading.opening import Reading, Source
from sendx_async._cli.importing.reading.records import Record

EXPORTS = Path(__file__).parent.parent / "exports"


def has_address(names: object) -> float:
    return float("email" in str(names).casefold())


def records_of(file: str | Path, **reading: Any) -> list[Record]:
    with Source(str(file), Reading(header_score=has_address, **reading)) as source:
        return list(source)


def rows_of(file: str | Path, **reading: Any) -> list[dict[str, Any]]:
    """Return each record as its columns; one that can't be read raises an error."""
    rows: list[dict[str, Any]] = []
    for record in records_of(file, **reading):
        assert record.problem is None
        rows.append(dict(zip(record.names, record.values, strict=True)))
    return rows


def first_records(file: str | Path, **reading: Any) -> tuple[list[Record], bool]:
    with Source(str(file), Reading(header_score=has_address, **reading)) as source:
        first = source.first_records()
        return first.records, first.are_all
