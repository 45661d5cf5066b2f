"""What must hold of an outbox, whoever was killed and whatever went wrong: a pure function."""

import collections
import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import attrs

from tests.faults.violations import Violation, violations

from .history import Arrival, Aside, Death, History, Stored


@attrs.frozen
class Duplicate:
    """A message that was applied again, and why it may have been: no cause, no excuse."""

    mark: str
    first: Arrival
    again: Arrival
    cause: str


@attrs.frozen
class _Story:
    """All that is known of one request."""

    mark: str
    stored: Stored
    arrivals: list[Arrival]
    aside: Aside | None

    @property
    def applications(self) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.applied]


class _Evidence:
    """A history, sorted by request."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.dead = {death.process: death for death in history.deaths}
        self.drainer_deaths = [death for death in history.deaths if death.is_drainer]
        arrivals: dict[str, list[Arrival]] = collections.defaultdict(list)
        for arrival in history.arrivals:
            for mark in arrival.marks:
                arrivals[mark].append(arrival)
        aside = {each.mark: each for each in history.aside}
        self.unasked = sorted((arrivals.keys() | aside.keys()) - history.stored.keys())
        self.stories = {
            mark: _Story(mark, stored, arrivals[mark], aside.get(mark))
            for mark, stored in history.stored.items()
        }
        self.by_contact: dict[str, list[_Story]] = collections.defaultdict(list)
        for story in self.stories.values():
            self.by_contact[story.stored.contact].append(story)
        for stories in self.by_contact.values():
            stories.sort(key=lambda story: story.stored.place)


def check(history: History) -> list[Violation]:
    """Everything that is wrong with what a run came to."""
    return violations(CHECKS, _Evidence(history))


def duplicates(history: History) -> list[Duplicate]:
    """What was applied again."""
    return list(_duplicates(_Evidence(history)))


def _losses(evidence: _Evidence) -> Iterator[str]:
    for story in evidence.stories.values():
        # What was sent was in the outbox, whether or not its producer lived to say so.
        was_stored = story.stored.delivery_id is not None or story.arrivals
        if was_stored and not story.applications and story.aside is None:
            yield f"{story.mark} was stored, and neither applied nor put aside: {story.arrivals}"


def _disorder(evidence: _Evidence) -> Iterator[str]:
    """Contacts, each told once, that had a request sent before an earlier one was settled."""
    for contact, stories in evidence.by_contact.items():
        problem = _first_disorder(evidence, stories)
        if problem is not None:
            yield f"{contact} {problem}"


def _first_disorder(evidence: _Evidence, stories: list[_Story]) -> str | None:
    settled_at, before = -math.inf, ""
    latest: dict[str, tuple[int, str]] = {}
    for story in stories:
        # Of what is lost nobody knows when it should have been sent, and it is told elsewhere.
        if story.arrivals and story.arrivals[0].tick <= settled_at:
            return f"had {story.mark} sent when {before} was neither applied nor put aside"
        settling = _settled_at(evidence, story)
        if settling >= settled_at:
            settled_at, before = settling, story.mark
    sent = (
        (arrival.tick, story.stored.place, arrival.drainer, story.mark)
        for story in stories
        for arrival in story.arrivals
    )
    for _, place, drainer, mark in sorted(sent):
        last_place, last_mark = latest.get(drainer, (place, mark))
        if last_place > place:
            return f"had {mark} sent after {last_mark} by the same process"
        latest[drainer] = (place, mark)
    return None


def _settled_at(evidence: _Evidence, story: _Story) -> float:
    """When what comes after this might be sent."""
    for arrival in story.arrivals:
        is_in_doubt = not story.stored.is_safe and not arrival.is_clear
        # Who died before it could write that down sends it again, and what came after it, too.
        if arrival.applied or arrival.refuses_for_good or is_in_doubt:
            return arrival.tick
    if story.aside is None:
        return -math.inf
    # It was about to be sent again, or for the first time, when a drainer died; or it was read when
    # who had sent it was dead.
    since = -1
    if story.arrivals:
        last = story.arrivals[-1]
        since = last.tick
        if last.drainer in evidence.dead and evidence.dead[last.drainer].tick < since:
            return since
    return min((each.tick for each in evidence.drainer_deaths if each.tick > since), default=since)


def _doubled(evidence: _Evidence) -> Iterator[str]:
    for story in evidence.stories.values():
        if not story.stored.is_safe and len(story.applications) > 1:
            yield f"{story.mark} was applied {len(story.applications)} times: {story.applications}"


def _duplicates(evidence: _Evidence) -> Iterator[Duplicate]:
    for story in evidence.stories.values():
        for first, again in itertools.pairwise(story.applications):
            yield Duplicate(story.mark, first, again, _cause(evidence.dead, first, again))


def _cause(dead: Mapping[str, Death], first: Arrival, again: Arrival) -> str:
    if not first.is_clear:
        return "lost answer"
    death = dead.get(first.drainer)
    # Who sent it first may have died without having written down that it succeeded. It may also
    # have died with the request on its way: the server reads that later, but before all that comes
    # by a connection that is made later, since both are on this machine.
    is_of_another = again.drainer != first.drainer
    return "killed process" if death and is_of_another and death.tick < again.tick else ""


def _repetitions(evidence: _Evidence) -> Iterator[str]:
    for duplicate in _duplicates(evidence):
        if not duplicate.cause:
            yield f"{duplicate.mark} was applied again: {duplicate.first}, {duplicate.again}"


def _unreasonable(evidence: _Evidence) -> Iterator[str]:
    for story in evidence.stories.values():
        aside = story.aside
        if aside is None:
            continue
        if story.stored.delivery_id not in {None, aside.delivery_id}:
            yield f"{story.mark} was put as {story.stored.delivery_id}, and put aside as {aside}"
        last = story.arrivals[-1] if story.arrivals else None
        if aside.kind == "dead":
            if last is None or not last.refuses_for_good:
                yield f"{story.mark} is dead, and was not refused for good: {story.arrivals}"
        elif story.stored.is_safe:
            yield f"{story.mark} is uncertain, though it is safe to repeat"
        elif not _cause_of_doubt(evidence, story):
            yield f"{story.mark} is uncertain, and nothing went wrong: {story.arrivals}"


def _cause_of_doubt(evidence: _Evidence, story: _Story) -> str:
    last = story.arrivals[-1] if story.arrivals else None
    if last is not None and not last.is_clear:
        return "lost answer"
    was_killed = any(
        last is None or death.tick > last.tick or death.process == last.drainer
        for death in evidence.drainer_deaths
    )
    return "killed process" if was_killed else ""


def _inventions(evidence: _Evidence) -> Iterator[str]:
    for mark in evidence.unasked:
        yield f"{mark} was sent or put aside, and never put"


def _rivals(evidence: _Evidence) -> Iterator[str]:
    over: set[str] = set()
    current = ""
    for arrival in evidence.history.arrivals:
        if arrival.drainer != current:
            if arrival.drainer in over:
                yield f"{arrival.drainer} sent {arrival.marks} when {current} drained already"
            over.add(current)
            current = arrival.drainer


def _remains(evidence: _Evidence) -> Iterator[str]:
    if evidence.history.pending:
        yield f"the outbox still holds {evidence.history.pending} requests"


def _damages(evidence: _Evidence) -> Iterator[str]:
    if evidence.history.integrity != "ok":
        yield f"the file is no good: {evidence.history.integrity}"


CHECKS: Mapping[str, Callable[[_Evidence], Iterator[str]]] = {
    "lost": _losses,
    "order": _disorder,
    "twice": _doubled,
    "repeated": _repetitions,
    "aside": _unreasonable,
    "unasked": _inventions,
    "at once": _rivals,
    "left": _remains,
    "damaged": _damages,
}
"""The kinds of mistakes, and what finds them."""
