"""The places that a rate gives out, by a clock that the tests set."""

import pytest

from sendx_async import Rate
from sendx_async._calls.rate_limiter import RateLimiter


def test_places_are_spaced_by_the_rate() -> None:
    rate_limiter = RateLimiter(Rate(10))
    assert [rate_limiter.reserve(100.0) for _ in range(3)] == pytest.approx([100.0, 100.1, 100.2])


def test_a_burst_begins_at_once() -> None:
    rate_limiter = RateLimiter(Rate(10, burst=3))
    places = [rate_limiter.reserve(100.0) for _ in range(5)]
    assert places == pytest.approx([100.0, 100.0, 100.0, 100.1, 100.2])


def test_a_place_that_was_given_back_is_the_next_one() -> None:
    rate_limiter = RateLimiter(Rate(10))
    places = [rate_limiter.reserve(100.0) for _ in range(3)]
    rate_limiter.give_back(places[1])
    assert rate_limiter.reserve(100.0) == places[1]
    assert rate_limiter.reserve(100.0) == pytest.approx(100.3)


def test_a_place_that_has_passed_is_nobodys() -> None:
    rate_limiter = RateLimiter(Rate(10))
    places = [rate_limiter.reserve(100.0) for _ in range(3)]
    rate_limiter.give_back(places[1])
    assert rate_limiter.reserve(200.0) == 200.0
    assert rate_limiter.reserve(200.0) == pytest.approx(200.1)


def test_a_place_is_missed_when_its_moment_is_long_past() -> None:
    rate_limiter = RateLimiter(Rate(10))
    place = rate_limiter.reserve(100.0)
    assert not rate_limiter.is_missed(place, 100.02)
    assert rate_limiter.is_missed(place, 100.04)
    assert not RateLimiter(None).is_missed(place, 200.0)


def test_without_a_rate_everybody_has_the_present() -> None:
    rate_limiter = RateLimiter(None)
    rate_limiter.give_back(rate_limiter.reserve(100.0))
    assert [rate_limiter.reserve(100.0) for _ in range(3)] == [100.0] * 3
