"""What an import has open: its rows, checkpoint and files; made anew, or to go on with."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from sendx_async._cli.importing.checking.rows import SourceRows
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.sending.checkpoint import Checkpoint
from sendx_async._cli.importing.sending.import_log import EarlierRun, ImportLog, RowsSoFar
from sendx_async._cli.importing.sending.rejects import RejectsFile, Written
from sendx_async._core.errors import ConfigurationError


@contextlib.contextmanager
def opened(options: ImportOptions, text: Source) -> Generator[tuple[SourceRows, ImportLog]]:
    """Open what an import needs, for its first time or to go on; closes all of it.

    Args:
        options: What was asked for.
        text: The opened file.

    Returns:
        The rows that are still to be sent, and the log of what becomes of them.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
    """
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


def _checkpoint_path(options: ImportOptions, text: Source) -> Path | None:
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
    text: Source,
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
    rejects = rejects_file(path, text, rows, written)
    return rows, ImportLog(checkpoint, rejects, rows.described(options.base_url), RowsSoFar())


def _resumed(
    options: ImportOptions, text: Source, checkpoint: Checkpoint | None, earlier: EarlierRun
) -> tuple[SourceRows, ImportLog]:
    """Go on with an earlier run: with the same options, and its own file of rejects."""
    rows = SourceRows(text, options.source, earlier.rows.begun)
    described = rows.described(options.base_url)
    earlier.check(described, options.rejects)
    path = earlier.rejects
    rejects = rejects_file(path, text, rows, earlier.written_in(path))
    return rows, ImportLog(checkpoint, rejects, described, earlier.rows)


def rejects_file(
    path: Path, text: Source, rows: SourceRows, written: Written | None = None
) -> RejectsFile:
    """Return the file of rejected rows in the form of the file that they come from."""
    return RejectsFile(
        path,
        encoding=text.encoding,
        header=rows.header,
        delimiter=rows.delimiter,
        written=written,
    )
