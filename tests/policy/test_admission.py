"""What may be sent now: the clock is the test's."""

import math

import pytest

from sendx_async import (
    AuthenticationError,
    ConnectError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    SendXError,
    ServerError,
)
from sendx_async._policy.admission import Admission
from sendx_async._policy.circuit_breaker import FailureHistory, NotedFailure
from sendx_async._policy.failures import FailureClass, classify


def admission(*, most_at_once: int = 4, is_stored: bool = False) -> Admission:
    return Admission(
        RetryPolicy(base=8, cap=8),
        patience=math.inf,
        most_at_once=most_at_once,
        is_stored=is_stored,
        now=0.0,
    )


def fail(
    admitted: Admission, error: SendXError, *, now: float, begun: float | None = None
) -> NotedFailure:
    return admitted.fail(
        FailureHistory("jane"),
        classify(error, replay_safe=True),
        error,
        jitter=1.0,
        begun=now if begun is None else begun,
        now=now,
    )


def test_when_all_is_well_so_many_may_be_under_way() -> None:
    admitted = admission()
    assert not admitted.is_in_outage
    assert [admitted.wait(1.0, under_way=count) for count in (0, 3, 4, 5)] == [
        0.0, 0.0, math.inf, math.inf,
    ]  # fmt: skip


def test_when_nothing_is_known_the_first_request_is_a_probe() -> None:
    admitted = admission(is_stored=True)
    assert admitted.needs_probe
    assert not admitted.is_in_outage
    assert admitted.allows(0.0) == 1
    assert admitted.wait(0.0, under_way=1) == math.inf
    assert not admitted.succeed(begun=0.0, now=1.0)
    assert admitted.allows(1.0) == 2
    assert admitted.wait(1.0, under_way=1) == 0.0


def test_a_first_request_that_fails_makes_an_outage_though_it_may_be_its_own_fault() -> None:
    admitted = admission(is_stored=True)
    assert fail(admitted, ServerError(status_code=500), now=1.0).pause == 8.0
    assert admitted.is_in_outage
    assert admitted.succeed(begun=9.0, now=9.5)


class TestEventAsProbe:
    @staticmethod
    def in_outage_since_the_start(contacts: int, *, until: float) -> Admission:
        admitted = admission(is_stored=True)
        now = 0.0
        while now < until:
            contact = FailureHistory(f"c{int(now) % contacts}")
            error = ServerError(status_code=500)
            admitted.fail(contact, FailureClass.AGAIN, error, jitter=1.0, begun=now, now=now)
            now = max(now + 1.0, admitted.resumes_at)
        return admitted

    def test_one_that_was_in_vain_is_followed_by_the_next_after_five_minutes(self) -> None:
        admitted = admission(is_stored=True)
        assert admitted.wait_for_event(0.0) <= 0
        error = ServerError(status_code=500)
        contact = FailureHistory("jane")
        admitted.fail(contact, FailureClass.UNCERTAIN, error, jitter=1.0, begun=0.0, now=1.0)
        assert [admitted.wait_for_event(now) for now in (1.0, 300.0, 301.0)] == [300.0, 1.0, 0.0]

    def test_the_latest_one_counts(self) -> None:
        admitted = admission()
        admitted.note_uncertain(5.0)
        admitted.note_uncertain(3.0)
        assert admitted.wait_for_event(5.0) == 300.0

    @pytest.mark.parametrize("contacts,prefers", [(1, True), (2, True), (3, False)])
    def test_it_is_preferred_when_too_few_others_have_failed_for_long(
        self, contacts: int, prefers: bool
    ) -> None:
        admitted = self.in_outage_since_the_start(contacts, until=1000.0)
        assert admitted.prefers_event(1000.0) is prefers
        admitted.note_uncertain(1000.0)
        assert not admitted.prefers_event(1000.0)

    def test_it_is_not_preferred_before_that(self) -> None:
        assert not self.in_outage_since_the_start(1, until=200.0).prefers_event(200.0)

    def test_it_is_not_preferred_where_it_is_certain_that_it_is_no_fault_of_a_request(self) -> None:
        admitted = admission(is_stored=True)
        fail(admitted, ConnectError(), now=0.0)
        assert not admitted.prefers_event(1000.0)
        well = admission()
        for number in range(3):
            error = ServerError(status_code=500)
            contact = FailureHistory(f"c{number}")
            well.fail(contact, FailureClass.AGAIN, error, jitter=1.0, begun=0.0, now=0.0)
        assert well.is_in_outage
        assert not well.prefers_event(1000.0)

    @pytest.mark.parametrize(
        "error", [ServerError(status_code=500), ResponseDecodeError(status_code=200)]
    )
    def test_it_is_when_one_contact_goes_on_failing_though_it_was_certain_once(
        self, error: SendXError
    ) -> None:
        admitted = admission(is_stored=True)
        fail(admitted, ConnectError(), now=0.0)
        failing, now = FailureHistory("jane"), 0.0
        while not admitted.prefers_event(now):
            now = admitted.resumes_at
            failure_class = classify(error, replay_safe=True)
            admitted.fail(failing, failure_class, error, jitter=1.0, begun=now, now=now)
        assert 300.0 < now < 330.0


def test_an_outage_is_tried_after_its_pause_by_one_when_none_is_under_way() -> None:
    admitted = admission()
    assert fail(admitted, ConnectError(), now=1.0).pause == 8.0
    assert admitted.is_in_outage
    assert admitted.resumes_at == 9.0
    assert admitted.wait(4.0, under_way=0) == 5.0
    assert admitted.wait(4.0, under_way=1) == math.inf
    assert admitted.wait(9.0, under_way=1) == math.inf
    assert admitted.wait(9.0, under_way=0) == 0.0
    assert admitted.succeed(begun=9.0, now=9.5)
    assert admitted.wait(9.5, under_way=1) == 0.0
    assert admitted.wait(9.5, under_way=2) == math.inf


def test_what_began_before_an_outage_may_not_go_on() -> None:
    admitted = admission()
    assert admitted.may_go_on(begun=0.0)
    fail(admitted, ConnectError(), now=1.0)
    assert not admitted.may_go_on(begun=0.0)
    assert admitted.may_go_on(begun=9.0)
    admitted.succeed(begun=9.0, now=9.5)
    assert admitted.may_go_on(begun=0.0)


@pytest.mark.parametrize(
    "error,is_slower",
    [(RateLimitError(status_code=429, retry_after=5.0), True), (ConnectError(), False)],
)
def test_only_a_429_slows_down_what_is_sent_after_the_outage(
    error: SendXError, is_slower: bool
) -> None:
    admitted = admission()
    fail(admitted, error, now=1.0)
    now = admitted.resumes_at
    assert admitted.wait(now, under_way=0) == 0.0
    assert admitted.succeed(begun=now, now=now)
    assert (admitted.wait(now, under_way=0) > 0) is is_slower


def test_a_429_while_an_outage_is_tried_slows_down_nothing() -> None:
    admitted = admission()
    fail(admitted, ConnectError(), now=1.0)
    fail(admitted, RateLimitError(status_code=429, retry_after=5.0), now=admitted.resumes_at)
    now = admitted.resumes_at
    assert admitted.wait(now, under_way=0) == 0.0
    assert admitted.succeed(begun=now, now=now)
    assert admitted.wait(now, under_way=0) == 0.0


def test_the_waits_for_a_key_grow_to_five_minutes_and_a_success_shortens_them_again() -> None:
    admitted, now, pauses = admission(), 0.0, []
    error = AuthenticationError(status_code=401)
    for _ in range(5):
        pauses.append(fail(admitted, error, now=now).pause)
        assert fail(admitted, error, now=now + 0.5, begun=now).pause is None  # had begun as well
        now = admitted.resumes_at
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]
    assert admitted.succeed(begun=now, now=now)
    assert fail(admitted, error, now=now).pause == 60.0


def test_one_failing_request_is_no_outage() -> None:
    admitted = admission()
    assert not fail(admitted, ServerError(status_code=500), now=1.0).is_in_outage
    assert admitted.wait(1.0, under_way=3) == 0.0
