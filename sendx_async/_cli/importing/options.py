"""What is asked of an import: all options of the command together, checked."""

from pathlib import Path
from typing import Any, Literal, Self

import attrs

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.mapping.mapping_file import Document, columns_of
from sendx_async._cli.importing.reading.opening import Reading
from sendx_async._cli.importing.reading.raw_file import STANDARD_INPUT
from sendx_async._cli.importing.reading.records import Format
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import Rate, make_seconds

_ROWS_FOR_A_SHARE = 100

Duplicates = Literal["last", "first", "reject"]

EarlyEnd = Literal["limit", "max_rejects"]
"""Which option has ended an import before the end of its file."""


@attrs.frozen(kw_only=True)
class FileOptions:
    """How a file is read.

    Attributes:
        file: Its path, or ``-``.
        format: What it is; None to tell by its first bytes and its name.
        encoding: Python's name of its encoding; None to tell by its bytes.
        delimiter: What stands between the cells of CSV; None to tell by the table.
        escape: What stands before a quote within quotes; None if quotes are doubled, or to tell.
        skipped_lines: How many lines stand before the header; None to tell by the table.
        names: The columns' names, of a file without a header.
        sheet: The sheet of a workbook; None for the only one.
        columns: What is to be done with its columns.
        document: What the options were made of.

    Raises:
        ConfigurationError: They make no sense; it names the option.
    """

    file: str
    format: Format | None
    encoding: str | None
    delimiter: str | None
    escape: str | None = None
    skipped_lines: int | None = None
    names: tuple[str, ...] | None = None
    sheet: str | None = None
    columns: Columns
    document: Document = attrs.field(factory=dict[str, Any])

    def __attrs_post_init__(self) -> None:
        for option, text in (("--delimiter", self.delimiter), ("--escape", self.escape)):
            if text is not None and (len(text) != 1 or text in '"\r\n'):
                raise ConfigurationError(
                    f"{option} {text!r} must be one character, other than a quote"
                    + ("; \\t for a tab" if option == "--delimiter" else ", such as \\")
                )
        if self.escape is not None and self.escape == self.delimiter:
            raise ConfigurationError("--escape and --delimiter must be different characters")
        names = self.names or ()
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"--columns names {name!r} twice: each needs its own name")

    @classmethod
    def of(cls, file: str, document: Document) -> Self:
        """Return what a document says about a file.

        Raises:
            ConfigurationError: It makes no sense; it names the option.
        """
        names = document.get("columns")
        return cls(
            file=file,
            format=document.get("format"),
            encoding=document.get("encoding"),
            delimiter=document.get("delimiter"),
            escape=document.get("escape"),
            skipped_lines=document.get("skip-lines"),
            names=None if names is None else tuple(names),
            sheet=document.get("sheet"),
            columns=columns_of(document),
            document=document,
        )

    @property
    def reading(self) -> Reading:
        """What the room that reads has to know."""
        return Reading(
            format=self.format,
            encoding=self.encoding,
            delimiter=self.delimiter,
            escape=self.escape,
            skipped_lines=self.skipped_lines,
            names=self.names,
            sheet=self.sheet,
            header_score=self.columns.header_score,
        )


@attrs.frozen(kw_only=True)
class MostRejects:
    """How many rejected rows an import takes; one more ends it early.

    Attributes:
        number: How many rows, or how many of a hundred.
        is_percent: Which of both.
    """

    number: float
    is_percent: bool = False

    def is_passed(self, rejected: int, rows: int) -> bool:
        """Return whether it is too many.

        Args:
            rejected: How many rows were rejected.
            rows: How many were delivered or rejected; of few rows no share is taken.
        """
        if self.is_percent:
            return rows >= _ROWS_FOR_A_SHARE and rejected * 100 > self.number * rows
        return rejected > self.number


@attrs.frozen(kw_only=True)
class ImportOptions:
    """What is to be imported, and how.

    Attributes:
        source: The file.
        base_url: Where the API is.
        is_dry_run: Whether the file is only looked at.
        undoes_tags: Whether the file is the log of an import whose tags are to be taken back.
        is_agreed: Whether what would be shown is to be sent without a question.
        shows_values: Whether errors show values as they are, addresses included.
        resumes: Whether to go on where an earlier import stopped.
        rejects: Where rejected rows go; None for a file beside it.
        skipped: Where rows go that are left out by a rule; None for nowhere.
        checkpoint: Where it is kept how far the import came; None for a file beside it.
        log: Where each delivered contact is written with its tags; None for nowhere.
        save_mapping: Where it is written what was decided about the file; None for nowhere.
        adds_to_log: Whether that file is there already, from another file of the same call.
        limit: How many contacts are sent before it stops; None for all.
        most_rejects: How many rejected rows it takes before it stops; None for any number.
        duplicates: Which row of an address is sent; None for each, in order.
        rate: Requests that may begin in a second; None for no limit.
        concurrency: How many requests may be under way at once.
        patience: Seconds that an outage may last.
        is_watched: Whether a person watches.
        is_asked: Whether that person is shown what would be sent, and asked about it.

    Raises:
        ConfigurationError: They make no sense; it names the option.
    """

    source: FileOptions
    base_url: str
    is_dry_run: bool
    undoes_tags: bool = False
    is_agreed: bool = False
    shows_values: bool = False
    resumes: bool
    rejects: Path | None
    skipped: Path | None = None
    checkpoint: Path | None
    log: Path | None = None
    save_mapping: Path | None = None
    adds_to_log: bool = False
    limit: int | None = None
    most_rejects: MostRejects | None = None
    duplicates: Duplicates | None = None
    rate: float | None
    concurrency: int
    patience: float
    is_watched: bool
    is_asked: bool = False

    def __attrs_post_init__(self) -> None:
        if self.is_dry_run and self.resumes:
            raise ConfigurationError("--dry-run and --resume can't go together")
        # Before the file is opened, and in the words of the command.
        make_seconds("--patience", self.patience)
        if self.rate is not None:
            Rate(self.rate)

    @property
    def name(self) -> str:
        """The file, as people call it."""
        is_piped = self.source.file == STANDARD_INPUT
        return "standard input" if is_piped else self.source.file
