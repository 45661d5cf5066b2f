"""Looks at a file as an import would, and sends nothing."""

import contextlib
import time
from collections.abc import Callable

from sendx_async._cli.importing._rows import SourceRows
from sendx_async._cli.importing._run import Job, Report, rejects_file, watched
from sendx_async._cli.importing._text import SourceText

_PROBLEMS_TOLD = 20


def check_rows(job: Job, remark: Callable[[str], None]) -> Report:
    """Look whether each row of a file could be sent; send nothing.

    Args:
        job: The file; rejected rows are written only if it says where.
        remark: Tells a person something.

    Raises:
        ConfigurationError: The file can't be used.
        OSError: The file can't be read, or the rejected rows not written.
    """
    good = rejected = 0
    began = time.monotonic()
    with SourceText(job.source.file, job.source.encoding) as text, contextlib.ExitStack() as later:
        rows = SourceRows(text, job.source)
        rejects = None if job.rejects is None else rejects_file(job, text, rows, None)
        display = later.enter_context(watched(job, text, "good"))
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
            if display is not None:
                display.show(position=row.position, good=good, rejected=rejected)
    return Report(
        good=good,
        rejected=rejected,
        rejects=None if rejects is None or not rejected else str(rejects.path),
        rows=good + rejected,
        seconds=time.monotonic() - began,
    )
