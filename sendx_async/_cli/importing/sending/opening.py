"""What an import has open: its rows, checkpoint and files; made anew, or to go on with."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from sendx_async._cli.importing.address_count import AddressCount
from sendx_async._cli.importing.checking.rows import Begun, Row
from sendx_async._cli.importing.checking.source_rows import SourceRows
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.sending.checkpoint import Checkpoint
from sendx_async._cli.importing.sending.delivery_log import DeliveryLog
from sendx_async._cli.importing.sending.earlier_run import EarlierFile, EarlierRun, RowsSoFar
from sendx_async._cli.importing.sending.forms import form_of, rejects_path
from sendx_async._cli.importing.sending.import_log import ImportLog
from sendx_async._cli.importing.sending.logged_rows import LoggedRows
from sendx_async._cli.importing.sending.rows_file import (
    REJECTED,
    SKIPPED,
    Kind,
    RowsFile,
    Written,
)
from sendx_async._core.errors import ConfigurationError

_NOTHING = Begun()


class Rows(Protocol):
    """Rows that are still to be sent."""

    def described(self, base_url: str) -> Mapping[str, Any]:
        """Return what has to be the same when they are gone on with, as JSON carries it."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def close(self) -> None:
        """Forget what was kept of them."""
        ...


@contextlib.contextmanager
def opened(options: ImportOptions, source: Source) -> Generator[tuple[Rows, ImportLog]]:
    """Open what an import needs, for its first time or to go on; closes all of it.

    Args:
        options: What was asked for.
        source: The opened file.

    Returns:
        The rows that are still to be sent, and the log of what becomes of them.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
    """
    path = _checkpoint_path(options, source)
    checkpoint = None if path is None else Checkpoint(path)
    with contextlib.ExitStack() as later:
        try:
            people = later.enter_context(contextlib.closing(AddressCount()))
            earlier = _earlier_run(options, checkpoint)
            if earlier is not None and options.resumes:
                # As it was agreed to then: nobody is asked again.
                options = attrs.evolve(options, is_agreed=bool(earlier.options.get("agreed")))
            if earlier is None or earlier.is_untouched:
                rows = rows_of(options, source)
                later.callback(rows.close)
                log = _fresh(
                    options, source, checkpoint, rows=rows, people=people, untouched=earlier
                )
            else:
                rows = rows_of(options, source, earlier.rows.begun)
                later.callback(rows.close)
                log = _resumed(
                    options, source, checkpoint, rows=rows, people=people, earlier=earlier
                )
            log.take_files()
        except BaseException:
            if checkpoint is not None:
                checkpoint.close(remove=checkpoint.document is None)
            raise
        later.callback(log.close)
        yield rows, log


def _checkpoint_path(options: ImportOptions, source: Source) -> Path | None:
    path = options.checkpoint
    if path is None and source.size is not None:
        path = Path(f"{options.source.file}.sendx-progress")
    if path is None and options.resumes:
        raise ConfigurationError(
            "--resume with standard input, or a pipe, needs --progress-file FILE, now and at the "
            "first time, and the same input from its beginning"
        )
    _check_that_all_differ(options, path)
    return path


def _check_that_all_differ(options: ImportOptions, checkpoint: Path | None) -> None:
    taken = {Path(options.source.file).absolute()}
    for option, path in {
        "--rejects": options.rejects,
        "--skipped": options.skipped,
        "--log": options.log,
        "--progress-file": checkpoint,
    }.items():
        if path is None or (path.exists() and not path.is_file()):
            continue  # such as /dev/null, which may take several
        if path.absolute() in taken:
            raise ConfigurationError(f"{option} {path} must be a file of its own")
        taken.add(path.absolute())


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
    source: Source,
    checkpoint: Checkpoint | None,
    *,
    rows: Rows,
    people: AddressCount,
    untouched: EarlierRun | None,
) -> ImportLog:
    """Begin with the first row; an untouched run has left no more than its file of rejects."""
    path = options.rejects
    if path is None:
        path = rejects_path(source, options.source.file)
    written = None if untouched is None else untouched.rejects.written_in(path)
    skipped = None
    if options.skipped is not None:
        earlier = None if untouched is None else untouched.skipped
        known = None if earlier is None else earlier.written_in(options.skipped)
        skipped = rows_file(options.skipped, SKIPPED, options, source, known)
    return ImportLog(
        checkpoint,
        rejects=rows_file(path, REJECTED, options, source, written),
        skipped=skipped,
        deliveries=_delivery_log(options),
        options=rows.described(options.base_url),
        rows=RowsSoFar(),
        share=RowsSoFar().next_share(options.limit),
        people=people,
    )


def _resumed(
    options: ImportOptions,
    source: Source,
    checkpoint: Checkpoint | None,
    *,
    rows: Rows,
    people: AddressCount,
    earlier: EarlierRun,
) -> ImportLog:
    """Go on with an earlier run: with the same options, and its own files of rows."""
    described = rows.described(options.base_url)
    earlier.check(described, rejects=options.rejects, skipped=options.skipped)
    skipped = earlier.skipped
    return ImportLog(
        checkpoint,
        rejects=_gone_on_with(earlier.rejects, REJECTED, options, source),
        skipped=None if skipped is None else _gone_on_with(skipped, SKIPPED, options, source),
        deliveries=_delivery_log(options),
        options=described,
        rows=earlier.rows,
        share=earlier.rows.next_share(options.limit),
        people=people,
    )


def rows_of(options: ImportOptions, source: Source, begun: Begun = _NOTHING) -> Rows:
    """Return the rows of a file that are still to be sent.

    Args:
        options: What was asked for.
        source: The opened file.
        begun: How far an earlier import came.

    Raises:
        ConfigurationError: The file can't be used.
    """
    if options.undoes_tags:
        return LoggedRows(source, begun)
    return SourceRows(source, options, begun, sends_doubtful=options.is_agreed)


def _gone_on_with(
    file: EarlierFile, kind: Kind, options: ImportOptions, source: Source
) -> RowsFile:
    return rows_file(file.path, kind, options, source, file.written_in(file.path))


def _delivery_log(options: ImportOptions) -> DeliveryLog | None:
    if options.log is None:
        return None
    goes_on = options.resumes or options.adds_to_log
    return DeliveryLog(options.log, source=options.source.file, goes_on=goes_on)


def rows_file(
    path: Path,
    kind: Kind,
    options: ImportOptions,
    source: Source,
    written: Written | None = None,
) -> RowsFile:
    """Return a file of rows in a form that is read as the file that they come from.

    Args:
        path: Where.
        kind: Which rows.
        options: What was asked for.
        source: The file that they come from.
        written: How much of it an earlier import has written.
    """
    return RowsFile(path, kind, form_of(source, options.source), written)
