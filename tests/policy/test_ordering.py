"""The order of messages: each contact's as they came, the others side by side."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendx_async import CustomEventRequest, IdentifyRequest, TrackRequest
from sendx_async._core.operations import IDENTIFY, TRACK, contacts_of
from sendx_async._policy.ordering import Message, OrderedQueue


def message(index: int, *contacts: str, alone: bool = False, safe: bool = True) -> Message:
    request: Any = IdentifyRequest("jane@example.com")
    operation = TRACK if alone else IDENTIFY
    return Message(index, operation, request, contacts, replay_safe=safe, is_alone=alone)


def filled(*messages: Message, batch_size: int = 25) -> OrderedQueue:
    queue = OrderedQueue(batch_size)
    for each in messages:
        queue.add(each)
    return queue


def indices(messages: list[Message]) -> list[int]:
    return [each.index for each in messages]


def test_different_contacts_leave_together_up_to_the_batch_size() -> None:
    queue = filled(*(message(n, f"c{n}") for n in range(5)), batch_size=3)
    assert queue.ready == 5
    assert indices(queue.take()) == [0, 1, 2]
    assert indices(queue.take()) == [3, 4]
    assert queue.take() == []
    assert list(queue.unfinished) == [0, 1, 2, 3, 4]


def test_a_contact_waits_for_its_earlier_message() -> None:
    first, second, other = message(0, "a"), message(1, "a"), message(2, "b")
    queue = filled(first, second, other)
    assert queue.take() == [first, other]
    assert queue.take() == []
    queue.finish(other)
    assert queue.take() == []
    queue.finish(first)
    assert queue.take() == [second]


def test_a_message_that_is_given_back_still_holds_up_the_next() -> None:
    first, second = message(0, "a"), message(1, "a")
    queue = filled(first, second)
    queue.give_back(queue.take())
    assert queue.take() == [first]
    assert queue.take() == []


def test_a_message_that_must_not_share_a_request_leaves_alone_in_its_turn() -> None:
    queue = filled(
        message(0, "a"), message(1, "b"), message(2, "c", alone=True), message(3, "d"),
        message(4, "e", alone=True),
    )  # fmt: skip
    # A batch is filled with those behind, and then the others have been waiting for longer.
    assert [indices(queue.take()) for _ in range(4)] == [[0, 1, 3], [2], [4], []]


def test_a_rename_waits_for_both_addresses_and_holds_up_both() -> None:
    old, new = message(0, "old"), message(1, "new")
    rename = message(2, "old", "new", alone=True, safe=False)
    later_old, later_new = message(3, "old"), message(4, "new")
    queue = filled(old, new, rename, later_old, later_new)
    assert queue.take() == [old, new]
    queue.finish(old)
    assert queue.take() == []
    queue.finish(new)
    assert queue.take() == [rename]
    assert queue.take() == []
    queue.finish(rename)
    assert queue.take() == [later_old, later_new]


def test_a_rename_to_the_same_address_does_not_wait_for_itself() -> None:
    rename, later = message(0, "a", "a", alone=True), message(1, "a", "b", alone=True)
    queue = filled(rename, later)
    assert queue.take() == [rename]
    assert queue.take() == []
    queue.finish(rename)
    assert queue.take() == [later]
    queue.finish(later)
    assert queue.ready == 0
    assert not queue.unfinished


def test_two_renames_between_the_same_addresses_leave_one_after_the_other() -> None:
    there, back = message(0, "a", "b", alone=True), message(1, "b", "a", alone=True)
    queue = filled(there, back)
    assert queue.take() == [there]
    queue.finish(there)
    assert queue.take() == [back]


@pytest.mark.parametrize("alone", [True, False])
def test_an_outage_is_tried_with_one_that_is_safe_to_repeat(alone: bool) -> None:
    event, safe = message(0, "a", alone=True, safe=False), message(1, "b", alone=alone)
    queue = filled(event, safe, message(2, "c", alone=True, safe=False))
    assert queue.take_probe(alone=False) == [safe]
    assert not queue.has_safe
    assert queue.take_probe(alone=False) == []
    # Where there is nothing better it has to be one of the others.
    assert queue.take_once() == [event]
    assert indices(queue.take_once()) == [2]
    assert queue.take_once() == []


def test_an_outage_is_tried_with_a_whole_batch() -> None:
    queue = filled(*(message(n, f"c{n}") for n in range(5)), batch_size=3)
    assert indices(queue.take_probe(alone=False)) == [0, 1, 2]


def test_an_outage_may_have_to_be_tried_with_a_single_message() -> None:
    queue = filled(message(0, "a"), message(1, "b"), message(2, "c", alone=True))
    assert indices(queue.take_probe(alone=True)) == [2]
    assert indices(queue.take_probe(alone=True)) == [0]


def test_a_message_that_is_given_back_is_not_the_next_to_be_tried() -> None:
    queue = filled(message(0, "a"), message(1, "b"), batch_size=1)
    queue.give_back(queue.take_probe(alone=False))
    assert indices(queue.take_probe(alone=False)) == [1]
    assert indices(queue.take_probe(alone=False)) == [0]


def test_it_knows_whether_something_safe_to_repeat_waits_for_its_next_try() -> None:
    queue = filled(message(0, "a"), message(1, "b", safe=False, alone=True))
    for taken in queue.take() + queue.take():
        queue.set_aside(taken)
    assert queue.has_safe_waiting
    queue.give_back([queue.unfinished[0]])
    assert not queue.has_safe_waiting


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
def test_a_request_is_about_its_addresses_in_any_case(
    request_: Any, contacts: tuple[str, ...]
) -> None:
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
    queue = filled(*messages, batch_size=batch_size)
    out: list[Message] = []
    finished: list[int] = []
    while queue.unfinished:
        while taken := queue.take():
            assert len(taken) <= batch_size
            assert len(taken) == 1 or not any(each.is_alone for each in taken)
            out += taken
        busy = [contact for each in out for contact in set(each.contacts)]
        assert len(busy) == len(set(busy)), "two of one contact are out at once"
        done = out.pop(chance.randrange(len(out)))
        if chance.random() < 0.7:
            queue.finish(done)
            finished.append(done.index)
        else:
            queue.give_back([done])
    assert sorted(finished) == list(range(len(messages)))
    for contact in "abcd":
        own = [n for n in finished if contact in messages[n].contacts]
        assert own == sorted(own)
