"""The rows of a file that are still to be sent: those that are finished are passed over."""

import zlib
from collections.abc import Callable, Iterable, Iterator

from sendx_async._cli.importing.checking.rows import Begun, OtherFileError, Row
from sendx_async._cli.importing.reading.records import Record


def unfinished(
    records: Iterable[Record],
    begun: Begun,
    make: Callable[[int, Record, int], Row],
    *,
    makes_all: bool = False,
) -> Iterator[Row]:
    """Return the rows that are not finished.

    Args:
        records: What stands in the file.
        begun: How far an earlier import came.
        make: Makes a row of its place, its record and the checksum of the file up to its end.
        makes_all: Whether finished rows are made as well, since others depend on them.

    Raises:
        OtherFileError: The file is not the one that an earlier import has begun with.
        ConfigurationError: It can't be read in its encoding.
    """
    known = begun.end
    held: list[Row] = []  # until it is certain that this is the same file
    checksum, place = 0, -1
    for place, record in enumerate(records):
        # Without its end, which the last row may not have had yet.
        text = record.text.rstrip("\r\n")
        checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"), checksum)
        is_known = place < known
        is_finished = is_known and place in begun.finished
        if not is_finished or makes_all:
            row = make(place, record, checksum)
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
