"""What became of each row: counted, kept in the checkpoint, and written if it was rejected."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from sendx_async._cli.importing.checking.row_ranges import RowRanges
from sendx_async._cli.importing.checking.rows import Begun, Row
from sendx_async._cli.importing.sending.checkpoint import Checkpoint
from sendx_async._cli.importing.sending.rejects import RejectsFile, Written, shown
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.models import IdentifyRequest

_OPTIONS = {"columns": "set of options for columns, tags or lists", "base_url": "base URL"}
_INTERRUPTED = (
    "may have been applied: the import ended while this row was under way, and sending it twice "
    "might do something twice; look before you import it again"
)


@attrs.frozen(kw_only=True)
class RowsSoFar:
    """What is known of the rows of a file; of a file that is begun with, nothing.

    Attributes:
        begun: Which are finished, and how far those that were begun reach.
        in_doubt: Places of rows that may have been applied, and must not be twice.
        delivered: How many rows SendX has.
        rejected: How many can't be sent, or were refused.
        stopped_at: The first row that isn't finished, as a spreadsheet counts.
    """

    begun: Begun = attrs.field(factory=Begun)
    in_doubt: frozenset[int] = frozenset()
    delivered: int = 0
    rejected: int = 0
    stopped_at: int = 1


@attrs.frozen(kw_only=True)
class EarlierRun:
    """What an earlier import of the same file has left.

    Attributes:
        options: How it read the file.
        rows: What it knew of the rows.
        rejects: Where the rejected ones are.
        owns_rejects: Whether that file, if it is there, is this import's.
        written: How much of it is certain.
    """

    options: Mapping[str, Any]
    rows: RowsSoFar
    rejects: Path
    owns_rejects: bool
    written: Written

    @property
    def is_untouched(self) -> bool:
        """Whether no row is known to be finished, or in doubt."""
        return not self.rows.begun.end

    @classmethod
    def of(cls, document: Mapping[str, Any], directory: Path) -> "EarlierRun":
        """Read it from what an `ImportLog` has written, in this directory."""
        return cls(
            options=document["options"],
            rows=RowsSoFar(
                begun=Begun(RowRanges(document["finished"]), document["end"], document["checksum"]),
                in_doubt=frozenset(document["in_doubt"]),
                delivered=document["delivered"],
                rejected=document["rejected"],
                stopped_at=document["stopped_at"],
            ),
            rejects=directory / document["rejects"],
            owns_rejects=document["owns_rejects"],
            written=Written(*document["written"]),
        )

    def written_in(self, path: Path) -> Written | None:
        """Return how much of a file of rejected rows is certain; None if it is another's."""
        return self.written if self.owns_rejects and path.absolute() == self.rejects else None

    def check(self, options: Mapping[str, Any], rejects: Path | None) -> None:
        """See whether an import goes on as this one has begun.

        Raises:
            ConfigurationError: It doesn't; it names what differs.
        """
        for name, value in self.options.items():
            if options[name] != value:
                raise ConfigurationError(
                    f"the import was begun with another {_OPTIONS.get(name, name)}: resume it with "
                    "the same file and options"
                )
        if rejects is not None and rejects.absolute() != self.rejects:
            raise ConfigurationError(
                f"the import was begun with --rejects {shown(self.rejects)}: resume with that"
            )


class ImportLog:
    """Keeps what became of each row, and which rows are under way.

    Args:
        checkpoint: Where to; None to keep it only as long as the process lives.
        rejects: Where the rejected rows go.
        options: What has to be the same when the import is gone on with.
        rows: What is known of the rows already.

    Attributes:
        delivered: How many rows SendX has, as far as that is written.
        rejected: How many can't be sent, or were refused, likewise.
        is_complete: Whether all rows are finished; whoever reads them says so.
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        rejects: RejectsFile,
        options: Mapping[str, Any],
        rows: RowsSoFar,
    ) -> None:
        self._checkpoint = checkpoint
        self._rejects = rejects
        self._options = options
        self._finished = rows.begun.finished.copy()
        self._end, self._checksum = rows.begun.end, rows.begun.checksum
        self._were_in_doubt = set(rows.in_doubt)  # since an earlier run, until they are rejected
        self._under_way: dict[int, Row] = {}  # by their place, in order
        self._in_doubt = set[int]()  # the places of those under way that must not be sent twice
        self._settled = set[int]()  # the places of those that are finished, which is not written
        self._next = rows.stopped_at
        self.delivered = self._delivered = rows.delivered
        self.rejected = self._rejected = rows.rejected
        self.is_complete = False
        self._is_begun = checkpoint is not None and checkpoint.document is not None

    @property
    def under_way(self) -> int:
        """How many rows were given away to be sent, and are not yet written as finished."""
        return len(self._under_way)

    @property
    def in_doubt(self) -> int:
        """How many of them must not be sent twice."""
        return len(self._in_doubt)

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
        has_some = self._rejects.written.size and not self._rejects.is_device
        return shown(self._rejects.path) if has_some else None

    @property
    def is_kept(self) -> bool:
        """Whether the process may end, and another one go on."""
        return self._checkpoint is not None

    def take_rejects(self) -> None:
        """Claim the file of rejected rows, and note whose it is before it is there.

        Raises:
            ConfigurationError: It exists, or can't be written, or the checkpoint can't.
        """
        self._note(owns_rejects=True)
        try:
            self._rejects.open()
        except BaseException:
            self._note(owns_rejects=False)
            raise

    def begin(self, row: Row) -> IdentifyRequest | None:
        """Note that a row is about to be sent, and return what; None if it must not be.

        Raises:
            ConfigurationError: The checkpoint can't be written.
        """
        self._next = row.record.number + 1
        if row.contact is None or row.place in self._were_in_doubt:
            self.reject(row, row.problem or _INTERRUPTED)
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
        self._finish(row)

    def reject(self, row: Row, reason: str) -> None:
        """Note that a row can't be sent, or was refused."""
        self._rejected += 1
        self._rejects.add(row.record, reason)
        self._finish(row)

    def give_up(self, row: Row) -> None:
        """Note that a row was certainly not applied, and is still to be sent."""
        self._in_doubt.discard(row.place)

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
            OSError: The file of rejected rows can't be written.
        """
        self._is_begun = True
        self._rejects.write()
        self._note(owns_rejects=True)
        self.delivered, self.rejected = self._delivered, self._rejected
        for place in self._settled:
            self._under_way.pop(place, None)
        self._in_doubt -= self._settled
        self._were_in_doubt -= self._settled
        self._settled.clear()

    def _note(self, *, owns_rejects: bool) -> None:
        if self._checkpoint is not None:
            written = self._rejects.written
            path, directory = self._rejects.path.absolute(), self._checkpoint.path.absolute().parent
            self._checkpoint.replace(
                {
                    "options": self._options,
                    "finished": self._finished.ranges,
                    "end": self._end,
                    "checksum": self._checksum,
                    "in_doubt": sorted((self._were_in_doubt | self._in_doubt) - self._settled),
                    "delivered": self._delivered,
                    "rejected": self._rejected,
                    # So that they can be moved together.
                    "rejects": path.name if path.parent == directory else str(path),
                    "owns_rejects": owns_rejects,
                    "written": [written.size, written.checksum],
                    "stopped_at": self.stopped_at,
                }
            )

    def close(self) -> None:
        """Close the files; the one for going on goes if all rows are finished, or none begun."""
        is_over = self.is_complete or not self._is_begun
        if not is_over and not self._rejects.written.size:
            with contextlib.suppress(ConfigurationError):
                self._note(owns_rejects=False)  # it goes, and another import may come to have it
        self._rejects.close()
        if self._checkpoint is not None:
            self._checkpoint.close(remove=is_over)
