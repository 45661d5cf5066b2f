"""What is asked of an import: all options of the command together, checked."""

from pathlib import Path

import attrs

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._cli.importing.reading.records import Format
from sendx_async._cli.importing.reading.text import STANDARD_INPUT
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.options import Rate, make_seconds


@attrs.frozen(kw_only=True)
class FileOptions:
    """How a file is read.

    Attributes:
        file: Its path, or ``-``.
        format: What it is; None to tell by its name, or by its first character.
        encoding: Python's name of its encoding; None to tell by its first bytes, or UTF-8.
        delimiter: What stands between the cells of CSV; None to tell by the header.
        columns: What is to be done with its columns.
    """

    file: str
    format: Format | None
    encoding: str | None
    delimiter: str | None
    columns: Columns


@attrs.frozen(kw_only=True)
class ImportOptions:
    """What is to be imported, and how.

    Attributes:
        source: The file.
        base_url: Where the API is.
        is_dry_run: Whether the file is only looked at.
        resumes: Whether to go on where an earlier import stopped.
        rejects: Where rejected rows go; None for a file beside it.
        checkpoint: Where it is kept how far the import came; None for a file beside it.
        rate: Requests that may begin in a second; None for no limit.
        concurrency: How many requests may be under way at once.
        patience: Seconds that an outage may last.
        shows_progress: Whether a person watches.

    Raises:
        ConfigurationError: They make no sense; it names the option.
    """

    source: FileOptions
    base_url: str
    is_dry_run: bool
    resumes: bool
    rejects: Path | None
    checkpoint: Path | None
    rate: float | None
    concurrency: int
    patience: float
    shows_progress: bool

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
