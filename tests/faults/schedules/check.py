"""What must hold of every stream, whatever went wrong: pure functions over a record."""

import collections
from collections.abc import Callable, Iterator, Mapping

import attrs

from sendx_async import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotSentError,
    OutageError,
    Outcome,
    SendXError,
)
from tests.faults.violations import Violation, violations

from .plan import UNSAFE, Ending, Planned, mark_of
from .run import Record, SourceError
from .watch import Attempt, Exchange

_NOT_FINAL = frozenset({401, 403, 408, 425, 429})
_MAY_RAISE: Mapping[Ending, type[Exception]] = {
    "source raises": SourceError,
    "key refused": AuthenticationError,
    "given up": OutageError,
}


@attrs.frozen
class _Story:
    """All that is known of one request that the source gave."""

    index: int
    planned: Planned
    outcomes: list[Outcome]
    attempts: list[Attempt]
    deliveries: list[Exchange]

    @property
    def last(self) -> Exchange | None:
        return self.deliveries[-1] if self.deliveries else None


def check(record: Record) -> list[Violation]:
    """Everything that is wrong with what a schedule came to."""
    found = violations(_OF_A_STREAM, record)
    for index, planned in enumerate(record.schedule.requests[: record.given]):
        story = _Story(
            index,
            planned,
            [each for each in record.results if each.index == index],
            [each for each in record.attempts if index in each.indices],
            [each for each in record.deliveries if index in each.indices],
        )
        found += violations(_OF_A_REQUEST, story, about=f"{mark_of(index)} ")
    return found


def _by_contact(record: Record) -> Mapping[str, list[Exchange]]:
    """What came while the client waited for it, in the order in which it came."""
    found: dict[str, list[Exchange]] = collections.defaultdict(list)
    for delivery in record.deliveries:
        for contact in () if delivery.is_late else sorted(delivery.contacts):
            found[contact].append(delivery)
    return found


def _about(record: Record, contact: str, delivery: Exchange) -> list[int]:
    requests = record.schedule.requests
    return [index for index in delivery.indices if contact in requests[index].contacts]


def _disorder(record: Record) -> Iterator[str]:
    unsent = [each.index for each in record.results if isinstance(each.error, NotSentError)]
    for contact, deliveries in _by_contact(record).items():
        latest = -1
        for delivery in deliveries:
            for index in _about(record, contact, delivery):
                if index < latest:
                    yield f"{mark_of(index)} came after {mark_of(latest)}, both about {contact}"
                latest = max(latest, index)
        for index in unsent:
            if index < latest and contact in record.schedule.requests[index].contacts:
                yield f"{mark_of(latest)} was sent, {mark_of(index)} never, both about {contact}"


def _overlaps(record: Record) -> Iterator[str]:
    for contact, deliveries in _by_contact(record).items():
        before: Exchange | None = None
        for delivery in deliveries:
            own = _about(record, contact, delivery)
            if len(own) > 1:
                yield f"requests {own} are all about {contact}, and came in one"
            if before is not None and delivery.begun < before.in_flight_until:
                first = _about(record, contact, before)
                yield f"requests {own} came while {first} were in flight, all about {contact}"
            if before is None or delivery.in_flight_until > before.in_flight_until:
                before = delivery


def _excesses(record: Record) -> Iterator[str]:
    schedule = record.schedule
    punctual = [each for each in record.deliveries if not each.is_late]
    for delivery in punctual:
        if len(delivery.indices) > schedule.batch_size:
            yield f"too many requests in one: {delivery}"
        at_once = sum(each.begun <= delivery.begun < each.in_flight_until for each in punctual)
        if at_once > schedule.concurrency:
            yield f"{at_once} HTTP requests were in flight with: {delivery}"


def _wrong_ends(record: Record) -> Iterator[str]:
    schedule, error = record.schedule, record.error
    may_raise = _MAY_RAISE.get(schedule.ending)
    if error is not None and (may_raise is None or not isinstance(error, may_raise)):
        yield f"it raised {error!r}"
    if error is None and any(each.status == 401 for each in record.deliveries):
        yield "it did not raise that the key was refused"
    if schedule.ending != "left" and (error is None or isinstance(error, SourceError)):
        if record.unclaimed:
            yield f"it left {len(record.unclaimed)} outcomes behind"
        ends_after = len(schedule.requests) if error is None else schedule.ends_after
        if record.given != ends_after:
            yield f"it raised {error!r} when it had read {record.given} requests"


def _unasked(record: Record) -> Iterator[str]:
    for outcome in record.results:
        if not 0 <= outcome.index < record.given:
            yield f"{mark_of(outcome.index)} was never given: {outcome}"


def _doubled_attempts(record: Record) -> Iterator[str]:
    counts = collections.Counter(delivery.attempt for delivery in record.deliveries)
    for number, count in counts.items():
        if count > 1:
            yield f"attempt {number} came {count} times"


def _losses(story: _Story) -> Iterator[str]:
    if not story.outcomes:
        yield "has no outcome"


def _surplus(story: _Story) -> Iterator[str]:
    if len(story.outcomes) > 1:
        yield f"has {len(story.outcomes)} outcomes"


def _repetitions(story: _Story) -> Iterator[str]:
    if story.planned.kind not in UNSAFE:
        return
    for delivery in story.deliveries:
        if len(delivery.indices) > 1:
            yield f"travelled with others: {delivery}"
    for delivery in story.deliveries[:-1]:
        if not delivery.surely_refused:
            yield f"came again after: {delivery}"
    for attempt in story.attempts[:-1]:
        if attempt.is_ambiguous:
            yield f"was sent again after attempt {attempt.number}, which may have succeeded"


def _lies(story: _Story) -> Iterator[str]:
    for outcome in story.outcomes:
        error = outcome.error
        if outcome.request != story.planned.model(story.index):
            yield f"has the outcome of another request: {outcome}"
        if (error is None) == (outcome.response is None):
            yield f"has both a response and an error, or neither: {outcome}"
        if isinstance(error, InvalidRequestError) != (story.planned.kind == "junk"):
            yield f"was to be refused by the library if, and only if, it is junk: {outcome}"
        if error is None and (story.last is None or not story.last.accepted):
            yield f"was not accepted when it came last: {outcome}"
        if error is not None:
            for text in _lies_about_failure(story, error):
                yield f"{text}: {error!r}"


def _lies_about_failure(story: _Story, error: SendXError) -> Iterator[str]:
    may_be_applied = error.maybe_delivered and not isinstance(error, NotSentError)
    if not may_be_applied and any(each.applied for each in story.deliveries):
        yield "was applied, though its error says no"
    if may_be_applied and not any(each.is_ambiguous for each in story.attempts):
        yield "can't have been applied, though its error says maybe"
    if error.attempts != len(story.attempts):
        yield f"was attempted {len(story.attempts)} times, not {error.attempts}"
    if isinstance(error, ApiError) and _is_final(error.status_code):
        if story.last is None or story.last.status != error.status_code:
            yield f"was not refused like that when it came last, but: {story.last}"
        elif story.last.is_bulk:
            yield "was refused only together with others"


def _is_final(status: int) -> bool:
    return 200 <= status < 500 and not 300 <= status < 400 and status not in _NOT_FINAL


_OF_A_STREAM: Mapping[str, Callable[[Record], Iterator[str]]] = {
    "order": _disorder,
    "overlap": _overlaps,
    "limit": _excesses,
    "ending": _wrong_ends,
    "twice": _unasked,
    "repeated": _doubled_attempts,
}
_OF_A_REQUEST: Mapping[str, Callable[[_Story], Iterator[str]]] = {
    "lost": _losses,
    "twice": _surplus,
    "repeated": _repetitions,
    "failure_class": _lies,
}
