"""One import from beginning to end: looks at the file, sends it, and tells what came of it."""

import contextlib
from collections.abc import Callable

from sendx_async._cli.importing.checking.rows import SourceRows
from sendx_async._cli.importing.delivering import deliver
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reporting.bar import progress_bar
from sendx_async._cli.importing.reporting.summary import ImportReport
from sendx_async._cli.importing.sending.opening import rows_file
from sendx_async._cli.importing.sending.rows_file import REJECTED
from sendx_async._cli.importing.undoing import undo
from sendx_async._runtime.real_time import monotonic

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
    if options.undoes_tags:
        return undo(options)
    with Source(options.source.file, options.source.reading) as text:
        return _check(options, text, remark) if options.is_dry_run else deliver(options, text)


def _check(options: ImportOptions, text: Source, remark: Callable[[str], None]) -> ImportReport:
    """Look whether each row could be sent; rejected rows are written only if it is said where."""
    good = rejected = 0
    began = monotonic()
    with contextlib.ExitStack() as later:
        rows = SourceRows(text, options.source)
        path = options.rejects
        rejects = None if path is None else rows_file(path, REJECTED, options, text)
        bar = later.enter_context(progress_bar(options, text, "good"))
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
