"""Taking back the tags that an import has given: a look at its log, or the sending."""

from collections import Counter

from sendx_async._cli.importing.delivering import deliver
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._cli.importing.reading.opening import Source
from sendx_async._cli.importing.reporting.summary import ImportReport
from sendx_async._cli.importing.sending.opening import rows_of
from sendx_async._runtime.real_time import monotonic


def undo(options: ImportOptions) -> ImportReport:
    """Return what came of taking back the tags that an import has given, by its log.

    Args:
        options: What is asked for; its file is the log. With ``is_dry_run`` contacts are counted,
            and nothing is sent.

    Raises:
        ConfigurationError: It can't be begun, or gone on with.
        OSError: A file can't be read or written.
    """
    with Source(options.source.file, options.source.reading) as source:
        return _counted(options, source) if options.is_dry_run else deliver(options, source)


def _counted(options: ImportOptions, source: Source) -> ImportReport:
    began, good, rejected = monotonic(), 0, 0
    skipped = Counter[str]()
    rows = rows_of(options, source)
    try:
        for row in rows:
            if row.skipped is not None:
                skipped[row.skipped] += 1
            elif row.problem is not None:
                rejected += 1
            else:
                good += 1
    finally:
        rows.close()
    return ImportReport(
        good=good,
        rejected=rejected,
        rejects=None,
        skipped=skipped,
        rows=good + rejected + skipped.total(),
        seconds=monotonic() - began,
    )
