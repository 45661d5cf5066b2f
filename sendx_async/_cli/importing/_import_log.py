"""What became of each row: counted, kept in the progress file, and written if it was rejected."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from sendx_async._cli.importing._checkpoint import ProgressFile
from sendx_async._cli.importing._finished import FinishedRows
from sendx_async._cli.importing._rejects import RejectsFile, Written, shown
from sendx_async._cli.importing._rows import Begun, Row
from sendx_async._core.errors import ConfigurationError

_OPTIONS = {"columns": "set of options for columns, tags or lists", "base_url": "base URL"}
_INTERRUPTED = (
    "may have been applied: the import ended while this row was under way, and sending it twice "
    "might do something twice; look before you import it again"
)


@attrs.frozen(kw_only=True)
class Earlier:
    """What an earlier import of the same file has left.

    Attributes:
        options: How it read the file.
        begun: How far it came.
        in_doubt: Places of rows that may have been applied, and must not be twice.
        delivered: How many rows SendX has.
        rejected: How many can't be sent, or were refused.
        rejects: Where the rejected ones are.
        owns_rejects: Whether that file, if it is there, is this import's.
        written: How much of it is certain.
        stopped_at: The first row that isn't finished, as a spreadsheet counts.
    """

    options: Mapping[str, Any]
    begun: Begun = attrs.field(factory=Begun)
    in_doubt: frozenset[int] = frozenset()
    delivered: int = 0
    rejected: int = 0
    rejects: Path
    owns_rejects: bool
    written: Written = attrs.field(factory=Written)
    stopped_at: int

    @property
    def is_untouched(self) -> bool:
        """Whether no row is known to be finished, or in doubt."""
        return not self.begun.end

    @classmethod
    def of(cls, document: Mapping[str, Any], directory: Path) -> "Earlier":
        """Read it from what `Books` have written, in this directory."""
        return cls(
            options=document["options"],
            begun=Begun(FinishedRows(document["finished"]), document["end"], document["checksum"]),
            in_doubt=frozenset(document["in_doubt"]),
            delivered=document["delivered"],
            rejected=document["rejected"],
            rejects=directory / document["rejects"],
            owns_rejects=document["owns_rejects"],
            written=Written(*document["written"]),
            stopped_at=document["stopped_at"],
        )

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


class Books:
    """Keeps what became of each row.

    Args:
        progress: Where to; None to keep it only as long as the process lives.
        rejects: Where the rejected rows go.
        options: What has to be the same when the import is gone on with.
        earlier: What an earlier import has left, if this one goes on with it.

    Attributes:
        delivered: How many rows SendX has, as far as that is written.
        rejected: How many can't be sent, or were refused, likewise.
        stopped_at: The first row that isn't finished, as a spreadsheet counts.
        is_complete: Whether all rows are finished; like `stopped_at`, whoever reads them says so.
    """

    def __init__(
        self,
        progress: ProgressFile | None,
        rejects: RejectsFile,
        options: Mapping[str, Any],
        earlier: Earlier | None,
    ) -> None:
        self._progress = progress
        self._rejects = rejects
        self._options = options
        self._finished = FinishedRows() if earlier is None else earlier.begun.finished.copy()
        self._end = 0 if earlier is None else earlier.begun.end
        self._checksum = 0 if earlier is None else earlier.begun.checksum
        self._in_doubt = set[int]() if earlier is None else set(earlier.in_doubt)
        self._were_in_doubt = frozenset(self._in_doubt)
        self.delivered = self._delivered = 0 if earlier is None else earlier.delivered
        self.rejected = self._rejected = 0 if earlier is None else earlier.rejected
        self.stopped_at = 1 if earlier is None else earlier.stopped_at
        self.is_complete = False
        self._is_begun = earlier is not None

    @property
    def rejects(self) -> str | None:
        """Where the rejected rows are; None if there are none."""
        has_some = self._rejects.written.size and not self._rejects.is_device
        return shown(self._rejects.path) if has_some else None

    @property
    def are_kept(self) -> bool:
        """Whether the process may end, and another one go on."""
        return self._progress is not None

    def take_rejects(self) -> None:
        """Take the file of rejected rows, and note whose it is before it is there.

        Raises:
            ConfigurationError: It exists, or can't be written, or the progress file can't.
        """
        self._note(owns_rejects=True)
        try:
            self._rejects.open()
        except BaseException:
            self._note(owns_rejects=False)
            raise

    def expect(self, row: Row) -> bool:
        """Note that a row is about to be sent; False if that must not be.

        Raises:
            ConfigurationError: The progress file can't be written.
        """
        if row.place in self._were_in_doubt:
            self.reject(row, _INTERRUPTED)
            return False
        if not row.is_replay_safe:
            self._know(row)
            self._in_doubt.add(row.place)
            try:
                self.write()  # now, since nobody could tell afterwards
            except BaseException:
                self._in_doubt.discard(row.place)  # it will not be sent
                raise
        return True

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
        self._in_doubt.discard(row.place)

    def _know(self, row: Row) -> None:
        if row.place >= self._end:
            self._end, self._checksum = row.place + 1, row.checksum

    def write(self) -> None:
        """Bring to the files what was noted; after that no end of the process undoes it.

        Raises:
            ConfigurationError: The progress file can't be written.
            OSError: The file of rejected rows can't be written.
        """
        self._is_begun = True
        self._rejects.write()
        self._note(owns_rejects=True)
        self.delivered, self.rejected = self._delivered, self._rejected

    def _note(self, *, owns_rejects: bool) -> None:
        if self._progress is not None:
            written = self._rejects.written
            path, directory = self._rejects.path.absolute(), self._progress.path.absolute().parent
            self._progress.replace(
                {
                    "options": self._options,
                    "finished": self._finished.ranges,
                    "end": self._end,
                    "checksum": self._checksum,
                    "in_doubt": sorted(self._in_doubt),
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
        if self._progress is not None:
            self._progress.close(remove=is_over)
