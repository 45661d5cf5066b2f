"""What an import came to: how people and programs are told at its end, and its exit code."""

import json
import signal
from collections.abc import Mapping
from typing import Any

import attrs

from sendx_async._cli import _exit_codes, _output
from sendx_async._cli.importing.checking.doubts import DoubtfulFileError
from sendx_async._cli.importing.options import EarlyEnd, ImportOptions
from sendx_async._core.errors import OutageError, SendXError
from sendx_async._policy.failures import retry_after_of


@attrs.frozen(kw_only=True)
class ImportReport:
    """What an import, or a look at its file, came to.

    Attributes:
        good: How many rows SendX has, or could be sent; those of an earlier import included.
        rejected: How many can't be sent, or were refused.
        rejects: Where the rejected rows are; None if they are nowhere.
        skipped: How many were left out, by the reason.
        skips: Where the skipped rows are; None if they are nowhere.
        log: Where the delivered contacts are listed; None for nowhere.
        rows: How many rows were finished by this process.
        seconds: How long that took.
        stopped_at: The first row that isn't finished, as a spreadsheet counts; None if all are.
        stopped_by: What stopped it: a signal, an error, or an option; None if nothing did.
        can_resume: Whether there is something to go on with.
        people: How many different addresses this process has delivered, or could be sent to; None
            if they weren't counted.
        sent: How many contacts this process has sent, whatever SendX said.
        preview: What a look at the file has found, for people; empty if it isn't told at the end.
        facts: The same for programs.
        problems: Why the first rows can't be sent that can't be, likewise.
    """

    good: int
    rejected: int
    rejects: str | None
    skipped: Mapping[str, int] = attrs.field(factory=dict[str, int])
    skips: str | None = None
    log: str | None = None
    rows: int
    seconds: float
    stopped_at: int | None = None
    stopped_by: signal.Signals | Exception | EarlyEnd | None = None
    can_resume: bool = False
    people: int | None = None
    sent: int = 0
    preview: str = ""
    facts: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()

    @property
    def all_skipped(self) -> int:
        """How many rows were left out, for whatever reason."""
        return sum(self.skipped.values())


@attrs.frozen(kw_only=True)
class _Words:
    """What is said of an import, or of taking one's tags back."""

    row: str
    do: str
    did: str
    done: str
    can_be_done: str

    def rows(self, count: int) -> str:
        return f"1 {self.row}" if count == 1 else f"{count:,} {self.row}s"


_IMPORTING = _Words(
    row="row", do="import", did="Imported", done="delivered", can_be_done="can be sent"
)
_UNDOING = _Words(
    row="line",
    do="take back",
    did="Took back the tags of",
    done="done",
    can_be_done="can be taken back",
)
_NOT_UNDONE = (
    "Contacts, fields and lists stay as they are: SendX has no call that takes them back. A tag "
    "that a contact had before the import is gone as well."
)


def in_sentences(options: ImportOptions, report: ImportReport) -> str:
    """Return what a person is told of it.

    Args:
        options: What was to be done.
        report: What came of it.
    """
    words = _UNDOING if options.undoes_tags else _IMPORTING
    if options.is_dry_run:
        verb, good, rejected = "Looked at", words.can_be_done, "can't"
    else:
        verb, good, rejected = words.did, words.done, "rejected"
    if report.stopped_at is not None:
        verb = f"Stopped at {words.row} {report.stopped_at} of"
    counts = f"{words.rows(report.good)} {good}, {report.rejected:,} {rejected}{_skipped(report)}"
    effort = _effort(words, report)
    lines = [report.preview, ""] if report.preview else []
    lines += [f"{verb} {_output.printable(options.name)}: {counts} ({effort})."]
    if report.stopped_by == "max_rejects":
        lines.append("More rows were rejected than --max-rejects allows.")
    if report.rejects is not None and report.can_resume:
        lines.append(
            f"The rejected {words.row}s so far are in {report.rejects}, with the reasons: leave "
            f"that file alone until all {words.row}s are finished."
        )
    elif report.rejects is not None:
        lines.append(
            f"The rejected {words.row}s are in {report.rejects}, with the reasons: mend them, and "
            f"{words.do} that file."
        )
    if report.skips is not None:
        lines.append(f"The skipped rows are in {report.skips}, with the reasons.")
    lines += _way_on(options, report)
    if options.undoes_tags:
        lines.append(_NOT_UNDONE)
    return "\n".join(lines)


def _skipped(report: ImportReport) -> str:
    if not report.skipped:
        return ""
    reasons = ", ".join(
        f"{count:,} {_output.printable(reason)}" for reason, count in report.skipped.items()
    )
    return f", {report.all_skipped:,} skipped: {reasons}"


def _way_on(options: ImportOptions, report: ImportReport) -> list[str]:
    """Return what is told of how it can be gone on with."""
    if not report.can_resume:
        return []
    if report.stopped_by == "limit":
        way = (
            f"--limit {options.limit} is reached. Look at these contacts in SendX, then go on with "
            "the same command and --resume: without --limit for all others, with it for as many "
            "more."
        )
    elif report.stopped_by == "max_rejects":
        way = "When you have looked at the reasons, --resume goes on, and counts anew."
    else:
        way = "Go on with the same command and --resume; no finished row is sent again."
    return [way]


def _effort(words: _Words, report: ImportReport) -> str:
    """Return what this process has done, which may not be all."""
    parts = [f"{report.seconds:,.1f} s"]
    if report.rows < report.good + report.rejected + report.all_skipped:
        parts.insert(0, f"{words.rows(report.rows)} of them now")
    elif report.people is not None and report.people < report.good:
        parts.insert(0, _addresses(report.people))
    if report.seconds >= 1:
        parts.append(f"{report.rows / report.seconds:,.0f} {words.row}s/s")
    return ", ".join(parts)


def _addresses(count: int) -> str:
    return "1 address" if count == 1 else f"{count:,} different addresses"


def as_json(options: ImportOptions, report: ImportReport) -> str:
    """Return what came of it for a program; the arguments are those of `in_sentences`."""
    stopped_by = report.stopped_by
    summary: dict[str, Any] = {
        "file": options.source.file,
        "dry_run": options.is_dry_run,
        "undoes_tags": options.undoes_tags,
        ("good" if options.is_dry_run else "delivered"): report.good,
        "rejected": report.rejected,
        "rejects": report.rejects,
        "skipped": dict(report.skipped),
        "skipped_file": report.skips,
        "log": report.log,
        "complete": report.stopped_at is None,
        "stopped_at_row": report.stopped_at,
        "stopped_by": _named(stopped_by),
        "message": error_in_words(report),
        "can_resume": report.can_resume,
        "rows": report.rows,
        "people": report.people,
        "seconds": round(report.seconds, 3),
    }
    if report.facts is not None:
        summary["preview"] = report.facts
        details = stopped_by.details if isinstance(stopped_by, DoubtfulFileError) else {}
        summary["proposal"] = details.get("proposal")
        summary["proposals"] = details.get("proposals", [])
    return json.dumps(summary)


def _named(stopped_by: signal.Signals | Exception | EarlyEnd | None) -> str | None:
    if isinstance(stopped_by, signal.Signals):
        return stopped_by.name
    return type(stopped_by).__name__ if isinstance(stopped_by, Exception) else stopped_by


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
    if isinstance(report.stopped_by, Exception):
        return _exit_codes.USAGE
    return _exit_codes.REFUSED if report.rejected else _exit_codes.DONE
