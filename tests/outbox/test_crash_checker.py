"""The check of a run with killed processes sees each mistake that it is there for, and no other."""

from typing import Any

import pytest

from tests.faults.crashes.check import CHECKS, Duplicate, check, duplicates
from tests.faults.crashes.history import Arrival, Aside, Death, History, Stored

EVENT = "a#1"  # not safe to repeat
DOUBTED = "a#3"  # its producer died before it could say that it was put
LATEST = "a#4"


def arrival(tick: int, *marks: str, drainer: str = "d0.0", **values: Any) -> Arrival:
    return Arrival(tick, drainer, marks, **values)


def lost_answer(tick: int, *marks: str, **values: Any) -> Arrival:
    return arrival(tick, *marks, status=None, fault="closed, applied", **values)


def refusal(tick: int, *marks: str, **values: Any) -> Arrival:
    return arrival(tick, *marks, status=400, applied=False, **values)


def history(*arrivals: Arrival, **values: Any) -> History:
    """Five requests about one contact, and one about another; they came, or as is given."""
    places = [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 0)]
    stored = {
        f"{contact}#{place}": Stored(
            contact,
            place,
            is_safe=f"{contact}#{place}" != EVENT,
            delivery_id=None if f"{contact}#{place}" == DOUBTED else f"id {contact}#{place}",
        )
        for contact, place in places
    }
    came = {mark for each in arrivals for mark in each.marks}
    settled = came | {each.mark for each in values.get("aside", ())} | values.pop("missing", set())
    others = [
        arrival(100 + number, mark, drainer="end")
        for number, mark in enumerate(stored)
        if mark not in settled | {DOUBTED}
    ]
    return History(stored=stored, arrivals=(*arrivals, *others), **values)


def aside(mark: str, kind: Any, delivery_id: str | None = None) -> Aside:
    return Aside(mark, delivery_id or f"id {mark}", kind)


FINE: dict[str, History] = {
    "nothing went wrong": history(),
    "what was in doubt was stored": history(arrival(0, "a#0"), arrival(1, "a#1"), arrival(2, "a#2"),
                                            arrival(3, "a#3")),
    "an answer was lost": history(lost_answer(0, "a#0", "b#0"), arrival(1, "a#0", "b#0")),
    "a 5xx came though it was applied": history(
        arrival(0, "a#0", status=500), arrival(1, "a#0")
    ),
    "a drainer died": history(
        arrival(0, "a#0"), arrival(1, EVENT), arrival(2, "a#2"),
        arrival(4, "a#0", drainer="d1.0"), arrival(5, "a#2", drainer="d1.0"),
        deaths=(Death(3, "d0.0", is_drainer=True),), aside=(aside(EVENT, "uncertain"),),
    ),
    "a drainer's request was read when it was dead": history(
        arrival(1, "a#0"), arrival(2, "a#0", drainer="d1.0"),
        deaths=(Death(0, "d0.0", is_drainer=True),),
    ),
    "a drainer died with a mark, before it sent": history(
        arrival(0, "a#0"), arrival(2, "a#2", drainer="d1.0"),
        deaths=(Death(1, "d0.0", is_drainer=True),), aside=(aside(EVENT, "uncertain"),),
    ),
    "a drainer died after a refusal for now": history(
        arrival(0, "a#0"), arrival(1, EVENT, status=429, applied=False),
        arrival(3, "a#2", drainer="d1.0"),
        deaths=(Death(2, "d0.0", is_drainer=True),), aside=(aside(EVENT, "uncertain"),),
    ),
    "a dead drainer's event was read and refused for now, and another drainer died later": history(
        arrival(0, "a#0"), arrival(2, EVENT, status=429, applied=False),
        arrival(3, "a#2", drainer="d1.0"),
        deaths=(Death(1, "d0.0", is_drainer=True), Death(4, "d1.0", is_drainer=True)),
        aside=(aside(EVENT, "uncertain"),),
    ),
    "an event's answer was lost": history(
        arrival(0, "a#0"), lost_answer(1, EVENT), arrival(2, "a#2"),
        aside=(aside(EVENT, "uncertain"),),
    ),
    "an event was dropped": history(
        arrival(0, "a#0"), arrival(1, EVENT, status=None, applied=False), arrival(2, "a#2"),
        aside=(aside(EVENT, "uncertain"),),
    ),
    "a request was refused for good": history(
        refusal(0, "a#0", "b#0"), refusal(1, "a#0"), arrival(2, EVENT), arrival(3, "b#0"),
        aside=(aside("a#0", "dead"),),
    ),
    "a refusal was not written down": history(
        refusal(0, "a#0"), arrival(1, EVENT), arrival(3, "a#0", drainer="d1.0"),
        deaths=(Death(2, "d0.0", is_drainer=True),), aside=(aside(EVENT, "uncertain"),),
    ),
}  # fmt: skip

WRONG: dict[str, tuple[History, list[str]]] = {
    "a lost put": (history(missing={"b#0"}), ["lost: b#0 was stored"]),
    "a lost put that came once": (
        history(arrival(0, "b#0", status=503, applied=False)),
        ["lost: b#0 was stored"],
    ),
    "a lost put of a producer that died": (
        history(arrival(200, DOUBTED, status=503, applied=False)),
        ["lost: a#3 was stored"],
    ),
    "the wrong order": (
        history(arrival(0, LATEST), arrival(1, "a#0")),
        ["order: a had a#4 sent when a#2 was neither"],
    ),
    "two of a contact in one request": (
        history(arrival(0, "a#0"), arrival(1, EVENT), arrival(2, "a#2", LATEST)),
        ["order: a had a#4 sent when a#2 was neither"],
    ),
    "the next one before the answer": (
        history(arrival(0, "a#0", status=503, applied=False), arrival(1, EVENT), arrival(2, "a#0")),
        ["order: a had a#1 sent when a#0 was neither"],
    ),
    "the next one before a refusal": (
        history(arrival(0, "a#0"), arrival(1, "a#2"), refusal(2, EVENT),
                aside=(aside(EVENT, "dead"),)),
        ["order: a had a#2 sent when a#1 was neither"],
    ),
    "an earlier one again, without a reason to": (
        history(lost_answer(0, "a#0"), arrival(1, EVENT), arrival(2, "a#0")),
        ["order: a had a#0 sent after a#1 by the same process"],
    ),
    "an event applied twice": (
        history(arrival(0, "a#0"), lost_answer(1, EVENT), arrival(2, EVENT)),
        ["twice: a#1 was applied 2 times"],
    ),
    "a duplicate of the same process": (
        history(arrival(0, "a#0", "b#0"), arrival(1, "b#0")),
        ["repeated: b#0 was applied again"],
    ),
    "a duplicate of another process, and none has died": (
        history(arrival(0, "b#0"), arrival(1, "b#0", drainer="d1.0")),
        ["repeated: b#0 was applied again"],
    ),
    "a duplicate, and the process died only later": (
        history(arrival(0, "b#0"), arrival(1, "b#0", drainer="d1.0"),
                deaths=(Death(2, "d0.0", is_drainer=True),)),
        ["repeated: b#0 was applied again"],
    ),
    "dead without a refusal": (
        history(arrival(0, "b#0", status=500, applied=False), aside=(aside("b#0", "dead"),)),
        ["aside: b#0 is dead"],
    ),
    "dead after a refusal of many": (
        history(refusal(0, "b#0", "a#0"), arrival(1, "a#0"), aside=(aside("b#0", "dead"),)),
        ["aside: b#0 is dead"],
    ),
    "dead and never sent": (history(aside=(aside("b#0", "dead"),)), ["aside: b#0 is dead"]),
    "uncertain though safe": (
        history(lost_answer(0, "b#0"), aside=(aside("b#0", "uncertain"),)),
        ["aside: b#0 is uncertain, though"],
    ),
    "uncertain without a reason": (
        history(arrival(0, "a#0"), arrival(1, EVENT), aside=(aside(EVENT, "uncertain"),)),
        ["aside: a#1 is uncertain, and nothing"],
    ),
    "uncertain, and only a producer died": (
        history(arrival(0, "a#0"), arrival(1, EVENT), aside=(aside(EVENT, "uncertain"),),
                deaths=(Death(2, "p0.0", is_drainer=False),)),
        ["aside: a#1 is uncertain, and nothing"],
    ),
    "put aside by another name": (
        history(refusal(0, "b#0"), aside=(aside("b#0", "dead", "another"),)),
        ["aside: b#0 was put as id b#0"],
    ),
    "what nobody put": (history(arrival(0, "c#7")), ["unasked: c#7 was sent"]),
    "two that drain": (
        history(arrival(0, "a#0"), arrival(1, "b#0", drainer="d1.0"), arrival(2, EVENT)),
        ["at once: d0.0 sent"],
    ),
    "something left": (history(pending=1), ["left: the outbox still holds 1"]),
    "a damaged file": (history(integrity="row 1 missing"), ["damaged: the file is no good"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_the_checker_lets_pass_what_is_nobodys_fault(name: str) -> None:
    assert [str(violation) for violation in check(FINE[name])] == []


@pytest.mark.parametrize("name", WRONG)
def test_the_checker_sees_each_mistake(name: str) -> None:
    seen = [str(violation) for violation in check(WRONG[name][0])]
    words = WRONG[name][1]

    assert len(seen) == len(words), seen
    assert all(text.startswith(start) for text, start in zip(seen, words, strict=True)), seen


def test_each_kind_of_mistake_is_tried() -> None:
    assert {words[0].partition(":")[0] for _, words in WRONG.values()} == CHECKS.keys()


def test_duplicates_are_told_with_their_cause() -> None:
    first, second = lost_answer(0, "b#0"), arrival(1, "b#0")
    third, fourth = arrival(3, "b#0", drainer="d1.0"), arrival(4, "b#0", drainer="d1.0")

    found = duplicates(
        history(first, second, third, fourth, deaths=(Death(2, "d0.0", is_drainer=True),))
    )

    assert found == [
        Duplicate("b#0", first, second, "lost answer"),
        Duplicate("b#0", second, third, "killed process"),
        Duplicate("b#0", third, fourth, ""),
    ]
