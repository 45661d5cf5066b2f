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
from sendx_async._policy.failures import Outage, Verdict, judge

# The same whether or not the request may be sent twice.
SURE: dict[str, tuple[Verdict, list[SendXError]]] = {
    "halt": (
        Verdict.HALT,
        [
            AuthenticationError(status_code=401),
            PermissionDeniedError(status_code=403),
            ClientClosedError(),
            ConfigurationError(),
        ],
    ),
    "delivered": (Verdict.DELIVERED, [ResponseDecodeError(status_code=200, maybe_delivered=True)]),
    "outage": (
        Verdict.OUTAGE,
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
    "again": (Verdict.AGAIN, [ApiError(status_code=408), ApiError(status_code=425)]),
    "rejected": (
        Verdict.REJECTED,
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
    "verdict,error",
    [
        pytest.param(verdict, error, id=f"{name}-{shown(error)}")
        for name, (verdict, errors) in SURE.items()
        for error in errors
    ],
)
def test_what_a_failure_means_for_its_request(
    verdict: Verdict, error: SendXError, replay_safe: bool
) -> None:
    assert judge(error, replay_safe=replay_safe) is verdict


@pytest.mark.parametrize("error", AMBIGUOUS, ids=shown)
def test_what_may_have_been_applied_is_sent_again_only_if_that_is_safe(error: SendXError) -> None:
    assert judge(error, replay_safe=True) is Verdict.AGAIN
    assert judge(error, replay_safe=False) is Verdict.UNCERTAIN


class Suspect:
    def __init__(self, contact: str) -> None:
        self.contact = contact
        self.failures = 0
        self.spell = -1
        self.spells = 0


class Watched:
    """An outage whose clock is set by the test."""

    def __init__(self, *, patience: float = 100.0, most_at_once: int = 8) -> None:
        policy = RetryPolicy(base=1, cap=8)
        self.outage = Outage(policy, patience=patience, most_at_once=most_at_once)
        self.now = 1000.0

    def fail(
        self,
        suspect: Suspect,
        verdict: Verdict = Verdict.AGAIN,
        *,
        told: float | None = None,
        begun: float | None = None,
        jitter: float = 1.0,
    ) -> float | None:
        begun = self.now if begun is None else begun
        return self.outage.fail(
            suspect, verdict, told=told, jitter=jitter, begun=begun, now=self.now
        )

    def succeed(self, begun: float | None = None) -> bool:
        return self.outage.succeed(begun=self.now if begun is None else begun)

    @property
    def allowed(self) -> int:
        return self.outage.allows(self.now)


def test_one_contact_that_fails_again_and_again_is_no_outage() -> None:
    watched, jane = Watched(), Suspect("jane")
    for count in range(1, 10):
        assert watched.fail(jane) is None
        assert jane.failures == count
    assert not watched.outage.is_on
    assert watched.allowed == 8


def test_two_contacts_are_no_outage_either() -> None:
    watched = Watched()
    for _ in range(4):
        assert watched.fail(Suspect("jane")) is None
        assert watched.fail(Suspect("joe")) is None
    assert not watched.outage.is_on


def test_unless_ten_of_their_requests_fail_in_a_row() -> None:
    watched, suspects = Watched(), [Suspect("jane") for _ in range(10)]
    pauses = [watched.fail(suspect) for suspect in suspects]
    assert pauses == [None] * 9 + [1.0]
    assert [suspect.failures for suspect in suspects] == [0] * 10


@pytest.mark.parametrize("verdict", [Verdict.AGAIN, Verdict.UNCERTAIN])
def test_three_contacts_in_a_row_are_and_it_is_none_of_their_faults(verdict: Verdict) -> None:
    watched = Watched()
    jane, joe, jim = Suspect("jane"), Suspect("joe"), Suspect("jim")
    assert watched.fail(jane, verdict) is None
    assert watched.fail(joe, verdict) is None
    assert watched.fail(jane, verdict) is None
    assert jane.failures == 2
    assert watched.fail(jim, verdict) == 1.0
    assert watched.outage.is_on
    assert (jane.failures, joe.failures, jim.failures) == (0, 0, 0)
    assert watched.allowed == 0


def test_a_success_in_between_begins_the_row_anew() -> None:
    watched, jane = Watched(), Suspect("jane")
    for name in ("joe", "jim", "jack", "jill"):
        assert watched.fail(jane) is None
        assert watched.fail(Suspect(name)) is None
        assert watched.succeed() is False
    assert jane.failures == 4
    assert not watched.outage.is_on


def test_who_fails_again_after_others_have_succeeded_makes_no_outage() -> None:
    watched = Watched()
    suspects = [Suspect(name) for name in ("jane", "joe", "jim", "jack")]
    for suspect in suspects[:2]:
        watched.fail(suspect)
    watched.succeed()
    for suspect in suspects[2:]:
        watched.fail(suspect)
    watched.succeed()
    for _ in range(5):
        assert [watched.fail(suspect) for suspect in suspects] == [None] * 4
    assert [suspect.failures for suspect in suspects] == [6] * 4
    # Among others they don't count, and an outage is not their excuse.
    others = [Suspect(name) for name in ("a", "b", "c")]
    assert [watched.fail(other) for other in others] == [None, None, 1.0]
    watched.now = watched.outage.resumes_at
    watched.fail(suspects[0])
    watched.now = watched.outage.resumes_at
    watched.fail(others[0])
    watched.now = watched.outage.resumes_at
    watched.fail(suspects[0], Verdict.OUTAGE)
    assert suspects[0].failures == 7
    assert others[0].failures == 0


@pytest.mark.parametrize("told,expected", [(None, 1.0), (0.0, 0.0), (7.0, 7.0)])
def test_what_is_not_about_the_request_is_an_outage_at_once(
    told: float | None, expected: float
) -> None:
    watched, jane = Watched(), Suspect("jane")
    assert watched.fail(jane, Verdict.OUTAGE, told=told) == expected
    assert watched.outage.is_on
    assert jane.failures == 0


def test_during_an_outage_one_request_at_a_time_is_tried_ever_less_often() -> None:
    watched, jane = Watched(), Suspect("jane")
    pauses: list[float | None] = []
    for _ in range(6):
        pauses.append(watched.fail(jane, Verdict.OUTAGE))
        assert watched.allowed == 0
        watched.now = watched.outage.resumes_at
        assert watched.allowed == 1
    assert pauses == [1, 2, 4, 8, 8, 8]
    assert jane.failures == 0


def test_an_outage_is_not_hammered_whatever_the_policy() -> None:
    outage = Outage(RetryPolicy(base=0, cap=0), patience=100, most_at_once=8)
    pauses = [
        outage.fail(Suspect("jane"), Verdict.OUTAGE, told=None, jitter=1.0, begun=now, now=now)
        for now in (1.0, 2.0, 3.0)
    ]
    assert pauses == [0, 0.02, 0.02]


def test_a_server_that_says_at_once_again_and_again_is_not_believed() -> None:
    watched, jane = Watched(), Suspect("jane")
    for expected in (0, 2, 4, 8):
        assert watched.fail(jane, Verdict.OUTAGE, told=0.0) == expected
        watched.now = watched.outage.resumes_at
    assert watched.fail(jane, Verdict.OUTAGE, told=20.0) == 20.0


def test_jitter_shortens_a_pause() -> None:
    assert Watched().fail(Suspect("jane"), Verdict.OUTAGE, jitter=0.25) == 0.25


def test_after_an_outage_their_number_doubles_with_each_success() -> None:
    watched = Watched(most_at_once=7)
    watched.fail(Suspect("jane"), Verdict.OUTAGE)
    watched.now = watched.outage.resumes_at
    assert watched.succeed() is True
    assert not watched.outage.is_on
    allowed = [watched.allowed]
    for _ in range(3):
        assert watched.succeed() is False
        allowed.append(watched.allowed)
    assert allowed == [2, 4, 7, 7]


def test_with_one_at_a_time_it_stays_at_one() -> None:
    watched = Watched(most_at_once=1)
    watched.fail(Suspect("jane"), Verdict.OUTAGE)
    watched.now = watched.outage.resumes_at
    assert watched.succeed()
    assert watched.allowed == 1


def test_the_next_outage_begins_with_short_pauses_again() -> None:
    watched, jane = Watched(), Suspect("jane")
    for _ in range(4):
        watched.fail(jane, Verdict.OUTAGE)
        watched.now = watched.outage.resumes_at
    watched.succeed()
    assert watched.fail(jane, Verdict.OUTAGE) == 1.0


def test_what_was_under_way_when_the_pause_began_changes_nothing() -> None:
    watched, late = Watched(), Suspect("late")
    before = watched.now - 1
    assert watched.fail(Suspect("jane"), Verdict.OUTAGE, told=10.0) == 10.0
    assert watched.fail(late, begun=before) is None
    assert watched.fail(late, Verdict.OUTAGE, told=5.0, begun=before) is None
    assert watched.succeed(begun=before) is False
    assert watched.outage.is_on
    assert watched.outage.resumes_at == watched.now + 10
    assert late.failures == 0


def test_unless_it_is_told_to_wait_for_longer() -> None:
    watched = Watched()
    before = watched.now - 1
    watched.fail(Suspect("jane"), Verdict.OUTAGE, told=10.0)
    assert watched.fail(Suspect("late"), Verdict.OUTAGE, told=30.0, begun=before) == 30.0
    assert watched.outage.resumes_at == watched.now + 30


def test_patience_counts_from_the_beginning_of_the_outage() -> None:
    watched = Watched(patience=4)
    for name in ("jane", "joe"):
        watched.fail(Suspect(name))
        watched.now += 100
    pauses: list[float | None] = []
    for _ in range(4):
        pauses.append(watched.fail(Suspect("jim")))
        watched.now = watched.outage.resumes_at
    # The last try is made when the patience ends, not before.
    assert pauses == [1, 2, 1, math.inf]


def test_time_in_which_there_was_nothing_to_send_does_not_count() -> None:
    watched = Watched(patience=4)
    assert watched.fail(Suspect("jane"), Verdict.OUTAGE) == 1.0
    watched.now = watched.outage.resumes_at + 1000
    assert watched.fail(Suspect("joe")) == 2.0
    watched.now = watched.outage.resumes_at + 1000
    assert watched.fail(Suspect("joe")) == 1.0
    watched.now = watched.outage.resumes_at
    assert watched.fail(Suspect("joe")) == math.inf


def test_a_pause_is_cut_where_patience_ends_but_not_one_that_the_server_asks_for() -> None:
    watched = Watched(patience=5)
    assert watched.fail(Suspect("jane"), Verdict.OUTAGE, told=4.5) == 4.5
    watched.now += 4.5
    assert watched.fail(Suspect("jane"), Verdict.OUTAGE) == 0.5
    other = Watched(patience=5)
    assert other.fail(Suspect("jane"), Verdict.OUTAGE, told=5.5) == math.inf


def test_when_patience_has_ended_nothing_else_matters() -> None:
    watched = Watched(patience=5)
    assert watched.fail(Suspect("jane"), Verdict.OUTAGE, told=3600) == math.inf
    for told in (None, 0.0, 3600.0):
        assert watched.fail(Suspect("joe"), Verdict.OUTAGE, told=told) is None
    assert watched.allowed == 0


def test_endless_patience() -> None:
    watched, jane = Watched(patience=math.inf), Suspect("jane")
    watched.fail(jane, Verdict.OUTAGE)
    watched.now += 1e9
    assert watched.fail(jane, Verdict.OUTAGE) == 2.0
    assert watched.fail(jane, Verdict.OUTAGE, told=1e6) == 300.0
