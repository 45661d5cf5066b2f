"""What is said at the end of an import, to people and to programs, and its exit status."""

import signal
from typing import Any

from sendx_async._cli import _exit_codes
from sendx_async._cli._output import printable
from sendx_async._cli._report import in_words, of_a_file
from sendx_async._cli.importing._run import Job, Report
from sendx_async._core.errors import ApiError, OutageError, SendXError

_SIGNAL_STATUSES = {signal.SIGINT: _exit_codes.INTERRUPTED, signal.SIGTERM: _exit_codes.TERMINATED}


def in_sentences(job: Job, report: Report, *, sent: bool) -> str:
    """Tell a person what came of it.

    Args:
        job: What was to be done.
        report: What came of it.
        sent: Whether it was sent, and not only looked at.
    """
    if not sent:
        verb, good, rejected = "Looked at", "can be sent", "can't"
    elif report.stopped_at is not None:
        verb, good, rejected = f"Stopped at row {report.stopped_at} of", "delivered", "rejected"
    else:
        verb, good, rejected = "Imported", "delivered", "rejected"
    counts = f"{_rows(report.good)} {good}, {report.rejected:,} {rejected}"
    lines = [f"{verb} {printable(job.name)}: {counts} ({_effort(report)})."]
    if report.rejects is not None and report.can_resume:
        lines.append(
            f"The rejected rows so far are in {report.rejects}, with the reasons: leave that file "
            "alone until all rows are imported."
        )
    elif report.rejects is not None:
        lines.append(
            f"The rejected rows are in {report.rejects}, with the reasons: mend them, and import "
            "that file."
        )
    if report.can_resume:
        lines.append("Go on with the same command and --resume; no finished row is sent again.")
    return "\n".join(lines)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _effort(report: Report) -> str:
    """Tell what this process has done, which may not be all."""
    parts = [f"{report.seconds:,.1f} s"]
    if report.rows < report.good + report.rejected:
        parts.insert(0, f"{_rows(report.rows)} of them now")
    if report.seconds >= 1:
        parts.append(f"{report.rows / report.seconds:,.0f} rows/s")
    return ", ".join(parts)


def as_json(job: Job, report: Report, *, sent: bool) -> dict[str, Any]:
    """Tell a program what came of it; the arguments are those of `in_sentences`."""
    stopped_by = report.stopped_by
    return {
        "file": job.source.file,
        "dry_run": not sent,
        ("delivered" if sent else "good"): report.good,
        "rejected": report.rejected,
        "rejects": report.rejects,
        "complete": report.stopped_at is None,
        "stopped_at_row": report.stopped_at,
        "stopped_by": stopped_by.name
        if isinstance(stopped_by, signal.Signals)
        else stopped_by and type(stopped_by).__name__,
        "message": error_in_words(report),
        "can_resume": report.can_resume,
        "rows": report.rows,
        "seconds": round(report.seconds, 3),
    }


def error_in_words(report: Report) -> str | None:
    """Tell what stopped it, if it was an error."""
    error = report.stopped_by
    if isinstance(error, OutageError):
        # Its own text tells programs where to find what is left. Rows that must not be sent twice
        # are among the rejected ones, so of the others it needs no saying what became of them.
        asked = error.last.retry_after if isinstance(error.last, ApiError) else None
        wait = "" if asked is None else f" It asks to wait {asked:g} s."
        reason = str(error.last).rstrip(".")
        return f"SendX is in trouble for too long: {reason}.{wait} Try again later."
    if isinstance(error, SendXError):
        return in_words(error)
    if isinstance(error, OSError):
        return of_a_file(error)
    return None


def status(report: Report) -> int:
    """Return the exit status."""
    if isinstance(report.stopped_by, signal.Signals):
        return _SIGNAL_STATUSES[report.stopped_by]
    if isinstance(report.stopped_by, SendXError):
        return _exit_codes.status_of(report.stopped_by)
    if report.stopped_by is not None:
        return _exit_codes.USAGE
    return _exit_codes.REFUSED if report.rejected else _exit_codes.DONE
