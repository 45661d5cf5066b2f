"""The lines of a log of delivered contacts, as requests that take their tags back."""

from collections.abc import Iterator
from typing import Any

from sendx_async._cli.importing.checking.rows import Begun, Row
from sendx_async._cli.importing.checking.unfinished import unfinished
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reading.records import Record
from sendx_async._cli.importing.seen_addresses import SeenAddresses
from sendx_async._core.errors import ConfigurationError, InvalidRequestError
from sendx_async._core.models import TrackRequest

_NO_TAGS = "no tags were given"
_AGAIN = "the same tags as in an earlier line"


class LoggedRows:
    """The lines of a log that are still to be taken back; to be iterated once, and closed.

    A tag that several lines give to the same contact is taken back once.

    Args:
        source: The log.
        begun: How far an earlier run came; its lines are passed over.

    Raises:
        ConfigurationError: It is no log.
    """

    def __init__(self, source: Source, begun: Begun) -> None:
        first = source.first_records().records[:1]
        if any({"email", "tags"} - set(record.names) for record in first):
            raise ConfigurationError(
                "this is no log of an import: --undo-tags takes a file that --log has written"
            )
        self._source = source
        self._begun = begun
        self._given = SeenAddresses()

    def described(self, base_url: str) -> dict[str, Any]:
        """Return what has to be the same when it is gone on with."""
        return {"undoes_tags": True, "base_url": base_url}

    def __iter__(self) -> Iterator[Row]:
        """Return the lines that are not finished.

        Raises:
            OtherFileError: The log is not the one that an earlier run has begun with.
        """
        # Of finished lines it has to be known, too, which tags they give.
        return unfinished(self._source, self._begun, self._row, makes_all=True)

    def _row(self, place: int, record: Record, checksum: int) -> Row:
        request, problem, skipped = None, record.problem, None
        if problem is None:
            line = dict(zip(record.names, record.values, strict=True))
            try:
                # Without an address SendX would be asked about nobody.
                request = TrackRequest(line.get("email") or "", remove_tags=line.get("tags"))
            except InvalidRequestError as error:
                problem = "; ".join(error.problems)
        if request is not None:
            given = dict.fromkeys(request.remove_tags or ())
            left = [tag for tag in given if self._is_first(request, tag, place)]
            if not left:
                request, skipped = None, _AGAIN if given else _NO_TAGS
            else:
                request = TrackRequest(request.email, remove_tags=left)
        return Row(place, record, checksum, self._source.position, request, problem, skipped)

    def _is_first(self, request: TrackRequest, tag: str, place: int) -> bool:
        # Of an address case doesn't matter, of a tag it does.
        return self._given.first(f"{request.email}\0{tag.encode().hex()}", place) == place

    def close(self) -> None:
        """Forget what was given."""
        self._given.close()
