"""The places that a rate gives out, by a clock that the tests set."""

import pytest

from sendx_async import Rate
from sendx_async._calls.pacing import Pace


def test_places_are_spaced_by_the_rate() -> None:
    pace = Pace(Rate(10))
    assert [pace.reserve(100.0) for _ in range(3)] == pytest.approx([100.0, 100.1, 100.2])


def test_a_burst_begins_at_once() -> None:
    pace = Pace(Rate(10, burst=3))
    places = [pace.reserve(100.0) for _ in range(5)]
    assert places == pytest.approx([100.0, 100.0, 100.0, 100.1, 100.2])


def test_a_place_that_was_given_back_is_the_next_one() -> None:
    pace = Pace(Rate(10))
    places = [pace.reserve(100.0) for _ in range(3)]
    pace.give_back(places[1])
    assert pace.reserve(100.0) == places[1]
    assert pace.reserve(100.0) == pytest.approx(100.3)


def test_a_place_that_has_passed_is_nobodys() -> None:
    pace = Pace(Rate(10))
    places = [pace.reserve(100.0) for _ in range(3)]
    pace.give_back(places[1])
    assert pace.reserve(200.0) == 200.0
    assert pace.reserve(200.0) == pytest.approx(200.1)


def test_a_place_is_missed_when_its_moment_is_long_past() -> None:
    pace = Pace(Rate(10))
    place = pace.reserve(100.0)
    assert not pace.is_missed(place, 100.02)
    assert pace.is_missed(place, 100.04)
    assert not Pace(None).is_missed(place, 200.0)


def test_without_a_rate_everybody_has_the_present() -> None:
    pace = Pace(None)
    pace.give_back(pace.reserve(100.0))
    assert [pace.reserve(100.0) for _ in range(3)] == [100.0] * 3
