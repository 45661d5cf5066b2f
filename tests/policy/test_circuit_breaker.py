"""When the trouble of some requests is trouble of all, and when SendX is tried again."""

import math

import pytest

from sendx_async import RetryPolicy
from sendx_async._policy.circuit_breaker import CircuitBreaker, Effect, FailureHistory
from sendx_async._policy.failures import FailureClass


class Watched:
    """A circuit breaker whose clock is set by the test."""

    def __init__(
        self, *, patience: float = 100.0, most_at_once: int = 8, is_stored: bool = False
    ) -> None:
        policy = RetryPolicy(base=1, cap=8)
        self.breaker = CircuitBreaker(
            policy, patience=patience, most_at_once=most_at_once, is_stored=is_stored
        )
        self.now = 1000.0

    def fail(
        self,
        failing: FailureHistory,
        failure_class: FailureClass = FailureClass.AGAIN,
        *,
        retry_after: float | None = None,
        begun: float | None = None,
        jitter: float = 1.0,
    ) -> float | None:
        self.noted = self.breaker.fail(
            failing,
            failure_class,
            retry_after=retry_after,
            jitter=jitter,
            begun=self.now if begun is None else begun,
            now=self.now,
        )
        return self.noted.pause

    def succeed(self, begun: float | None = None) -> bool:
        return self.breaker.succeed(begun=self.now if begun is None else begun)

    @property
    def allowed(self) -> int:
        return self.breaker.allows(self.now)


def test_one_contact_that_fails_again_and_again_is_no_outage() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    for count in range(1, 10):
        assert watched.fail(jane) is None
        assert jane.failures == count
    assert not watched.breaker.is_open
    assert watched.allowed == 8


def test_one_that_fails_alone_is_an_outage_where_requests_are_stored() -> None:
    watched, jane = Watched(is_stored=True), FailureHistory("jane")
    watched.succeed()
    retries = RetryPolicy().max_retries
    assert [watched.fail(jane) for _ in range(retries)] == [None] * retries
    assert watched.fail(jane) is not None
    assert watched.breaker.is_open
    assert watched.breaker.may_be_their_fault(watched.now + 300)
    assert jane.failures == 0


def test_one_that_fails_while_others_succeed_is_none_though_requests_are_stored() -> None:
    watched, jane = Watched(is_stored=True), FailureHistory("jane")
    for _ in range(9):
        watched.succeed()
        assert watched.fail(jane) is None
    assert jane.failures == 9


def test_two_contacts_that_fail_again_and_again_are_no_outage() -> None:
    watched = Watched()
    for _ in range(4):
        assert watched.fail(FailureHistory("jane")) is None
        assert watched.fail(FailureHistory("joe")) is None
    assert not watched.breaker.is_open


def test_ten_requests_of_one_contact_that_fail_in_a_row_are_an_outage() -> None:
    watched, unlucky = Watched(), [FailureHistory("jane") for _ in range(10)]
    pauses = [watched.fail(failing) for failing in unlucky]
    assert pauses == [None] * 9 + [1.0]
    assert [failing.failures for failing in unlucky] == [0] * 10


@pytest.mark.parametrize("failure_class", [FailureClass.AGAIN, FailureClass.UNCERTAIN])
def test_three_contacts_that_fail_in_a_row_are_an_outage_and_none_is_at_fault(
    failure_class: FailureClass,
) -> None:
    watched = Watched()
    jane, joe, jim = FailureHistory("jane"), FailureHistory("joe"), FailureHistory("jim")
    assert watched.fail(jane, failure_class) is None
    assert watched.fail(joe, failure_class) is None
    assert watched.fail(jane, failure_class) is None
    assert jane.failures == 2
    assert watched.fail(jim, failure_class) == 1.0
    assert watched.breaker.is_open
    assert (jane.failures, joe.failures, jim.failures) == (0, 0, 0)
    assert watched.allowed == 0


def test_after_a_success_failures_are_counted_anew() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    for name in ("joe", "jim", "jack", "jill"):
        assert watched.fail(jane) is None
        assert watched.fail(FailureHistory(name)) is None
        assert watched.succeed() is False
    assert jane.failures == 4
    assert not watched.breaker.is_open


def test_who_fails_again_after_others_have_succeeded_makes_no_outage() -> None:
    watched = Watched()
    unlucky = [FailureHistory(name) for name in ("jane", "joe", "jim", "jack")]
    for failing in unlucky[:2]:
        watched.fail(failing)
    watched.succeed()
    for failing in unlucky[2:]:
        watched.fail(failing)
    watched.succeed()
    for _ in range(5):
        assert [watched.fail(failing) for failing in unlucky] == [None] * 4
    assert [failing.failures for failing in unlucky] == [6] * 4
    # Among others they don't count, and an outage is not their excuse.
    others = [FailureHistory(name) for name in ("a", "b", "c")]
    assert [watched.fail(other) for other in others] == [None, None, 1.0]
    watched.now = watched.breaker.resumes_at
    watched.fail(unlucky[0])
    watched.now = watched.breaker.resumes_at
    watched.fail(others[0])
    watched.now = watched.breaker.resumes_at
    watched.fail(unlucky[0], FailureClass.OUTAGE)
    assert unlucky[0].failures == 7
    assert others[0].failures == 0


@pytest.mark.parametrize("retry_after,expected", [(None, 1.0), (0.0, 0.0), (7.0, 7.0)])
def test_what_is_not_about_the_request_is_an_outage_at_once(
    retry_after: float | None, expected: float
) -> None:
    watched, jane = Watched(), FailureHistory("jane")
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=retry_after) == expected
    assert watched.breaker.is_open
    assert jane.failures == 0


def test_during_an_outage_one_request_at_a_time_is_tried_ever_less_often() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    pauses: list[float | None] = []
    for _ in range(6):
        pauses.append(watched.fail(jane, FailureClass.OUTAGE))
        assert watched.allowed == 0
        watched.now = watched.breaker.resumes_at
        assert watched.allowed == 1
    assert pauses == [1, 2, 4, 8, 8, 8]
    assert jane.failures == 0


def test_an_outage_is_not_hammered_whatever_the_policy() -> None:
    breaker = CircuitBreaker(RetryPolicy(base=0, cap=0), patience=100, most_at_once=8)
    pauses = [
        breaker.fail(
            FailureHistory("jane"),
            FailureClass.OUTAGE,
            retry_after=None,
            jitter=1.0,
            begun=now,
            now=now,
        ).pause
        for now in (1.0, 2.0, 3.0)
    ]
    assert pauses == [0, 0.02, 0.02]


def test_a_server_that_says_at_once_again_and_again_is_not_believed() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    for expected in (0, 2, 4, 8):
        assert watched.fail(jane, FailureClass.OUTAGE, retry_after=0.0) == expected
        watched.now = watched.breaker.resumes_at
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=20.0) == 20.0


def test_jitter_shortens_a_pause() -> None:
    assert Watched().fail(FailureHistory("jane"), FailureClass.OUTAGE, jitter=0.25) == 0.25


def test_after_an_outage_their_number_doubles_with_each_success() -> None:
    watched = Watched(most_at_once=7)
    watched.fail(FailureHistory("jane"), FailureClass.OUTAGE)
    watched.now = watched.breaker.resumes_at
    assert watched.succeed() is True
    assert not watched.breaker.is_open
    allowed = [watched.allowed]
    for _ in range(3):
        assert watched.succeed() is False
        allowed.append(watched.allowed)
    assert allowed == [2, 4, 7, 7]


def test_after_an_outage_no_more_are_allowed_than_at_most() -> None:
    watched = Watched(most_at_once=1)
    watched.fail(FailureHistory("jane"), FailureClass.OUTAGE)
    watched.now = watched.breaker.resumes_at
    assert watched.succeed()
    assert watched.allowed == 1


def test_the_next_outage_begins_with_short_pauses_again() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    for _ in range(4):
        watched.fail(jane, FailureClass.OUTAGE)
        watched.now = watched.breaker.resumes_at
    watched.succeed()
    assert watched.fail(jane, FailureClass.OUTAGE) == 1.0


def test_what_had_begun_before_the_pause_changes_nothing() -> None:
    watched, late = Watched(), FailureHistory("late")
    before = watched.now - 1
    assert watched.fail(FailureHistory("jane"), FailureClass.OUTAGE, retry_after=10.0) == 10.0
    assert watched.fail(late, begun=before) is None
    assert watched.fail(late, FailureClass.OUTAGE, retry_after=5.0, begun=before) is None
    assert watched.succeed(begun=before) is False
    assert watched.breaker.is_open
    assert watched.breaker.resumes_at == watched.now + 10
    assert late.failures == 0


def test_what_had_begun_before_the_pause_prolongs_it_if_told_to_wait_longer() -> None:
    watched = Watched()
    before = watched.now - 1
    watched.fail(FailureHistory("jane"), FailureClass.OUTAGE, retry_after=10.0)
    assert (
        watched.fail(FailureHistory("late"), FailureClass.OUTAGE, retry_after=30.0, begun=before)
        == 30.0
    )
    assert watched.breaker.resumes_at == watched.now + 30


def test_patience_counts_from_the_beginning_of_the_outage() -> None:
    watched = Watched(patience=4)
    for name in ("jane", "joe"):
        watched.fail(FailureHistory(name))
        watched.now += 100
    pauses: list[float | None] = []
    for _ in range(4):
        pauses.append(watched.fail(FailureHistory("jim")))
        watched.now = watched.breaker.resumes_at
    # The last try is made when the patience ends, not before.
    assert pauses == [1, 2, 1, math.inf]


def test_time_in_which_there_was_nothing_to_send_uses_no_patience() -> None:
    watched = Watched(patience=4)
    assert watched.fail(FailureHistory("jane"), FailureClass.OUTAGE) == 1.0
    watched.now = watched.breaker.resumes_at + 1000
    assert watched.fail(FailureHistory("joe")) == 2.0
    watched.now = watched.breaker.resumes_at + 1000
    assert watched.fail(FailureHistory("joe")) == 1.0
    watched.now = watched.breaker.resumes_at
    assert watched.fail(FailureHistory("joe")) == math.inf


def test_when_the_patience_ends_is_known_before_a_trial() -> None:
    watched = Watched(patience=20)
    assert watched.breaker.patience_ends(watched.now) == 1020  # of an outage that begins now
    watched.fail(FailureHistory("a@example.com"), FailureClass.OUTAGE, retry_after=5)
    assert watched.breaker.patience_ends(1003) == 1020
    assert watched.breaker.patience_ends(1005) == 1020
    assert watched.breaker.patience_ends(1105) == 1120  # there was nothing to send


def test_a_pause_is_cut_where_patience_ends_but_not_one_that_the_server_asks_for() -> None:
    watched = Watched(patience=5)
    assert watched.fail(FailureHistory("jane"), FailureClass.OUTAGE, retry_after=4.5) == 4.5
    watched.now += 4.5
    assert watched.fail(FailureHistory("jane"), FailureClass.OUTAGE) == 0.5
    other = Watched(patience=5)
    assert other.fail(FailureHistory("jane"), FailureClass.OUTAGE, retry_after=5.5) == math.inf


def test_when_patience_has_ended_no_failure_begins_another_pause() -> None:
    watched = Watched(patience=5)
    assert watched.fail(FailureHistory("jane"), FailureClass.OUTAGE, retry_after=3600) == math.inf
    for retry_after in (None, 0.0, 3600.0):
        assert (
            watched.fail(FailureHistory("joe"), FailureClass.OUTAGE, retry_after=retry_after)
            is None
        )
    assert watched.allowed == 0


def test_endless_patience_waits_five_minutes_at_most() -> None:
    watched, jane = Watched(patience=math.inf), FailureHistory("jane")
    watched.fail(jane, FailureClass.OUTAGE)
    watched.now += 1e9
    assert watched.fail(jane, FailureClass.OUTAGE) == 2.0
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=1e6) == 300.0


def test_each_failure_is_noted_with_what_it_has_to_do_with_the_outage() -> None:
    watched, jane = Watched(), FailureHistory("jane")
    before = watched.now - 1
    effects = []
    for failure_class, begun in (
        (FailureClass.AGAIN, None),
        (FailureClass.OUTAGE, None),
        (FailureClass.OUTAGE, before),
    ):
        watched.fail(jane, failure_class, begun=begun)
        effects.append((watched.noted.effect, watched.noted.is_in_outage))
    watched.now = watched.breaker.resumes_at
    watched.fail(jane)
    assert [*effects, (watched.noted.effect, watched.noted.is_in_outage)] == [
        (Effect.NONE, False),
        (Effect.BEGINS, True),
        (Effect.LATE, True),
        (Effect.PROLONGS, True),
    ]
