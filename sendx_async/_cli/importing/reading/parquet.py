"""The records of a Parquet file, read a batch at a time."""

import math
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from io import BufferedIOBase
from typing import Any, cast

from sendx_async._cli.importing.reading.cell_texts import cell_text, csv_writer
from sendx_async._cli.importing.reading.json_table import is_custom_fields
from sendx_async._cli.importing.reading.records import Record, usable_names
from sendx_async._core.errors import ConfigurationError

_ROWS_AT_ONCE = 1000
_READ_AT_ONCE = 1 << 16  # bytes of each column; else a group of rows is read whole


class ParquetTable:
    """A Parquet file; it can be iterated again.

    Structs become columns with dotted names. Values are texts, numbers, truth values, dates, lists
    and, of maps, dicts; what else there is becomes text.

    Args:
        binary: The file, which can be read at any place.

    Attributes:
        titles: The columns' names as they are written.
        header: Those by which they are known.

    Raises:
        ConfigurationError: It can't be read, or pyarrow isn't installed.
    """

    before = ()
    header_line = None
    dialect = None

    def __init__(self, binary: BufferedIOBase) -> None:
        # Read when it is loaded. Others keep what was freed: twice the memory for 2 million rows.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        try:
            self._arrow: Any = import_module("pyarrow")
            parquet: Any = import_module("pyarrow.parquet")
        except ImportError:
            raise ConfigurationError(
                "a Parquet file needs pyarrow: pip install 'sendx-async[files]'"
            ) from None
        with self._damage_told():
            self._file: Any = parquet.ParquetFile(
                binary, pre_buffer=False, buffer_size=_READ_AT_ONCE
            )
            schema = self._file.schema_arrow
            # Not schema.empty_table(), which loads pandas.
            nothing = [self._arrow.nulls(0, kind) for kind in schema.types]
            batch = self._arrow.RecordBatch.from_arrays(nothing, schema=schema)
            self.titles = tuple(name for name, _ in self._columns(batch))
        self.header = usable_names(self.titles)
        self._number = 0

    @property
    def share(self) -> float | None:
        """How much of the file was read, from 0 to 1."""
        size = self._file.metadata.num_rows
        return self._number / size if size else None

    def __iter__(self) -> Iterator[Record]:
        """Return the records, numbered from 1.

        Raises:
            ConfigurationError: The file is damaged.
        """
        line = csv_writer()
        with self._damage_told():
            self._number = 0
            for batch in self._file.iter_batches(_ROWS_AT_ONCE, use_threads=False):
                columns = [self._values(array) for _, array in self._columns(batch)]
                for values in zip(*columns, strict=True):
                    self._number += 1
                    cells = [cell_text(value) for value in values]
                    if any(cells):
                        yield Record(self._number, line(cells), self.header, values)

    def _columns(self, batch: Any) -> Iterator[tuple[str, Any]]:
        """Return each column that holds no others, with its dotted name."""
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if is_custom_fields(name):
                yield name, array
            else:
                yield from self._flat(name, array)

    def _flat(self, name: str, array: Any) -> Iterator[tuple[str, Any]]:
        if self._arrow.types.is_struct(array.type):
            for field, inner in zip(array.type, array.flatten(), strict=True):
                yield from self._flat(f"{name}.{field.name}", inner)
        else:
            yield name, array

    def _values(self, array: Any) -> list[Any]:
        """Return the values of a column."""
        arrow, kind = self._arrow, array.type
        types = arrow.types
        if types.is_timestamp(kind):
            # Nanoseconds would need pandas, and names of time zones a database of them.
            to = arrow.timestamp("us", kind.tz and "+00:00")
            return [_day(value) for value in array.cast(to, safe=False).to_pylist()]
        if types.is_time64(kind):
            array = array.cast(arrow.time64("us"), safe=False)
        elif types.is_duration(kind):
            array = array.cast(arrow.duration("us"), safe=False)
        elif types.is_float16(kind) or types.is_float32(kind):
            # As the text that is enough to tell it: 0.1, not 0.10000000149011612.
            array = array.cast(arrow.float32()).cast(arrow.string()).cast(arrow.float64())
        elif types.is_map(kind):
            return [None if pairs is None else _plain(dict(pairs)) for pairs in array.to_pylist()]
        values: list[Any] = array.to_pylist()
        return values if _is_plain(types, kind) else [_plain(value) for value in values]

    @contextmanager
    def _damage_told(self) -> Generator[None]:
        try:
            yield
        except (self._arrow.ArrowException, OSError):  # which pyarrow raises of damages, too
            raise ConfigurationError(
                "the Parquet file can't be read: it is damaged, encrypted or cut off. Write it anew"
            ) from None


def _is_plain(types: Any, kind: Any) -> bool:
    return any(
        has_type(kind)
        for has_type in (
            types.is_string,
            types.is_large_string,
            types.is_integer,
            types.is_boolean,
            types.is_decimal,
            types.is_date,
            types.is_null,
        )
    )


def _day(value: datetime | None) -> date | None:
    """Return a time without a zone that is the beginning of a day as that day."""
    if value is not None and value.tzinfo is None and value.time() == time():
        return value.date()
    return value


def _plain(value: Any) -> Any:
    """Return a value as one of those that a contact takes, if it can be."""
    if value is None or isinstance(value, (str, int, Decimal, date)):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_plain(each) for each in items if each is not None]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
        return value  # which no field takes
    return cell_text(value)
