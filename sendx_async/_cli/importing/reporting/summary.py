"""What an import came to: how people and programs are told at its end, and its exit code."""

import json
import signal

import attrs

from sendx_async._cli import _exit_codes, _output
from sendx_async._cli.importing.options import ImportOptions
from sendx_async._core.errors import OutageError, SendXError
from sendx_async._policy.failures import retry_after_of


@attrs.frozen(kw_only=True)
class ImportReport:
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


def in_sentences(options: ImportOptions, report: ImportReport) -> str:
    """Return what a person is told of it.

    Args:
        options: What was to be done.
        report: What came of it.
    """
    if options.is_dry_run:
        verb, good, rejected = "Looked at", "can be sent", "can't"
    elif report.stopped_at is not None:
        verb, good, rejected = f"Stopped at row {report.stopped_at} of", "delivered", "rejected"
    else:
        verb, good, rejected = "Imported", "delivered", "rejected"
    counts = f"{_rows(report.good)} {good}, {report.rejected:,} {rejected}"
    lines = [f"{verb} {_output.printable(options.name)}: {counts} ({_effort(report)})."]
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


def _effort(report: ImportReport) -> str:
    """Return what this process has done, which may not be all."""
    parts = [f"{report.seconds:,.1f} s"]
    if report.rows < report.good + report.rejected:
        parts.insert(0, f"{_rows(report.rows)} of them now")
    if report.seconds >= 1:
        parts.append(f"{report.rows / report.seconds:,.0f} rows/s")
    return ", ".join(parts)


def as_json(options: ImportOptions, report: ImportReport) -> str:
    """Return what came of it for a program; the arguments are those of `in_sentences`."""
    stopped_by = report.stopped_by
    summary = {
        "file": options.source.file,
        "dry_run": options.is_dry_run,
        ("good" if options.is_dry_run else "delivered"): report.good,
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
    return json.dumps(summary)


def error_in_words(report: ImportReport) -> str | None:
    """Return the text of the error that stopped it, or None if none did."""
    error = report.stopped_by
    if isinstance(error, OutageError):
        # Its own text tells programs where to find what is left. Rows that must not be sent twice
        # are among the rejected ones, so of the others it needs no saying what became of them.
        asked = retry_after_of(error)
        wait = "" if asked is None else f" It asks to wait {asked:g} s."
        reason = str(error.last).rstrip(".")
        return f"SendX is in trouble for too long: {reason}.{wait} Try again later."
    if isinstance(error, SendXError):
        return _output.error_in_words(error)
    if isinstance(error, OSError):
        return _output.file_error_in_words(error)
    return None


def exit_code(report: ImportReport) -> int:
    """Return the exit code."""
    if isinstance(report.stopped_by, signal.Signals):
        return _exit_codes.code_of_signal(report.stopped_by)
    if isinstance(report.stopped_by, SendXError):
        return _exit_codes.code_of_error(report.stopped_by)
    if report.stopped_by is not None:
        return _exit_codes.USAGE
    return _exit_codes.REFUSED if report.rejected else _exit_codes.DONE
