"""What an earlier import of the same file has left, and what must fit to go on with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from sendx_async._cli.importing.checking.row_ranges import RowRanges
from sendx_async._cli.importing.checking.rows import Begun
from sendx_async._cli.importing.sending.rows_file import Written, shown
from sendx_async._core.errors import ConfigurationError

_OPTIONS = {
    "columns": "set of options for columns, tags or lists",
    "base_url": "base URL",
    "preset": "version of this command, which knew that service otherwise",
    "skipped_lines": "--skip-lines",
    "names": "--columns",
}


@attrs.frozen(kw_only=True)
class Share:
    """The part of a file that is to be sent before the import stops.

    Attributes:
        number: How many contacts were asked for.
        until: How many of the file's contacts are sent by then, from its first row.
    """

    number: int
    until: int


@attrs.frozen(kw_only=True)
class RowsSoFar:
    """What is known of the rows of a file; of a file that is begun with, nothing.

    Attributes:
        begun: Which are finished, and how far those that were begun reach.
        in_doubt: Places of rows that may have been applied, and must not be twice.
        delivered: How many rows SendX has.
        rejected: How many can't be sent, or were refused.
        skipped: How many were left out, by the reason.
        tried: How many were sent, whatever SendX said, or may have been.
        share: The part of the file that was to be sent, and isn't yet.
        stopped_at: The first row that isn't finished, as a spreadsheet counts.
    """

    begun: Begun = attrs.field(factory=Begun)
    in_doubt: frozenset[int] = frozenset()
    delivered: int = 0
    rejected: int = 0
    skipped: Mapping[str, int] = attrs.field(factory=dict[str, int])
    tried: int = 0
    share: Share | None = None
    stopped_at: int = 1

    def next_share(self, number: int | None) -> Share | None:
        """Return the part that is to be sent now.

        Args:
            number: How many contacts are asked for; None for all.

        Returns:
            What is left of a part as large that an earlier process has not come to the end of, or
            so many contacts more.
        """
        if number is None or (self.share is not None and self.share.number == number):
            return None if number is None else self.share
        return Share(number=number, until=self.tried + number)


@attrs.frozen(kw_only=True)
class EarlierFile:
    """A file of rows that an earlier import wrote, or was about to.

    Attributes:
        path: Where.
        is_owned: Whether that file, if it is there, is this import's.
        written: How much of it is certain.
    """

    path: Path
    is_owned: bool
    written: Written

    @classmethod
    def of(cls, document: Mapping[str, Any], directory: Path) -> "EarlierFile":
        """Read it from what an `ImportLog` has written, in this directory."""
        return cls(
            path=directory / document["path"],
            is_owned=document["is_owned"],
            written=Written(*document["written"]),
        )

    def written_in(self, path: Path) -> Written | None:
        """Return how much of a file is certain; None if it is another's."""
        return self.written if self.is_owned and path.absolute() == self.path else None


@attrs.frozen(kw_only=True)
class EarlierRun:
    """What an earlier import of the same file has left.

    Attributes:
        options: How it read the file.
        rows: What it knew of the rows.
        rejects: Where the rejected ones are.
        skipped: Where the skipped ones are; None if they are nowhere.
    """

    options: Mapping[str, Any]
    rows: RowsSoFar
    rejects: EarlierFile
    skipped: EarlierFile | None

    @property
    def is_untouched(self) -> bool:
        """Whether no row is known to be finished, or in doubt."""
        return not self.rows.begun.end

    @classmethod
    def of(cls, document: Mapping[str, Any], directory: Path) -> "EarlierRun":
        """Read it from what an `ImportLog` has written, in this directory."""
        skipped, share = document["skipped_file"], document["share"]
        return cls(
            options=document["options"],
            rows=RowsSoFar(
                begun=Begun(RowRanges(document["finished"]), document["end"], document["checksum"]),
                in_doubt=frozenset(document["in_doubt"]),
                delivered=document["delivered"],
                rejected=document["rejected"],
                skipped=dict(document["skipped"]),
                tried=document["tried"],
                share=share and Share(number=share[0], until=share[1]),
                stopped_at=document["stopped_at"],
            ),
            rejects=EarlierFile.of(document["rejects_file"], directory),
            skipped=skipped and EarlierFile.of(skipped, directory),
        )

    def check(
        self, options: Mapping[str, Any], *, rejects: Path | None, skipped: Path | None
    ) -> None:
        """See whether an import goes on as this one has begun.

        Args:
            options: How it reads the file.
            rejects: Where the rejected rows are to go; None for where they went.
            skipped: Where the skipped rows are to go, likewise.

        Raises:
            ConfigurationError: It doesn't; it names what differs.
        """
        for name, value in self.options.items():
            if options[name] != value:
                raise ConfigurationError(
                    f"the import was begun with another {_OPTIONS.get(name, name)}: resume it with "
                    "the same file and options"
                )
        if rejects is not None and rejects.absolute() != self.rejects.path:
            raise ConfigurationError(
                f"the import was begun with --rejects {shown(self.rejects.path)}: resume with that"
            )
        if skipped is not None and self.skipped is None:
            raise ConfigurationError(
                "the import was begun without --skipped, so some skipped rows are written nowhere: "
                "resume without it"
            )
        if skipped is not None and self.skipped and skipped.absolute() != self.skipped.path:
            raise ConfigurationError(
                f"the import was begun with --skipped {shown(self.skipped.path)}: resume with that"
            )
