"""What became of each row: counted, kept in the checkpoint, and written if it was set aside."""

import collections
import contextlib
from collections.abc import Mapping
from typing import Any, cast

from sendx_async._cli.importing.address_count import AddressCount
from sendx_async._cli.importing.checking.rows import Row
from sendx_async._cli.importing.sending.checkpoint import Checkpoint
from sendx_async._cli.importing.sending.delivery_log import DeliveryLog
from sendx_async._cli.importing.sending.earlier_run import RowsSoFar, Share
from sendx_async._cli.importing.sending.rows_file import RowsFile
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest, TrackRequest

_INTERRUPTED = (
    "may have been applied: the import ended while this row was under way, and sending it twice "
    "might do something twice; look before you import it again"
)


class ImportLog:
    """Keeps what became of each row, and which rows are under way.

    Args:
        checkpoint: Where to; None to keep it only as long as the process lives.
        rejects: Where the rejected rows go.
        skipped: Where the skipped rows go; None for nowhere.
        deliveries: Where the delivered contacts are listed; None for nowhere.
        options: What has to be the same when the import is gone on with.
        rows: What is known of the rows already.
        share: The part of the file that is to be sent; None for all of it.
        people: Where the addresses of those go that are delivered.

    Attributes:
        delivered: How many rows SendX has, as far as that is written.
        rejected: How many can't be sent, or were refused, likewise.
        skipped: How many were left out, by the reason, likewise.
        is_complete: Whether all rows are finished; whoever reads them says so.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        *,
        rejects: RowsFile,
        skipped: RowsFile | None,
        deliveries: DeliveryLog | None,
        options: Mapping[str, Any],
        rows: RowsSoFar,
        share: Share | None,
        people: AddressCount,
    ) -> None:
        self._checkpoint = checkpoint
        self._rejects = rejects
        self._skips = skipped
        self._deliveries = deliveries
        self._files = [each for each in (rejects, skipped, deliveries) if each is not None]
        self._options = options
        self._share = share
        self._people = people
        self._finished = rows.begun.finished.copy()
        self._end, self._checksum = rows.begun.end, rows.begun.checksum
        self._were_in_doubt = set(rows.in_doubt)  # since an earlier run, until they are rejected
        self._under_way: dict[int, Row] = {}  # by their place, in order
        self._in_doubt = set[int]()  # the places of those under way that must not be sent twice
        self._settled = set[int]()  # the places of those that are finished, which is not written
        self._next = rows.stopped_at
        self._tried = self._given = self._before_given = rows.tried
        self.delivered = self._delivered = rows.delivered
        self.rejected = self._rejected = rows.rejected
        self._before = rows.delivered, rows.rejected
        self._skipped = collections.Counter(rows.skipped)
        self.skipped: Mapping[str, int] = dict(self._skipped)
        self.is_complete = False
        self._is_begun = checkpoint is not None and checkpoint.document is not None
        self._noted: dict[str, Any] = {}  # what the checkpoint holds

    @property
    def finished(self) -> int:
        """How many rows are finished, as far as that is written."""
        return self.delivered + self.rejected + sum(self.skipped.values())

    @property
    def rejected_now(self) -> int:
        """How many this process has rejected."""
        return self._rejected - self._before[1]

    @property
    def rows_now(self) -> int:
        """How many this process has delivered or rejected."""
        return self._delivered + self._rejected - sum(self._before)

    @property
    def given_now(self) -> int:
        """How many contacts this process has given away to be sent."""
        return self._given - self._before_given

    @property
    def people_now(self) -> int:
        """How many different addresses this process has delivered."""
        return len(self._people)

    @property
    def under_way(self) -> int:
        """How many rows were given away to be sent, and are not yet written as finished."""
        return len(self._under_way)

    @property
    def in_doubt(self) -> int:
        """How many of them must not be sent twice."""
        return len(self._in_doubt)

    @property
    def has_sent_its_share(self) -> bool:
        """Whether no further contact is to be sent."""
        return self._share is not None and self._given >= self._share.until

    @property
    def stopped_at(self) -> int:
        """The first row that isn't finished, as a spreadsheet counts."""
        return next(
            (row.record.number for place, row in self._under_way.items()
             if place not in self._settled),
            self._next,
        )  # fmt: skip

    @property
    def rejects(self) -> str | None:
        """Where the rejected rows are; None if there are none."""
        return self._rejects.found_at

    @property
    def skips(self) -> str | None:
        """Where the skipped rows are; None if they are nowhere."""
        return None if self._skips is None else self._skips.found_at

    @property
    def is_kept(self) -> bool:
        """Whether the process may end, and another one go on."""
        return self._checkpoint is not None

    def take_files(self) -> None:
        """Claim the files that rows go to, and note whose they are before they are there.

        Raises:
            ConfigurationError: One exists, or can't be written, or the checkpoint can't.
        """
        self._note()
        try:
            with contextlib.ExitStack() as opened:
                for file in self._files:
                    file.open()
                    opened.callback(file.close)
                opened.pop_all()
        except BaseException:
            self._disown()
            raise

    def begin(self, row: Row) -> IdentifyRequest | TrackRequest | None:
        """Note that a row is about to be sent, and return what; None if it must not be.

        Raises:
            ConfigurationError: The checkpoint can't be written.
        """
        self._next = row.record.number + 1
        if row.contact is None:
            if row.skipped is not None:
                self._skip(row, row.skipped)
            else:
                self._set_aside(row, row.problem or "")
            return None
        self._given += 1
        if row.place in self._were_in_doubt:
            self.reject(row, _INTERRUPTED, maybe_delivered=True)
            return None
        self._under_way[row.place] = row
        if not row.is_replay_safe:
            self._know(row)
            self._in_doubt.add(row.place)
            try:
                self.write()  # now, since nobody could tell afterwards
            except BaseException:
                self._in_doubt.discard(row.place)  # it will not be sent
                raise
        return row.contact

    def deliver(self, row: Row) -> None:
        """Note that SendX has a row."""
        self._delivered += 1
        self._tried += 1
        contact = cast("IdentifyRequest | TrackRequest", row.contact)  # or it wasn't sent
        self._people.add(contact.email or "")
        self._list(row)
        self._finish(row)

    def reject(self, row: Row, reason: str, *, maybe_delivered: bool) -> None:
        """Note that a row was refused, or that nobody knows what became of it."""
        self._tried += 1
        if maybe_delivered:
            self._list(row)
        self._set_aside(row, reason)

    def pass_over(self, row: Row, reason: str) -> None:
        """Note that a row was sent, and that there was nothing to do."""
        self._tried += 1
        self._skip(row, reason)

    def give_up(self, row: Row) -> None:
        """Note that a row was certainly not applied, and is still to be sent."""
        self._in_doubt.discard(row.place)

    def _skip(self, row: Row, reason: str) -> None:
        self._skipped[reason] += 1
        if self._skips is not None:
            self._skips.add(row.record, reason)
        self._finish(row)

    def _set_aside(self, row: Row, reason: str) -> None:
        self._rejected += 1
        self._rejects.add(row.record, reason)
        self._finish(row)

    def _list(self, row: Row) -> None:
        if self._deliveries is not None and isinstance(row.contact, IdentifyRequest):
            self._deliveries.add(row.contact, row.record.number)

    def _finish(self, row: Row) -> None:
        self._know(row)
        self._finished.add(row.place)
        self._settled.add(row.place)

    def _know(self, row: Row) -> None:
        if row.place >= self._end:
            self._end, self._checksum = row.place + 1, row.checksum

    def write(self) -> None:
        """Bring to the files what was noted; after that no end of the process undoes it.

        Raises:
            ConfigurationError: The checkpoint can't be written.
            OSError: A file of rows can't be written.
        """
        self._is_begun = True
        for file in self._files:
            file.write()
        self._note()
        self.delivered, self.rejected = self._delivered, self._rejected
        self.skipped = dict(self._skipped)
        for place in self._settled:
            self._under_way.pop(place, None)
        self._in_doubt -= self._settled
        self._were_in_doubt -= self._settled
        self._settled.clear()

    def _note(self) -> None:
        if self._checkpoint is None:
            return
        share = self._share
        self._noted = {
            "options": self._options,
            "finished": self._finished.ranges,
            "end": self._end,
            "checksum": self._checksum,
            "in_doubt": sorted((self._were_in_doubt | self._in_doubt) - self._settled),
            "delivered": self._delivered,
            "rejected": self._rejected,
            "skipped": dict(self._skipped),
            "tried": self._tried,
            "share": None if share is None else [share.number, share.until],
            "rejects_file": _described(self._rejects, self._checkpoint),
            "skipped_file": self._skips and _described(self._skips, self._checkpoint),
            "stopped_at": self.stopped_at,
        }
        self._checkpoint.replace(self._noted)

    def _disown(self) -> None:
        """Note that files without a row are not this import's: they go, and another may come."""
        if self._checkpoint is None:
            return
        # Nothing else is noted: a row that no file has must not be said to be finished.
        for name, file in (("rejects_file", self._rejects), ("skipped_file", self._skips)):
            if file is not None and not file.written.size:
                self._noted[name] = self._noted[name] | {"is_owned": False}
        if self._share is not None and self._noted["tried"] >= self._share.until:
            self._noted["share"] = None
        self._checkpoint.replace(self._noted)

    def close(self) -> None:
        """Close the files; the one for going on goes if all rows are finished, or none begun."""
        is_over = self.is_complete or not self._is_begun
        if not is_over:
            with contextlib.suppress(ConfigurationError):
                self._disown()
        for file in self._files:
            file.close()
        if self._checkpoint is not None:
            self._checkpoint.close(remove=is_over)


def _described(file: RowsFile, checkpoint: Checkpoint) -> dict[str, Any]:
    path, directory = file.path.absolute(), checkpoint.path.absolute().parent
    return {
        # So that they can be moved together.
        "path": path.name if path.parent == directory else str(path),
        "is_owned": True,
        "written": [file.written.size, file.written.checksum],
    }
