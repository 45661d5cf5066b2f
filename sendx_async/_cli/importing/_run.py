"""One import from beginning to end: opens what it needs, sends, and tells what came of it."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from sendx_async._cli.importing._checkpoint import ProgressFile
from sendx_async._cli.importing._import_log import Books, Earlier
from sendx_async._cli.importing._rejects import RejectsFile
from sendx_async._cli.importing._rows import FileOptions, OtherFileError, SourceRows
from sendx_async._cli.importing._text import STANDARD_INPUT, SourceText
from sendx_async._core.errors import ConfigurationError, SendXError

if TYPE_CHECKING:
    from sendx_async._cli.importing._progress_bar import Display
    from sendx_async._cli.importing._sender import Sender
    from sendx_async._clients.async_client import AsyncTrackingClient


@attrs.frozen(kw_only=True)
class Job:
    """What is to be imported, and how.

    Attributes:
        source: The file.
        rejects: Where rejected rows go; None for a file beside it.
        progress_file: Where it is kept how far the import came; None for a file beside it.
        resumes: Whether to go on where an earlier import stopped.
        concurrency: How many requests may be under way at once.
        patience: Seconds that an outage may last.
        shows: Whether a person watches.
        base_url: Where the API is.
    """

    source: FileOptions
    base_url: str
    rejects: Path | None
    progress_file: Path | None
    resumes: bool
    concurrency: int
    patience: float
    shows: bool

    @property
    def name(self) -> str:
        """The file, as people call it."""
        is_piped = self.source.file == STANDARD_INPUT
        return "standard input" if is_piped else self.source.file


@attrs.frozen(kw_only=True)
class Report:
    """What an import, or a look at its file, came to.

    Attributes:
        good: How many rows SendX has, or could be sent; those of an earlier import included.
        rejected: How many can't be sent, or were refused.
        rejects: Where the rejected rows are; None if they are nowhere.
        rows: How many rows were finished by this process.
        seconds: How long that took.
        stopped_at: The first row that isn't finished, as a spreadsheet counts; None if all are.
        stopped_by: What stopped it: a signal, or an error; None if nothing did.
        can_resume: Whether there is something to go on with.
    """

    good: int
    rejected: int
    rejects: str | None
    rows: int
    seconds: float
    stopped_at: int | None = None
    stopped_by: signal.Signals | Exception | None = None
    can_resume: bool = False


def import_rows(job: Job, make_client: Callable[[], "AsyncTrackingClient"]) -> Report:
    """Send the rows of a file.

    Args:
        job: The file, and how.
        make_client: Makes the client, when the file is found to be in order.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
        OSError: The file can't be read.
    """
    with SourceText(job.source.file, job.source.encoding) as text, contextlib.ExitStack() as later:
        rows, books = later.enter_context(_opened(job, text))
        before, began = books.delivered + books.rejected, time.monotonic()
        client = make_client()
        display = later.enter_context(watched(job, text, "delivered", before=before))
        sender, error = asyncio.run(_send(job, client, rows, books, display))
        if isinstance(error, OtherFileError):
            raise error  # nothing was done that there is to report
        stopped_by = error if sender.stopped_by is None else signal.Signals(sender.stopped_by)
        return Report(
            good=books.delivered,
            rejected=books.rejected,
            rejects=books.rejects,
            rows=books.delivered + books.rejected - before,
            seconds=time.monotonic() - began,
            stopped_at=None if books.is_complete else books.stopped_at,
            stopped_by=stopped_by,
            can_resume=not books.is_complete and books.are_kept,
        )


async def _send(
    job: Job,
    client: "AsyncTrackingClient",
    rows: SourceRows,
    books: Books,
    display: "Display | None",
) -> tuple["Sender", Exception | None]:
    from sendx_async._cli.importing._sender import Sender  # noqa: PLC0415 - --help does without

    def show(sender: "Sender") -> None:
        if display is not None:
            display.show(position=sender.position, good=books.delivered, rejected=books.rejected)
            if sender.stopped_by is not None:
                display.say("Stopping: Ctrl-C again to stop at once")
            elif sender.waits_for is not None:
                display.say(f"Waiting for SendX ({sender.waits_for})")
            else:
                display.say(None)

    async with client:
        sender = Sender(
            client,
            rows,
            books,
            concurrency=job.concurrency,
            patience=job.patience,
            on_progress=show,
        )
        try:
            await sender.run()
        except (SendXError, OSError) as error:
            return sender, error
    return sender, None


@contextlib.contextmanager
def _opened(job: Job, text: SourceText) -> Generator[tuple[SourceRows, Books]]:
    path = job.progress_file
    if path is None and text.size is not None:
        path = Path(f"{job.source.file}.sendx-progress")
    if path is None and job.resumes:
        raise ConfigurationError(
            "--resume with standard input, or a pipe, needs --progress-file FILE, now and at the "
            "first time, and the same input from its beginning"
        )
    for other in (job.source.file, job.rejects):
        if path is not None and other is not None and path.absolute() == Path(other).absolute():
            raise ConfigurationError(f"--progress-file {path} must be a file of its own")
    progress = None if path is None else ProgressFile(path)
    try:
        earlier = _earlier(job, progress)
        rows = SourceRows(text, job.source, None if earlier is None else earlier.begun)
        options = rows.described() | {"base_url": job.base_url}
        if earlier is not None and not earlier.is_untouched:
            earlier.check(options, job.rejects)
        books = Books(progress, rejects_file(job, text, rows, earlier), options, earlier)
        books.take_rejects()
    except BaseException:
        if progress is not None:
            progress.close(remove=progress.document is None)
        raise
    try:
        yield rows, books
    finally:
        books.close()


def _earlier(job: Job, progress: ProgressFile | None) -> Earlier | None:
    """Return what an earlier import has left, if this one goes on with it."""
    document = None if progress is None else progress.document
    if progress is None or document is None:
        if job.resumes:
            # To begin would send all rows again, if it was the file's end that removed it.
            raise ConfigurationError(
                f"there is nothing to resume: no import of {job.name} has stopped before its end, "
                "or its progress file was moved. To import it from its first row leave out --resume"
            )
        return None
    try:
        earlier = Earlier.of(document, progress.path.absolute().parent)
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"{progress.path} can't be read: delete it to begin anew, without --resume"
        ) from None
    if not job.resumes and not earlier.is_untouched:
        raise ConfigurationError(
            f"an import of {job.name} was stopped at row {earlier.stopped_at}: go on with "
            f"--resume; to begin anew, delete {progress.path}, and the rejected rows"
        )
    return earlier


@contextlib.contextmanager
def watched(
    job: Job, text: SourceText, done: str, *, before: int = 0
) -> Generator["Display | None"]:
    """Show how far it has come, if a person watches.

    Args:
        job: What is done.
        text: The file.
        done: What a row is that was not rejected.
        before: How many rows were finished by an earlier process.
    """
    if not job.shows:
        yield None
        return
    from sendx_async._cli.importing._progress_bar import Display  # noqa: PLC0415 - it loads rich

    with Display(job.name, size=text.size, done=done, before=before) as display:
        yield display


def rejects_file(
    job: Job, text: SourceText, rows: SourceRows, earlier: Earlier | None
) -> RejectsFile:
    """Return the file for rejected rows: the one that is asked for, or one beside their own.

    Raises:
        ConfigurationError: It exists already, or isn't as an earlier import has left it.
        OSError: It can't be read.
    """
    if earlier is not None and not earlier.is_untouched:
        path = earlier.rejects
    elif job.rejects is not None:
        path = job.rejects
    elif text.size is None:
        path = Path("stdin.rejects.ndjson" if rows.is_json else "stdin.rejects.csv")
    else:
        file = Path(job.source.file)
        path = file.with_name(f"{file.stem}.rejects{file.suffix}")
    is_owned = earlier is not None and earlier.owns_rejects and path.absolute() == earlier.rejects
    return RejectsFile(
        path,
        encoding=text.encoding,
        header=rows.header,
        delimiter=rows.delimiter,
        written=earlier.written if earlier is not None and is_owned else None,
    )
