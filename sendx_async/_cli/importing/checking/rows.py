"""The rows of a file, ready to be sent; what is finished is passed over."""

import json
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import attrs

from sendx_async._cli.importing.checking.row_ranges import RowRanges
from sendx_async._cli.importing.mapping.doubts import doubts
from sendx_async._cli.importing.mapping.plans import Plans
from sendx_async._cli.importing.mapping.problems import Refusal, Skip
from sendx_async._cli.importing.options import FileOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reading.records import Record
from sendx_async._cli.importing.reading.text import has_bad_bytes
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest, TrackRequest
from sendx_async._core.operations import IDENTIFY

if TYPE_CHECKING:
    from sendx_async._cli.importing.cleaning.notes import Note


@attrs.frozen
class Row:
    """A row that is to be sent, or can't be.

    Attributes:
        place: How many rows stand before it, from 0; empty ones aren't counted.
        record: It as it stands in the file.
        checksum: Of the file up to its end.
        position: How many bytes of the file were read by then.
        contact: What is to be sent about a contact; None if there is a problem, or it is skipped.
        problem: Why it can't be sent.
        skipped: Why it is left out, by a rule; then it is neither sent nor rejected.
    """

    place: int
    record: Record
    checksum: int
    position: int
    contact: IdentifyRequest | TrackRequest | None = None
    problem: str | None = None
    skipped: str | None = None

    @property
    def is_replay_safe(self) -> bool:
        """Whether sending it twice does what sending it once does."""
        contact = self.contact
        return not isinstance(contact, IdentifyRequest) or IDENTIFY.is_replay_safe(contact)


@attrs.frozen
class Begun:
    """How far an earlier import of the same file came.

    Attributes:
        finished: The rows that must not be sent again.
        end: The place behind the last row of which anything is known.
        checksum: Of the file up to there.
    """

    finished: RowRanges = attrs.field(factory=RowRanges)
    end: int = 0
    checksum: int = 0


class OtherFileError(ConfigurationError):
    """An import was to go on with another file than it was begun with.

    Args:
        how: What shows that.
    """

    def __init__(self, how: str) -> None:
        super().__init__(
            f"this is not the file whose import was stopped: {how}. Nothing was sent. Resume with "
            "the file as it was; to begin anew, delete its progress file (NAME.sendx-progress)"
        )


class SourceRows:
    """The rows of an opened file; to be iterated once, in any thread.

    Args:
        text: The file.
        options: How it is read.
        begun: How far an earlier import came; its rows are passed over.

    Attributes:
        is_json: Whether it is JSON, and not CSV.
        header: The names of its columns, if all rows have the same.
        delimiter: What stands between its cells; nothing, in JSON.

    Raises:
        ConfigurationError: The header can't be used.
    """

    def __init__(self, text: Source, options: FileOptions, begun: Begun | None = None) -> None:
        self._text = text
        self._options = options
        self._begun = Begun() if begun is None else begun
        self.is_json = text.format in {"json", "ndjson"}
        columns = options.columns
        table = text.table
        self.header = table.titles
        self.delimiter = "" if table.dialect is None else table.dialect.delimiter
        self._names = table.header
        self._notes: list[tuple[int, Note]] = []
        self._plans = Plans(
            columns,
            is_json=self.is_json,
            nulls=frozenset() if table.dialect is None else table.dialect.nulls,
            file=options.file,
        )
        if self._names is not None and (found := doubts(self._plans.of(self._names))):
            raise ConfigurationError(". ".join(found))

    def described(self, base_url: str) -> dict[str, Any]:
        """Return what has to be the same when an import is gone on with, as JSON carries it."""
        options = attrs.asdict(self._options, filter=lambda field, _: field.name != "file")
        more = {"header": self.header, "base_url": base_url}
        return cast("dict[str, Any]", json.loads(json.dumps(options | more)))

    def __iter__(self) -> Iterator[Row]:
        """Return the rows that are not finished.

        Raises:
            OtherFileError: The file is not the one that an earlier import has begun with.
            ConfigurationError: It can't be read in its encoding.
        """
        begun, known = self._begun, self._begun.end
        held: list[Row] = []  # until it is certain that this is the same file
        checksum, place = 0, -1
        for place, record in enumerate(self._text):
            # Without its end, which the last row may not have had yet.
            text = record.text.rstrip("\r\n")
            checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"), checksum)
            is_known = place < known
            if not is_known or place not in begun.finished:
                row = self._row(place, record, checksum)
                if not is_known:
                    yield row
                    continue
                held.append(row)
            if place == known - 1:
                if checksum != begun.checksum:
                    raise OtherFileError("its rows differ from those that were imported")
                yield from held
        if place < known - 1:
            raise OtherFileError(f"it has only {place + 1} rows, and {known} were imported")

    def close(self) -> None:
        """Forget what was kept of them, which is nothing."""

    def _row(self, place: int, record: Record, checksum: int) -> Row:
        contact = None
        problem = record.problem
        if has_bad_bytes(record.text):
            problem = (
                f"has bytes that mean nothing in {self._text.encoding.name}: give the file's "
                "encoding, for example --encoding cp1252"
            )
        skipped = None
        if problem is None:
            made = self._plans.of(self._names or record.names).contact(record.values, self._notes)
            if isinstance(made, Refusal):
                problem = made.text(shows_values=False)
            elif isinstance(made, Skip):
                skipped = made.reason
            else:
                contact = made
        return Row(place, record, checksum, self._text.position, contact, problem, skipped)
