"""The rows of a file that are still to be sent: those that are finished are passed over."""

import json
import zlib
from collections.abc import Iterator
from typing import Any, cast

import attrs

from sendx_async._cli.importing.checking.duplicates import DuplicateRows
from sendx_async._cli.importing.checking.row_maker import RowMaker
from sendx_async._cli.importing.checking.rows import Begun, Row
from sendx_async._cli.importing.checking.unfinished import unfinished
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.recognising.preset import Preset
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest


class SourceRows:
    """The rows of an opened file; to be iterated once, in any thread, and closed.

    Args:
        source: The file.
        options: What was asked for.
        begun: How far an earlier import came; its rows are passed over.
        sends_doubtful: Whether cells are sent that may not be meant as they are.
        is_look: Whether nothing is sent, so that undecided columns are no hindrance.

    Attributes:
        is_json: Whether it is JSON, and not a table of cells.
        header: The names of its columns as they are written, if all rows have the same.
        delimiter: What stands between its cells; nothing, in JSON.

    Raises:
        ConfigurationError: Rows of the same address can't be told apart in this file.
    """

    def __init__(
        self,
        source: Source,
        options: ImportOptions,
        begun: Begun | None = None,
        *,
        sends_doubtful: bool,
        is_look: bool = False,
    ) -> None:
        self._source = source
        self._options = options
        self._begun = Begun() if begun is None else begun
        self._kind = {"sends_doubtful": sends_doubtful, "is_look": is_look}
        table = source.table
        self.is_json = source.format in {"json", "ndjson"}
        self.header = table.titles
        self.delimiter = "" if table.dialect is None else table.dialect.delimiter
        rule = options.duplicates
        if rule == "last" and source.size is None:
            raise ConfigurationError(
                "--duplicates last must read the file twice, and a pipe can't be: save it as a "
                "file, or take --duplicates first"
            )
        self._duplicates = None if rule is None else DuplicateRows(rule)
        self._make = RowMaker(source, options, duplicates=self._duplicates, **self._kind)

    @property
    def plans(self) -> Plans:
        """What becomes of the columns."""
        return self._make.plans

    def described(self, base_url: str) -> dict[str, Any]:
        """Return what has to be the same when an import is gone on with, as JSON carries it."""
        source = self._options.source
        options = attrs.asdict(
            source, filter=lambda field, _: field.name not in {"file", "document"}
        )
        more = {
            "header": self.header,
            "base_url": base_url,
            "agreed": self._kind["sends_doubtful"],
            "duplicates": self._options.duplicates,
            "preset": _checksum(source.columns.load_preset()),
        }
        return cast("dict[str, Any]", json.loads(json.dumps(options | more)))

    def __iter__(self) -> Iterator[Row]:
        """Return the rows that are not finished.

        Raises:
            OtherFileError: The file is not the one that an earlier import has begun with.
            ConfigurationError: It can't be read in its encoding.
        """
        if self._duplicates is not None and self._duplicates.is_last:
            self._note_addresses(self._duplicates)
        # Of a finished row the address may have to be known.
        makes_all = self._duplicates is not None
        return unfinished(self._source, self._begun, self._make, makes_all=makes_all)

    def _note_addresses(self, duplicates: DuplicateRows) -> None:
        """Read the file once to its end, to know the last row of each address."""
        source = self._options.source
        with Source(source.file, source.reading) as again:
            make = RowMaker(again, self._options, duplicates=None, **self._kind)
            for place, record in enumerate(again):
                contact = make(place, record).contact
                if isinstance(contact, IdentifyRequest):
                    duplicates.note(contact.email, record.number)

    def close(self) -> None:
        """Forget the addresses that were seen."""
        if self._duplicates is not None:
            self._duplicates.close()


def _checksum(preset: Preset | None) -> int | None:
    """Return what tells one version of what is known of a service from another one."""
    if preset is None:
        return None
    # Not what it was made into, such as patterns: their order is each process's own.
    values = attrs.asdict(preset, filter=lambda field, _: field.init)
    return zlib.crc32(json.dumps(values, default=_written).encode())


def _written(value: object) -> object:
    return sorted(cast("frozenset[str]", value)) if isinstance(value, frozenset) else repr(value)
