"""The order of messages: each contact's as they came, the others side by side."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendx_async import CustomEventRequest, IdentifyRequest, TrackRequest
from sendx_async._core.operations import IDENTIFY, TRACK, contacts_of
from sendx_async._policy.ordering import Backlog, Message


def message(index: int, *contacts: str, alone: bool = False, safe: bool = True) -> Message:
    request: Any = IdentifyRequest("jane@example.com")
    operation = TRACK if alone else IDENTIFY
    return Message(index, operation, request, contacts, replay_safe=safe, is_alone=alone)


def filled(*messages: Message, batch_size: int = 25) -> Backlog:
    backlog = Backlog(batch_size)
    for each in messages:
        backlog.add(each)
    return backlog


def indices(messages: list[Message]) -> list[int]:
    return [each.index for each in messages]


def test_different_contacts_leave_together_up_to_the_batch_size() -> None:
    backlog = filled(*(message(n, f"c{n}") for n in range(5)), batch_size=3)
    assert backlog.ready == 5
    assert indices(backlog.take()) == [0, 1, 2]
    assert indices(backlog.take()) == [3, 4]
    assert backlog.take() == []
    assert list(backlog.unfinished) == [0, 1, 2, 3, 4]


def test_a_contact_waits_for_its_earlier_message() -> None:
    first, second, other = message(0, "a"), message(1, "a"), message(2, "b")
    backlog = filled(first, second, other)
    assert backlog.take() == [first, other]
    assert backlog.take() == []
    backlog.finish(other)
    assert backlog.take() == []
    backlog.finish(first)
    assert backlog.take() == [second]


def test_a_message_that_is_given_back_still_holds_up_the_next() -> None:
    first, second = message(0, "a"), message(1, "a")
    backlog = filled(first, second)
    backlog.give_back(backlog.take())
    assert backlog.take() == [first]
    assert backlog.take() == []


def test_what_is_alone_leaves_alone_in_its_turn() -> None:
    backlog = filled(
        message(0, "a"), message(1, "b"), message(2, "c", alone=True), message(3, "d"),
        message(4, "e", alone=True),
    )  # fmt: skip
    # A batch is filled with those behind, and then the others have been waiting for longer.
    assert [indices(backlog.take()) for _ in range(4)] == [[0, 1, 3], [2], [4], []]


def test_a_rename_waits_for_both_addresses_and_holds_up_both() -> None:
    old, new = message(0, "old"), message(1, "new")
    rename = message(2, "old", "new", alone=True, safe=False)
    later_old, later_new = message(3, "old"), message(4, "new")
    backlog = filled(old, new, rename, later_old, later_new)
    assert backlog.take() == [old, new]
    backlog.finish(old)
    assert backlog.take() == []
    backlog.finish(new)
    assert backlog.take() == [rename]
    assert backlog.take() == []
    backlog.finish(rename)
    assert backlog.take() == [later_old, later_new]


def test_a_rename_to_the_same_address_does_not_wait_for_itself() -> None:
    rename, later = message(0, "a", "a", alone=True), message(1, "a", "b", alone=True)
    backlog = filled(rename, later)
    assert backlog.take() == [rename]
    assert backlog.take() == []
    backlog.finish(rename)
    assert backlog.take() == [later]
    backlog.finish(later)
    assert backlog.ready == 0
    assert not backlog.unfinished


def test_two_renames_between_the_same_addresses() -> None:
    there, back = message(0, "a", "b", alone=True), message(1, "b", "a", alone=True)
    backlog = filled(there, back)
    assert backlog.take() == [there]
    backlog.finish(there)
    assert backlog.take() == [back]


@pytest.mark.parametrize("alone", [True, False])
def test_an_outage_is_tried_with_one_that_may_fail(alone: bool) -> None:
    event, safe = message(0, "a", alone=True, safe=False), message(1, "b", alone=alone)
    backlog = filled(event, safe, message(2, "c", alone=True, safe=False))
    assert backlog.take_for_trial(alone=False) == [safe]
    # With nothing better there, it has to be one of the others.
    assert backlog.take_for_trial(alone=False) == [event]
    assert indices(backlog.take_for_trial(alone=False)) == [2]
    assert backlog.take_for_trial(alone=False) == []


def test_an_outage_is_tried_with_a_whole_batch() -> None:
    backlog = filled(*(message(n, f"c{n}") for n in range(5)), batch_size=3)
    assert indices(backlog.take_for_trial(alone=False)) == [0, 1, 2]


def test_an_outage_may_have_to_be_tried_with_a_single_message() -> None:
    backlog = filled(message(0, "a"), message(1, "b"), message(2, "c", alone=True))
    assert indices(backlog.take_for_trial(alone=True)) == [2]
    assert indices(backlog.take_for_trial(alone=True)) == [0]


def test_one_that_is_given_back_is_not_the_next_to_be_tried() -> None:
    backlog = filled(message(0, "a"), message(1, "b"), batch_size=1)
    backlog.give_back(backlog.take_for_trial(alone=False))
    assert indices(backlog.take_for_trial(alone=False)) == [1]
    assert indices(backlog.take_for_trial(alone=False)) == [0]


@pytest.mark.parametrize(
    "request_,contacts",
    [
        (IdentifyRequest("Jane@Example.COM"), ("jane@example.com",)),
        (IdentifyRequest("STRASSE@x.de", new_email="straße@X.de"), ("strasse@x.de",) * 2),
        (IdentifyRequest("a@b.co", new_email=""), ("a@b.co",)),
        (TrackRequest("Jane@example.com"), ("jane@example.com",)),
        (TrackRequest(None), ("",)),
        (CustomEventRequest("ID_7", "bought"), ("id_7",)),
    ],
)
def test_whom_a_request_is_about(request_: Any, contacts: tuple[str, ...]) -> None:
    assert contacts_of(request_) == contacts


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.text("abcd", min_size=1, max_size=2), st.booleans()),
        max_size=30,
    ),
    st.integers(1, 5),
    st.integers(0, 2**32),
)
def test_any_order_of_finishing_keeps_each_contacts_order_and_finishes_all(
    drawn: list[tuple[str, bool]], batch_size: int, seed: int
) -> None:
    chance = random.Random(seed)
    messages = [message(n, *names, alone=alone) for n, (names, alone) in enumerate(drawn)]
    backlog = filled(*messages, batch_size=batch_size)
    out: list[Message] = []
    finished: list[int] = []
    while backlog.unfinished:
        while taken := backlog.take():
            assert len(taken) <= batch_size
            assert len(taken) == 1 or not any(each.is_alone for each in taken)
            out += taken
        busy = [contact for each in out for contact in set(each.contacts)]
        assert len(busy) == len(set(busy)), "two of one contact are out at once"
        done = out.pop(chance.randrange(len(out)))
        if chance.random() < 0.7:
            backlog.finish(done)
            finished.append(done.index)
        else:
            backlog.give_back([done])
    assert sorted(finished) == list(range(len(messages)))
    for contact in "abcd":
        own = [n for n in finished if contact in messages[n].contacts]
        assert own == sorted(own)
