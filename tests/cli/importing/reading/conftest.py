"""Opening what a test has written, as the room that reads does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.reading.dialect import Dialect
from sendx_async._cli.importing.reading.encoding import Encoding
from sendx_async._cli.importing.reading.opening import Reading, Source
from sendx_async._cli.importing.reading.records import Record

EXPORTS = Path(__file__).parent.parent / "exports"

header_score = Columns().header_score


@attrs.frozen
class Opened:
    """What a file was found to be."""

    header: tuple[str, ...] | None
    before: tuple[str, ...]
    dialect: Dialect | None
    encoding: Encoding
    compression: str | None
    records: list[Record]

    @property
    def rows(self) -> list[Sequence[Any]]:
        """The cells of all records."""
        return [list(record.values) for record in self.records]


Open = Callable[..., Opened]


def open_file(path: Path | str, **options: Any) -> Opened:
    """Open a file, look at its first records, and read it."""
    with Source(str(path), Reading(**{"header_score": header_score} | options)) as source:
        first = source.first_records()
        records = list(source)
        assert first.records == records[: len(first.records)]
        assert first.are_all is (len(first.records) == len(records))
        table = source.table
        return Opened(
            table.header,
            table.before,
            table.dialect,
            source.encoding,
            source.compression,
            records,
        )


@pytest.fixture
def open_text(tmp_path: Path) -> Open:
    """Open a file with this content."""

    def open_text(content: str | bytes, *, name: str = "c.csv", **options: Any) -> Opened:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_file(path, **options)

    return open_text


@pytest.fixture
def open_export() -> Open:
    """Open one of the samples."""

    def open_export(name: str, **options: Any) -> Opened:
        return open_file(EXPORTS / name, **options)

    return open_export
