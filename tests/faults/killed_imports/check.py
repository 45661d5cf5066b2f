"""What must hold of an import, whoever was killed and whatever went wrong: a pure function."""

import collections
import itertools
from collections.abc import Iterator

from tests.faults.violations import Violation, violations

from .rows import COUNTER
from .run import History

_IN_DOUBT = "may have been applied"


class _Evidence:
    """A history, sorted by row."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.rows = {row.number: row for row in history.rows}
        self.reasons = dict(history.rejects)
        # Each application of a row: the request it came in, by its index.
        self.applied: dict[int, list[int]] = collections.defaultdict(list)
        for index, arrival in enumerate(history.arrivals):
            if arrival.applied:
                for number in arrival.rows:
                    self.applied[number].append(index)

    def process_of(self, index: int) -> int:
        return self.history.arrivals[index].process

    def again(self) -> Iterator[tuple[int, int, int]]:
        """Give the rows that were applied again, with one application and the next."""
        for number, indexes in self.applied.items():
            for first, second in itertools.pairwise(indexes):
                yield number, first, second


def check(history: History) -> list[Violation]:
    """Everything that is wrong with what an import came to."""
    return violations(_CHECKS, _Evidence(history))


def doubles_after_kills(history: History) -> list[int]:
    """How many rows each kill has had applied again."""
    evidence = _Evidence(history)
    counts = collections.Counter(
        evidence.process_of(first)
        for _, first, second in evidence.again()
        if evidence.process_of(first) != evidence.process_of(second)
    )
    return [counts[death.process] for death in history.deaths]


def _lost(evidence: _Evidence) -> Iterator[str]:
    for number, row in evidence.rows.items():
        is_sent = row.kind != "skipped" and number not in evidence.reasons
        if is_sent and not evidence.applied[number]:
            yield f"row {number}, {row.kind}, of {row.email}"


def _rejects(evidence: _Evidence) -> Iterator[str]:
    counts = collections.Counter(number for number, _ in evidence.history.rejects)
    for number, count in counts.items():
        if count > 1:
            yield f"row {number} is rejected {count} times"
    for number, row in evidence.rows.items():
        reason = evidence.reasons.get(number)
        if row.kind == "plain" and reason is not None:
            yield f"row {number} of {row.email} is rejected: {reason}"
        elif row.kind == "increment" and _IN_DOUBT not in (reason or _IN_DOUBT):
            yield f"the increment of row {number} is rejected: {reason}"
        elif row.kind == "bad" and reason is None:
            yield f"the bad row {number} is not rejected"
        elif row.kind == "refused" and (reason is None or not _tells_why(reason)):
            yield f"the refused row {number} is not rejected, or without telling why: {reason}"


def _tells_why(reason: str) -> bool:
    return "HTTP 422" in reason or _IN_DOUBT in reason


def _skipped(evidence: _Evidence) -> Iterator[str]:
    written = collections.Counter(evidence.history.skipped or ())
    for number, row in evidence.rows.items():
        if row.kind == "skipped" and (evidence.applied[number] or number in evidence.reasons):
            yield f"row {number} is to be skipped, and was not"
        expected = int(row.kind == "skipped")
        if evidence.history.skipped is not None and written[number] != expected:
            yield f"row {number}, {row.kind}, is among the skipped rows {written[number]} times"


def _logged(evidence: _Evidence) -> Iterator[str]:
    if evidence.history.logged is None:
        return
    for number, applied in evidence.applied.items():
        # A row that was refused the second time was applied by a process that was killed.
        is_delivered = applied and number not in evidence.reasons
        if is_delivered and number not in evidence.history.logged:
            yield f"row {number} is not in the log"


def _order(evidence: _Evidence) -> Iterator[str]:
    by_contact: dict[str, list[int]] = collections.defaultdict(list)
    for number, row in evidence.rows.items():
        if row.kind not in {"bad", "skipped"}:
            by_contact[row.email].append(number)
    for email, numbers in by_contact.items():
        # By process, since the next one may begin with a row that the one before had sent.
        sent = sorted((index, number) for number in numbers for index in evidence.applied[number])
        for (index, number), (after, following) in itertools.pairwise(sent):
            if following < number and evidence.process_of(index) == evidence.process_of(after):
                yield f"{email}: row {following} after row {number}"
        delivered = [number for number in numbers if number not in evidence.reasons]
        # What is in doubt and comes later may have the last word.
        last = [number for number in numbers if delivered and number >= delivered[-1]]
        held = evidence.history.contacts.get(email)
        if last and (held is None or held.first_name not in {f"row-{each}" for each in last}):
            yield f"{email} is as {held and held.first_name} says, not as row {delivered[-1]}"


def _twice(evidence: _Evidence) -> Iterator[str]:
    expected: dict[str, int] = collections.defaultdict(int)
    for number, row in evidence.rows.items():
        if row.kind == "increment":
            times = len(evidence.applied[number])
            expected[row.email] += times > 0
            if times > 1:
                yield f"the increment of row {number} was applied {times} times"
    for email, count in expected.items():
        held = evidence.history.contacts.get(email)
        counter = "0" if held is None else held.custom_fields.get(COUNTER, "0")
        if counter != str(count):
            yield f"{email} was incremented to {counter} by {count} rows"


def _finished(evidence: _Evidence) -> Iterator[str]:
    for death in evidence.history.deaths:
        for arrival in evidence.history.arrivals:
            if arrival.process > death.process and (
                again := death.finished.intersection(arrival.rows)
            ):
                yield f"rows {sorted(again)} after the kill of process {death.process}"


def _repeated(evidence: _Evidence) -> Iterator[str]:
    for number, first, second in evidence.again():
        arrival = evidence.history.arrivals[first]
        if arrival.status == 200 and arrival.process == evidence.process_of(second):
            yield f"row {number} by process {arrival.process}, which had been told that it was done"


def _counts(evidence: _Evidence) -> Iterator[str]:
    history, report = evidence.history, evidence.history.report
    rejected = len(history.rejects)
    skipped = sum(row.kind == "skipped" for row in history.rows)
    expected = {
        "complete": True,
        "rejected": rejected,
        "delivered": len(history.rows) - rejected - skipped,
        "stopped_by": None,
        "can_resume": False,
    }
    for name, value in expected.items():
        if report.get(name) != value:
            yield f"{name} is {report.get(name)!r}, and should be {value!r}"
    if sum(report["skipped"].values()) != skipped:
        yield f"skipped is {report['skipped']}, and should be {skipped} in all"
    if history.status != int(rejected > 0):
        yield f"exit status {history.status}"


_CHECKS = {
    "lost": _lost,
    "rejects": _rejects,
    "skipped": _skipped,
    "logged": _logged,
    "order": _order,
    "twice": _twice,
    "finished": _finished,
    "repeated": _repeated,
    "counts": _counts,
}
