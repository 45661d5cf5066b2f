"""Which values are arithmetic, and so can't be sent twice."""

import pytest

from sendx_async import IdentifyRequest
from sendx_async._core.increments import is_increment
from sendx_async._core.operations import IDENTIFY

INCREMENTS = [
    "++5", "--5", "-- 5", "++ 1.5", " ++5", "++\t5", "++4900000000001", "++.5", "--,5", "--5 seats",
    "++٣",
]  # fmt: skip
TEXTS = [
    "", "++", "--", "--------", "-- none --", "--bold--", "++ plus", "+ + 49 151", "+5", "-5",
    "5++", "5--", "a --5", "+++5", "---5", "+-5", "C++ 20",
]  # fmt: skip


@pytest.mark.parametrize("text", INCREMENTS)
def test_signs_and_a_digit_are_an_increment(text: str) -> None:
    assert is_increment(text)
    assert not IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", custom_fields={"Seats": text}))
    assert not IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", extra={"seats": text}))


@pytest.mark.parametrize("text", TEXTS)
def test_anything_else_is_text_that_may_be_sent_twice(text: str) -> None:
    assert not is_increment(text)
    assert IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", custom_fields={"Seats": text}))
    assert IDENTIFY.is_replay_safe(IdentifyRequest("a@b.co", extra={"seats": text}))
