"""What a failure means for work that nobody waits for; when trouble of some is trouble of all."""

import math

import pytest

from sendx_async import (
    ApiError,
    AttemptTimeout,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    SendXError,
    ServerError,
    UnprocessableEntityError,
)
from sendx_async._policy.circuit_breaker import CircuitBreaker
from sendx_async._policy.failures import FailureClass, classify

# The same whether or not the request may be sent twice.
SURE: dict[str, tuple[FailureClass, list[SendXError]]] = {
    "halt": (
        FailureClass.HALT,
        [
            AuthenticationError(status_code=401),
            PermissionDeniedError(status_code=403),
            ClientClosedError(),
            ConfigurationError(),
        ],
    ),
    "delivered": (
        FailureClass.DELIVERED,
        [ResponseDecodeError(status_code=200, maybe_delivered=True)],
    ),
    "outage": (
        FailureClass.OUTAGE,
        [
            ConnectError(),
            AttemptTimeout(maybe_delivered=False),
            RateLimitError(status_code=429),
            RateLimitError(status_code=429, retry_after=3),
            ServerError(status_code=503, retry_after=0.0),
            ApiError(status_code=302),
            ApiError(status_code=308),
        ],
    ),
    "again": (FailureClass.AGAIN, [ApiError(status_code=408), ApiError(status_code=425)]),
    "rejected": (
        FailureClass.REJECTED,
        [
            BadRequestError(status_code=400),
            NotFoundError(status_code=404),
            ConflictError(status_code=409),
            ApiError(status_code=413),
            UnprocessableEntityError(status_code=422),
        ],
    ),
}
AMBIGUOUS: list[SendXError] = [
    ServerError(status_code=500, maybe_delivered=True),
    ServerError(status_code=502, maybe_delivered=True),
    ServerError(status_code=503, maybe_delivered=True),
    ResponseLost(maybe_delivered=True),
    AttemptTimeout(maybe_delivered=True),
]


def shown(error: SendXError) -> str:
    return f"{type(error).__name__}-{getattr(error, 'status_code', '')}"


@pytest.mark.parametrize("replay_safe", [True, False])
@pytest.mark.parametrize(
    "failure_class,error",
    [
        pytest.param(failure_class, error, id=f"{name}-{shown(error)}")
        for name, (failure_class, errors) in SURE.items()
        for error in errors
    ],
)
def test_what_a_failure_means_for_its_request(
    failure_class: FailureClass, error: SendXError, replay_safe: bool
) -> None:
    assert classify(error, replay_safe=replay_safe) is failure_class


@pytest.mark.parametrize("error", AMBIGUOUS, ids=shown)
def test_what_may_have_been_applied_is_sent_again_only_if_that_is_safe(error: SendXError) -> None:
    assert classify(error, replay_safe=True) is FailureClass.AGAIN
    assert classify(error, replay_safe=False) is FailureClass.UNCERTAIN


class FailingMessage:
    def __init__(self, contact: str) -> None:
        self.contact = contact
        self.failures = 0
        self.streak = -1
        self.streaks = 0


class Watched:
    """An outage whose clock is set by the test."""

    def __init__(self, *, patience: float = 100.0, most_at_once: int = 8) -> None:
        policy = RetryPolicy(base=1, cap=8)
        self.outage = CircuitBreaker(policy, patience=patience, most_at_once=most_at_once)
        self.now = 1000.0

    def fail(
        self,
        failing: FailingMessage,
        failure_class: FailureClass = FailureClass.AGAIN,
        *,
        retry_after: float | None = None,
        begun: float | None = None,
        jitter: float = 1.0,
    ) -> float | None:
        begun = self.now if begun is None else begun
        return self.outage.fail(
            failing,
            failure_class,
            retry_after=retry_after,
            jitter=jitter,
            begun=begun,
            now=self.now,
        )

    def succeed(self, begun: float | None = None) -> bool:
        return self.outage.succeed(begun=self.now if begun is None else begun)

    @property
    def allowed(self) -> int:
        return self.outage.allows(self.now)


def test_one_contact_that_fails_again_and_again_is_no_outage() -> None:
    watched, jane = Watched(), FailingMessage("jane")
    for count in range(1, 10):
        assert watched.fail(jane) is None
        assert jane.failures == count
    assert not watched.outage.is_open
    assert watched.allowed == 8


def test_two_contacts_are_no_outage_either() -> None:
    watched = Watched()
    for _ in range(4):
        assert watched.fail(FailingMessage("jane")) is None
        assert watched.fail(FailingMessage("joe")) is None
    assert not watched.outage.is_open


def test_unless_ten_of_their_requests_fail_in_a_row() -> None:
    watched, suspects = Watched(), [FailingMessage("jane") for _ in range(10)]
    pauses = [watched.fail(failing) for failing in suspects]
    assert pauses == [None] * 9 + [1.0]
    assert [failing.failures for failing in suspects] == [0] * 10


@pytest.mark.parametrize("failure_class", [FailureClass.AGAIN, FailureClass.UNCERTAIN])
def test_three_contacts_in_a_row_are_and_it_is_none_of_their_faults(
    failure_class: FailureClass,
) -> None:
    watched = Watched()
    jane, joe, jim = FailingMessage("jane"), FailingMessage("joe"), FailingMessage("jim")
    assert watched.fail(jane, failure_class) is None
    assert watched.fail(joe, failure_class) is None
    assert watched.fail(jane, failure_class) is None
    assert jane.failures == 2
    assert watched.fail(jim, failure_class) == 1.0
    assert watched.outage.is_open
    assert (jane.failures, joe.failures, jim.failures) == (0, 0, 0)
    assert watched.allowed == 0


def test_a_success_in_between_begins_the_row_anew() -> None:
    watched, jane = Watched(), FailingMessage("jane")
    for name in ("joe", "jim", "jack", "jill"):
        assert watched.fail(jane) is None
        assert watched.fail(FailingMessage(name)) is None
        assert watched.succeed() is False
    assert jane.failures == 4
    assert not watched.outage.is_open


def test_who_fails_again_after_others_have_succeeded_makes_no_outage() -> None:
    watched = Watched()
    suspects = [FailingMessage(name) for name in ("jane", "joe", "jim", "jack")]
    for failing in suspects[:2]:
        watched.fail(failing)
    watched.succeed()
    for failing in suspects[2:]:
        watched.fail(failing)
    watched.succeed()
    for _ in range(5):
        assert [watched.fail(failing) for failing in suspects] == [None] * 4
    assert [failing.failures for failing in suspects] == [6] * 4
    # Among others they don't count, and an outage is not their excuse.
    others = [FailingMessage(name) for name in ("a", "b", "c")]
    assert [watched.fail(other) for other in others] == [None, None, 1.0]
    watched.now = watched.outage.resumes_at
    watched.fail(suspects[0])
    watched.now = watched.outage.resumes_at
    watched.fail(others[0])
    watched.now = watched.outage.resumes_at
    watched.fail(suspects[0], FailureClass.OUTAGE)
    assert suspects[0].failures == 7
    assert others[0].failures == 0


@pytest.mark.parametrize("retry_after,expected", [(None, 1.0), (0.0, 0.0), (7.0, 7.0)])
def test_what_is_not_about_the_request_is_an_outage_at_once(
    retry_after: float | None, expected: float
) -> None:
    watched, jane = Watched(), FailingMessage("jane")
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=retry_after) == expected
    assert watched.outage.is_open
    assert jane.failures == 0


def test_during_an_outage_one_request_at_a_time_is_tried_ever_less_often() -> None:
    watched, jane = Watched(), FailingMessage("jane")
    pauses: list[float | None] = []
    for _ in range(6):
        pauses.append(watched.fail(jane, FailureClass.OUTAGE))
        assert watched.allowed == 0
        watched.now = watched.outage.resumes_at
        assert watched.allowed == 1
    assert pauses == [1, 2, 4, 8, 8, 8]
    assert jane.failures == 0


def test_an_outage_is_not_hammered_whatever_the_policy() -> None:
    outage = CircuitBreaker(RetryPolicy(base=0, cap=0), patience=100, most_at_once=8)
    pauses = [
        outage.fail(
            FailingMessage("jane"),
            FailureClass.OUTAGE,
            retry_after=None,
            jitter=1.0,
            begun=now,
            now=now,
        )
        for now in (1.0, 2.0, 3.0)
    ]
    assert pauses == [0, 0.02, 0.02]


def test_a_server_that_says_at_once_again_and_again_is_not_believed() -> None:
    watched, jane = Watched(), FailingMessage("jane")
    for expected in (0, 2, 4, 8):
        assert watched.fail(jane, FailureClass.OUTAGE, retry_after=0.0) == expected
        watched.now = watched.outage.resumes_at
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=20.0) == 20.0


def test_jitter_shortens_a_pause() -> None:
    assert Watched().fail(FailingMessage("jane"), FailureClass.OUTAGE, jitter=0.25) == 0.25


def test_after_an_outage_their_number_doubles_with_each_success() -> None:
    watched = Watched(most_at_once=7)
    watched.fail(FailingMessage("jane"), FailureClass.OUTAGE)
    watched.now = watched.outage.resumes_at
    assert watched.succeed() is True
    assert not watched.outage.is_open
    allowed = [watched.allowed]
    for _ in range(3):
        assert watched.succeed() is False
        allowed.append(watched.allowed)
    assert allowed == [2, 4, 7, 7]


def test_with_one_at_a_time_it_stays_at_one() -> None:
    watched = Watched(most_at_once=1)
    watched.fail(FailingMessage("jane"), FailureClass.OUTAGE)
    watched.now = watched.outage.resumes_at
    assert watched.succeed()
    assert watched.allowed == 1


def test_the_next_outage_begins_with_short_pauses_again() -> None:
    watched, jane = Watched(), FailingMessage("jane")
    for _ in range(4):
        watched.fail(jane, FailureClass.OUTAGE)
        watched.now = watched.outage.resumes_at
    watched.succeed()
    assert watched.fail(jane, FailureClass.OUTAGE) == 1.0


def test_what_was_under_way_when_the_pause_began_changes_nothing() -> None:
    watched, late = Watched(), FailingMessage("late")
    before = watched.now - 1
    assert watched.fail(FailingMessage("jane"), FailureClass.OUTAGE, retry_after=10.0) == 10.0
    assert watched.fail(late, begun=before) is None
    assert watched.fail(late, FailureClass.OUTAGE, retry_after=5.0, begun=before) is None
    assert watched.succeed(begun=before) is False
    assert watched.outage.is_open
    assert watched.outage.resumes_at == watched.now + 10
    assert late.failures == 0


def test_unless_it_is_told_to_wait_for_longer() -> None:
    watched = Watched()
    before = watched.now - 1
    watched.fail(FailingMessage("jane"), FailureClass.OUTAGE, retry_after=10.0)
    assert (
        watched.fail(FailingMessage("late"), FailureClass.OUTAGE, retry_after=30.0, begun=before)
        == 30.0
    )
    assert watched.outage.resumes_at == watched.now + 30


def test_patience_counts_from_the_beginning_of_the_outage() -> None:
    watched = Watched(patience=4)
    for name in ("jane", "joe"):
        watched.fail(FailingMessage(name))
        watched.now += 100
    pauses: list[float | None] = []
    for _ in range(4):
        pauses.append(watched.fail(FailingMessage("jim")))
        watched.now = watched.outage.resumes_at
    # The last try is made when the patience ends, not before.
    assert pauses == [1, 2, 1, math.inf]


def test_time_in_which_there_was_nothing_to_send_does_not_count() -> None:
    watched = Watched(patience=4)
    assert watched.fail(FailingMessage("jane"), FailureClass.OUTAGE) == 1.0
    watched.now = watched.outage.resumes_at + 1000
    assert watched.fail(FailingMessage("joe")) == 2.0
    watched.now = watched.outage.resumes_at + 1000
    assert watched.fail(FailingMessage("joe")) == 1.0
    watched.now = watched.outage.resumes_at
    assert watched.fail(FailingMessage("joe")) == math.inf


def test_a_pause_is_cut_where_patience_ends_but_not_one_that_the_server_asks_for() -> None:
    watched = Watched(patience=5)
    assert watched.fail(FailingMessage("jane"), FailureClass.OUTAGE, retry_after=4.5) == 4.5
    watched.now += 4.5
    assert watched.fail(FailingMessage("jane"), FailureClass.OUTAGE) == 0.5
    other = Watched(patience=5)
    assert other.fail(FailingMessage("jane"), FailureClass.OUTAGE, retry_after=5.5) == math.inf


def test_when_patience_has_ended_nothing_else_matters() -> None:
    watched = Watched(patience=5)
    assert watched.fail(FailingMessage("jane"), FailureClass.OUTAGE, retry_after=3600) == math.inf
    for retry_after in (None, 0.0, 3600.0):
        assert (
            watched.fail(FailingMessage("joe"), FailureClass.OUTAGE, retry_after=retry_after)
            is None
        )
    assert watched.allowed == 0


def test_endless_patience() -> None:
    watched, jane = Watched(patience=math.inf), FailingMessage("jane")
    watched.fail(jane, FailureClass.OUTAGE)
    watched.now += 1e9
    assert watched.fail(jane, FailureClass.OUTAGE) == 2.0
    assert watched.fail(jane, FailureClass.OUTAGE, retry_after=1e6) == 300.0
