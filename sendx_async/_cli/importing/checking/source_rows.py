"""The rows of a file that are still to be sent: those that are finished are passed over."""

import json
import zlib
from collections.abc import Iterator
from typing import Any, cast

import attrs

from sendx_async._cli.importing.checking.duplicates import DuplicateRows
from sendx_async._cli.importing.checking.row_maker import RowMaker
from sendx_async._cli.importing.checking.rows import Begun, OtherFileError, Row
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
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
        begun, known = self._begun, self._begun.end
        held: list[Row] = []  # until it is certain that this is the same file
        checksum, place = 0, -1
        for place, record in enumerate(self._source):
            # Without its end, which the last row may not have had yet.
            text = record.text.rstrip("\r\n")
            checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"), checksum)
            is_known = place < known
            is_finished = is_known and place in begun.finished
            # Of a finished row the address may have to be known.
            if not is_finished or self._duplicates is not None:
                row = self._make(place, record, checksum)
                if not is_known:
                    yield row
                    continue
                if not is_finished:
                    held.append(row)
            if place == known - 1:
                if checksum != begun.checksum:
                    raise OtherFileError("its rows differ from those that were imported")
                yield from held
        if place < known - 1:
            raise OtherFileError(f"it has only {place + 1} rows, and {known} were imported")

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
