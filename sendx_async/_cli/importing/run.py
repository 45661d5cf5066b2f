"""One import from beginning to end: opens what it needs, sends, and tells what came of it."""

import contextlib
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

from sendx_async._cli._exit_codes import run_in_loop
from sendx_async._cli._options import make_client
from sendx_async._cli.importing.checking.rows import OtherFileError, SourceRows
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.text import SourceText
from sendx_async._cli.importing.reporting.summary import ImportReport
from sendx_async._cli.importing.sending.checkpoint import Checkpoint
from sendx_async._cli.importing.sending.import_log import EarlierRun, ImportLog, RowsSoFar
from sendx_async._cli.importing.sending.rejects import RejectsFile, Written
from sendx_async._core.errors import ConfigurationError, SendXError
from sendx_async._runtime.real_time import monotonic

if TYPE_CHECKING:
    from sendx_async._cli.importing.reporting.progress_bar import ProgressBar
    from sendx_async._cli.importing.sending.sender import Sender
    from sendx_async._clients.async_client import AsyncTrackingClient

_PROBLEMS_TOLD = 20


def run(options: ImportOptions, remark: Callable[[str], None]) -> ImportReport:
    """Import a file, or only look at it, as the options say.

    Args:
        options: The file, and how.
        remark: Tells a person something.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
        OSError: The file can't be read.
    """
    with SourceText(options.source.file, options.source.encoding) as text:
        return _check(options, text, remark) if options.is_dry_run else _import(options, text)


def _check(options: ImportOptions, text: SourceText, remark: Callable[[str], None]) -> ImportReport:
    """Look whether each row could be sent; rejected rows are written only if it is said where."""
    good = rejected = 0
    began = monotonic()
    with contextlib.ExitStack() as later:
        rows = SourceRows(text, options.source)
        rejects = None if options.rejects is None else _rejects_file(options.rejects, text, rows)
        bar = later.enter_context(_progress_bar(options, text, "good"))
        if rejects is not None:
            rejects.open()
            later.callback(rejects.close)
        for row in rows:
            if row.problem is None:
                good += 1
            else:
                rejected += 1
                if rejected <= _PROBLEMS_TOLD:
                    remark(f"row {row.record.number}: {row.problem}")
                if rejects is not None:
                    rejects.add(row.record, row.problem)
                    rejects.write()
            if bar is not None:
                bar.show(position=row.position, good=good, rejected=rejected)
    return ImportReport(
        good=good,
        rejected=rejected,
        rejects=None if rejects is None or not rejected else str(rejects.path),
        rows=good + rejected,
        seconds=monotonic() - began,
    )


def _import(options: ImportOptions, text: SourceText) -> ImportReport:
    with contextlib.ExitStack() as later:
        rows, log = later.enter_context(_opened(options, text))
        before, began = log.delivered + log.rejected, monotonic()
        # The key is asked for when the file is found to be in order.
        client = make_client(base_url=options.base_url, rate=options.rate)
        bar = later.enter_context(_progress_bar(options, text, "delivered", before=before))
        sender, error = run_in_loop(lambda: _send(options, client, rows, log, bar))
        if isinstance(error, OtherFileError):
            raise error  # nothing was done that there is to report
        stopped_by = error if sender.stopped_by is None else signal.Signals(sender.stopped_by)
        return ImportReport(
            good=log.delivered,
            rejected=log.rejected,
            rejects=log.rejects,
            rows=log.delivered + log.rejected - before,
            seconds=monotonic() - began,
            stopped_at=None if log.is_complete else log.stopped_at,
            stopped_by=stopped_by,
            can_resume=not log.is_complete and log.is_kept,
        )


async def _send(
    options: ImportOptions,
    client: "AsyncTrackingClient",
    rows: SourceRows,
    log: ImportLog,
    bar: "ProgressBar | None",
) -> tuple["Sender", Exception | None]:
    from sendx_async._cli.importing.sending.sender import Sender  # noqa: PLC0415 - --dry-run does without

    def show(sender: "Sender") -> None:
        if bar is not None:
            bar.show(position=sender.position, good=log.delivered, rejected=log.rejected)
            if sender.stopped_by is not None:
                bar.say("Stopping: Ctrl-C again to stop at once")
            elif sender.waits_for is not None:
                bar.say(f"Waiting for SendX ({sender.waits_for})")
            else:
                bar.say(None)

    async with client:
        sender = Sender(
            client,
            rows,
            log,
            concurrency=options.concurrency,
            patience=options.patience,
            on_progress=show,
        )
        try:
            await sender.run()
        except (SendXError, OSError) as error:
            return sender, error
    return sender, None


@contextlib.contextmanager
def _opened(options: ImportOptions, text: SourceText) -> Generator[tuple[SourceRows, ImportLog]]:
    path = _checkpoint_path(options, text)
    checkpoint = None if path is None else Checkpoint(path)
    try:
        earlier = _earlier_run(options, checkpoint)
        if earlier is None or earlier.is_untouched:
            rows, log = _fresh(options, text, checkpoint, earlier)
        else:
            rows, log = _resumed(options, text, checkpoint, earlier)
        log.take_rejects()
    except BaseException:
        if checkpoint is not None:
            checkpoint.close(remove=checkpoint.document is None)
        raise
    try:
        yield rows, log
    finally:
        log.close()


def _checkpoint_path(options: ImportOptions, text: SourceText) -> Path | None:
    path = options.checkpoint
    if path is None and text.size is not None:
        path = Path(f"{options.source.file}.sendx-progress")
    if path is None and options.resumes:
        raise ConfigurationError(
            "--resume with standard input, or a pipe, needs --progress-file FILE, now and at the "
            "first time, and the same input from its beginning"
        )
    for other in (options.source.file, options.rejects):
        if path is not None and other is not None and path.absolute() == Path(other).absolute():
            raise ConfigurationError(f"--progress-file {path} must be a file of its own")
    return path


def _earlier_run(options: ImportOptions, checkpoint: Checkpoint | None) -> EarlierRun | None:
    """Return what an earlier import has left, if there was one.

    Raises:
        ConfigurationError: It was asked to go on and there is none, or not and there is one.
    """
    if checkpoint is None or checkpoint.document is None:
        if options.resumes:
            # To begin would send all rows again, if it was the file's end that removed it.
            raise ConfigurationError(
                f"there is nothing to resume: no import of {options.name} has stopped before its "
                "end, or its progress file was moved. To import it from its first row leave out "
                "--resume"
            )
        return None
    try:
        earlier = EarlierRun.of(checkpoint.document, checkpoint.path.absolute().parent)
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"{checkpoint.path} can't be read: delete it to begin anew, without --resume"
        ) from None
    if not options.resumes and not earlier.is_untouched:
        raise ConfigurationError(
            f"an import of {options.name} was stopped at row {earlier.rows.stopped_at}: go on with "
            f"--resume; to begin anew, delete {checkpoint.path}, and the rejected rows"
        )
    return earlier


def _fresh(
    options: ImportOptions,
    text: SourceText,
    checkpoint: Checkpoint | None,
    untouched: EarlierRun | None,
) -> tuple[SourceRows, ImportLog]:
    """Begin with the first row; an untouched run has left no more than its file of rejects."""
    rows = SourceRows(text, options.source)
    if options.rejects is not None:
        path = options.rejects
    elif text.size is None:
        path = Path("stdin.rejects.ndjson" if rows.is_json else "stdin.rejects.csv")
    else:
        file = Path(options.source.file)
        path = file.with_name(f"{file.stem}.rejects{file.suffix}")
    written = None if untouched is None else untouched.written_in(path)
    rejects = _rejects_file(path, text, rows, written)
    return rows, ImportLog(checkpoint, rejects, rows.described(options.base_url), RowsSoFar())


def _resumed(
    options: ImportOptions, text: SourceText, checkpoint: Checkpoint | None, earlier: EarlierRun
) -> tuple[SourceRows, ImportLog]:
    """Go on with an earlier run: with the same options, and its own file of rejects."""
    rows = SourceRows(text, options.source, earlier.rows.begun)
    described = rows.described(options.base_url)
    earlier.check(described, options.rejects)
    path = earlier.rejects
    rejects = _rejects_file(path, text, rows, earlier.written_in(path))
    return rows, ImportLog(checkpoint, rejects, described, earlier.rows)


def _rejects_file(
    path: Path, text: SourceText, rows: SourceRows, written: Written | None = None
) -> RejectsFile:
    return RejectsFile(
        path,
        encoding=text.encoding,
        header=rows.header,
        delimiter=rows.delimiter,
        written=written,
    )


@contextlib.contextmanager
def _progress_bar(
    options: ImportOptions, text: SourceText, done: str, *, before: int = 0
) -> Generator["ProgressBar | None"]:
    """Show how far it has come, if a person watches."""
    if not options.is_watched:
        yield None
        return
    from sendx_async._cli.importing.reporting.progress_bar import ProgressBar  # noqa: PLC0415 - it loads rich

    with ProgressBar(options.name, size=text.size, done=done, before=before) as bar:
        yield bar
