"""A row that is ready to be sent, or isn't to be; and how far an earlier import came with them."""

from typing import NamedTuple

import attrs

from sendx_async._cli.importing.checking.row_ranges import RowRanges
from sendx_async._cli.importing.cleaning.notes import Note
from sendx_async._cli.importing.reading.records import Record
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest, TrackRequest
from sendx_async._core.operations import IDENTIFY


class Row(NamedTuple):
    """A row that is to be sent, or can't be; a tuple, since that is made in a third of the time.

    Attributes:
        place: How many rows stand before it, from 0; empty ones aren't counted.
        record: It as it stands in the file.
        checksum: Of the file up to its end.
        position: How many bytes of the file were read by then.
        contact: What is to be sent about a contact; None if there is a problem, or it is skipped.
        problem: Why it can't be sent.
        skipped: Why it is left out, though nothing is wrong with it, such as "unsubscribed".
        reason: The problem without what stands in the row, so that rows can be counted by it.
        notes: What there is to say of its cells, each with the index of its column.
    """

    place: int
    record: Record
    checksum: int
    position: int
    contact: IdentifyRequest | TrackRequest | None = None
    problem: str | None = None
    skipped: str | None = None
    reason: str | None = None
    notes: tuple[tuple[int, Note], ...] = ()

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
