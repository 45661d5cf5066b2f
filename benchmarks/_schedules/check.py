"""What must hold of every stream, whatever went wrong: pure functions over a record."""

import collections
from collections.abc import Callable, Iterator, Mapping

import attrs
from _schedules.plan import UNSAFE, mark_of
from _schedules.run import Record, SourceError
from _schedules.watch import Delivery

from sendx_async import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotSentError,
    OutageError,
    Outcome,
    ResponseDecodeError,
)

KINDS: Mapping[str, str] = {
    "order": "requests of a contact out of order",
    "overlap": "requests of a contact in flight at once",
    "lost": "outcomes lost",
    "twice": "outcomes given twice",
    "repeated": "sent again though not safe to repeat",
    "verdict": "outcomes that say what isn't so",
    "limit": "more at once than allowed",
    "ending": "streams that ended otherwise than they should",
}
"""The kinds of violations, and what they mean."""

_FOR_NOW = frozenset({408, 425, 429})


@attrs.frozen
class Violation:
    """Something that must not be."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def check(record: Record) -> list[Violation]:
    """Everything that is wrong with what a schedule came to."""
    return [
        Violation(kind, text)
        for kind, find in _CHECKS
        for text in find(record)
    ]


def _results(record: Record) -> list[Outcome]:
    return [*record.outcomes, *record.unclaimed]


def _deliveries_by_index(record: Record) -> Mapping[int, list[Delivery]]:
    found: dict[int, list[Delivery]] = {index: [] for index in range(len(record.schedule.requests))}
    for delivery in record.deliveries:
        for index in delivery.indices:
            found[index].append(delivery)
    return found


def _deliveries_by_contact(record: Record) -> Mapping[str, list[Delivery]]:
    """Those that the client waited for while they came, in the order in which they came."""
    found: dict[str, list[Delivery]] = collections.defaultdict(list)
    for delivery in record.deliveries:
        for contact in () if delivery.is_late else sorted(delivery.contacts):
            found[contact].append(delivery)
    return found


def _own(record: Record, delivery: Delivery, contact: str) -> list[int]:
    requests = record.schedule.requests
    return [index for index in delivery.indices if contact in requests[index].contacts]


def _disorder(record: Record) -> Iterator[str]:
    for contact, deliveries in _deliveries_by_contact(record).items():
        latest = -1
        for delivery in deliveries:
            for index in _own(record, delivery, contact):
                if index < latest:
                    yield f"{mark_of(index)} came after {mark_of(latest)}, both about {contact}"
                latest = max(latest, index)
        unsent = [each.index for each in _results(record) if isinstance(each.error, NotSentError)]
        for index in unsent:
            if index < latest and contact in record.schedule.requests[index].contacts:
                yield f"{mark_of(latest)} was sent, {mark_of(index)} never, both about {contact}"


def _overlaps(record: Record) -> Iterator[str]:
    for contact, deliveries in _deliveries_by_contact(record).items():
        before: Delivery | None = None
        for delivery in deliveries:
            own = _own(record, delivery, contact)
            if len(own) > 1:
                yield f"{own} are all about {contact}, and in one request"
            if before is not None and delivery.begun < before.in_flight_until:
                first = _own(record, before, contact)
                yield f"{own} came while {first} was in flight, both about {contact}"
            if before is None or delivery.in_flight_until > before.in_flight_until:
                before = delivery


def _counts(record: Record) -> collections.Counter[int]:
    return collections.Counter(outcome.index for outcome in _results(record))


def _losses(record: Record) -> Iterator[str]:
    counts = _counts(record)
    for index in range(record.given):
        if not counts[index]:
            yield f"{mark_of(index)} has no outcome"


def _surplus(record: Record) -> Iterator[str]:
    for index, count in sorted(_counts(record).items()):
        if count > 1:
            yield f"{mark_of(index)} has {count} outcomes"
        if not 0 <= index < record.given:
            yield f"{mark_of(index)} has an outcome, but only {record.given} were given"


def _repetitions(record: Record) -> Iterator[str]:
    attempts = collections.Counter(delivery.attempt for delivery in record.deliveries)
    for number, count in attempts.items():
        if count > 1:
            yield f"attempt {number} came {count} times"
    for index, deliveries in _deliveries_by_index(record).items():
        if record.schedule.requests[index].kind not in UNSAFE:
            continue
        for delivery in deliveries:
            if len(delivery.indices) > 1:
                yield f"{mark_of(index)} was sent with others, so that it may be sent again"
        for delivery in deliveries[:-1]:
            if not delivery.surely_refused:
                yield f"{mark_of(index)} was sent again after: {delivery}"
        own = [attempt for attempt in record.attempts if index in attempt.indices]
        for attempt in own[:-1]:
            if attempt.is_ambiguous:
                yield f"{mark_of(index)} was tried again after attempt {attempt.number}"


def _lies(record: Record) -> Iterator[str]:
    deliveries = _deliveries_by_index(record)
    for outcome in _results(record):
        if 0 <= outcome.index < record.given:
            for text in _lies_of(record, outcome, deliveries[outcome.index]):
                yield f"{mark_of(outcome.index)} {text}; the outcome is {outcome.error!r}"


def _lies_of(record: Record, outcome: Outcome, deliveries: list[Delivery]) -> Iterator[str]:
    planned = record.schedule.requests[outcome.index]
    error = outcome.error
    if outcome.request != planned.model(outcome.index):
        yield "has the outcome of another request"
    if (error is None) == (outcome.response is None):
        yield "has both a response and an error, or neither"
    if isinstance(error, InvalidRequestError) != (planned.kind == "junk"):
        yield "is refused by the library if, and only if, it is junk"
    succeeded = error is None or isinstance(error, ResponseDecodeError)
    if succeeded and not (deliveries and deliveries[-1].accepted):
        yield "was not accepted when it was sent last"
    if error is None:
        return
    if any(each.applied for each in deliveries):
        if not error.maybe_delivered or isinstance(error, NotSentError):
            yield "was applied"
    if isinstance(error, ApiError) and _is_final(error.status_code):
        if not deliveries or deliveries[-1].status != error.status_code:
            yield "was not refused like that when it was sent last"
        elif deliveries[-1].is_bulk:
            yield "was refused together with others"
    if error.attempts != _attempts_of(record, outcome.index):
        yield f"was attempted {_attempts_of(record, outcome.index)} times"


def _is_final(status: int) -> bool:
    return 400 <= status < 500 and status not in {401, 403, *_FOR_NOW}


def _attempts_of(record: Record, index: int) -> int:
    return sum(index in attempt.indices for attempt in record.attempts)


def _excesses(record: Record) -> Iterator[str]:
    schedule = record.schedule
    for delivery in record.deliveries:
        if len(delivery.indices) > schedule.batch_size:
            yield f"{len(delivery.indices)} requests in one: {delivery}"
    punctual = [each for each in record.deliveries if not each.is_late]
    for delivery in punctual:
        others = sum(
            each.begun <= delivery.begun < each.in_flight_until for each in punctual
        )
        if others > schedule.concurrency:
            yield f"{others} HTTP requests were in flight, with: {delivery}"


def _wrong_ends(record: Record) -> Iterator[str]:
    schedule, error = record.schedule, record.error
    may_end_with: Mapping[str, tuple[type[Exception], ...]] = {
        "source raises": (SourceError,),
        "key refused": (AuthenticationError,),
        "given up": (OutageError,),
    }
    if error is not None and not isinstance(error, may_end_with.get(schedule.ending, ())):
        yield f"it raised {error!r}"
    if schedule.ending == "source raises" and schedule.ends_after < len(schedule.requests):
        if error is None:
            yield "it did not raise what the source raised"
    if schedule.ending in {"all sent", "source raises"} and record.unclaimed:
        yield f"it left {len(record.unclaimed)} outcomes behind"
    if schedule.ending == "all sent" and error is None and record.given < len(schedule.requests):
        yield f"it read only {record.given} requests"


_CHECKS: tuple[tuple[str, Callable[[Record], Iterator[str]]], ...] = (
    ("order", _disorder),
    ("overlap", _overlaps),
    ("lost", _losses),
    ("twice", _surplus),
    ("repeated", _repetitions),
    ("verdict", _lies),
    ("limit", _excesses),
    ("ending", _wrong_ends),
)
