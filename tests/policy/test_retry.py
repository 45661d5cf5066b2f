"""Every cell of the table of retries, its limits, and the budget that all calls share."""

import math
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from sendx_async import (
    ApiError,
    AttemptTimeout,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    InvalidRequestError,
    ReportedFailureError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    SendXError,
)
from sendx_async._core.errors import api_error_class
from sendx_async._policy.failures import pause_for_everyone
from sendx_async._policy.retry import RetryBudget, backoff, retry_delay

RETRY, RAISE = "retry", "raise"
POLICY = RetryPolicy()


def answered(status_code: int, retry_after: float | None = None) -> ApiError:
    kind = api_error_class(status_code)
    return kind("x", status_code=status_code, retry_after=retry_after, maybe_delivered=True)


def delay_after(
    error: SendXError,
    *,
    policy: RetryPolicy = POLICY,
    budget: RetryBudget | None = None,
    replay_safe: bool = True,
    retries_done: int = 0,
    time_left: float = 30.0,
    jitter: float = 0.5,
    now: float = 1000.0,
) -> float | None:
    return retry_delay(
        error, policy=policy, budget=budget or RetryBudget(), replay_safe=replay_safe,
        retries_done=retries_done, time_left=time_left, jitter=jitter, now=now,
    )  # fmt: skip


NOT_SENT = {
    "connection refused": ConnectError("x"),
    "connect timeout": AttemptTimeout("x", maybe_delivered=False),
    "gate wait": AttemptTimeout("no free connection", maybe_delivered=False),
}
REFUSED = {
    "429": answered(429),
    "429 with Retry-After": answered(429, 2.0),
    "408": answered(408),
    "408 with Retry-After": answered(408, 2.0),
    "425": answered(425),
    "503 with Retry-After": answered(503, 2.0),
    "503 with Retry-After 0": answered(503, 0.0),
}
MAYBE_BY_STATUS = {str(code): answered(code) for code in (500, 502, 503, 504, 501, 520, 599)}
MAYBE_BY_TRANSPORT = {
    "read timeout": AttemptTimeout("x", maybe_delivered=True),
    "reset": ResponseLost("x", maybe_delivered=True),
    "disconnect": ResponseLost("x", maybe_delivered=True),
}
PROCESSED = {
    str(code): answered(code)
    for code in (301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 413, 422)
}
FINAL = {
    "unreadable success": ResponseDecodeError("x", maybe_delivered=True),
    "reported failure": ReportedFailureError("x", status_code=200, maybe_delivered=True),
    "deadline": DeadlineExceeded("x"),
    "closed": ClientClosedError("x"),
    "invalid": InvalidRequestError("x"),
}
# failure                       replay-safe  not replay-safe
TABLE: list[tuple[Mapping[str, SendXError], str, str]] = [
    (NOT_SENT,                  RETRY,       RETRY),
    (REFUSED,                   RETRY,       RETRY),
    (MAYBE_BY_STATUS,           RETRY,       RAISE),
    (MAYBE_BY_TRANSPORT,        RETRY,       RAISE),
    (PROCESSED,                 RAISE,       RAISE),
    (FINAL,                     RAISE,       RAISE),
]  # fmt: skip
CELLS = [
    pytest.param(error, replay_safe, expected, id=f"{name}, {'' if replay_safe else 'not '}safe")
    for errors, when_safe, when_unsafe in TABLE
    for name, error in errors.items()
    for replay_safe, expected in ((True, when_safe), (False, when_unsafe))
]


@pytest.mark.parametrize("error, replay_safe, expected", CELLS)
def test_an_error_is_repeated_only_if_that_is_safe(
    error: SendXError, *, replay_safe: bool, expected: str
) -> None:
    delay = delay_after(error, replay_safe=replay_safe)
    assert (RAISE if delay is None else RETRY) == expected
    retry_after = error.retry_after if isinstance(error, ApiError) else None
    if delay is not None:
        assert delay == (0.25 if retry_after is None else retry_after)


class TestLimits:
    def test_a_call_is_repeated_no_more_often_than_max_retries(self) -> None:
        policy = RetryPolicy(2)
        decisions = [
            delay_after(ConnectError("x"), policy=policy, retries_done=n) for n in range(4)
        ]
        assert [delay is None for delay in decisions] == [False, False, True, True]
        assert delay_after(answered(429, 0.0), policy=RetryPolicy(0)) is None

    @pytest.mark.parametrize("time_left", [0.25, 0.2, 0.0, -1.0])
    def test_a_wait_that_would_pass_the_deadline_is_not_begun(self, time_left: float) -> None:
        assert delay_after(ConnectError("x"), time_left=time_left) is None
        assert delay_after(ConnectError("x"), time_left=0.26) == 0.25

    def test_the_server_may_ask_for_more_than_is_left(self) -> None:
        assert delay_after(answered(429, 3600.0)) is None
        assert delay_after(answered(429, 3600.0), time_left=math.inf) == 3600.0

    def test_what_the_server_says_counts_more_than_back_off(self) -> None:
        for retry_after in (0.0, 0.001, 29.0):
            assert (
                delay_after(answered(429, retry_after), retries_done=2, jitter=1.0) == retry_after
            )

    def test_a_refused_deadline_or_limit_spends_nothing(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=1)
        assert delay_after(ConnectError("x"), policy=policy, budget=budget, time_left=0.1) is None
        assert delay_after(ConnectError("x"), policy=policy, budget=budget, retries_done=3) is None
        assert delay_after(answered(404), policy=policy, budget=budget) is None
        assert delay_after(ConnectError("x"), policy=policy, budget=budget) is not None
        assert delay_after(ConnectError("x"), policy=policy, budget=budget) is None

    def test_a_wait_that_the_server_asked_for_needs_no_budget(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=0)
        assert delay_after(answered(500), policy=policy, budget=budget) is None
        assert delay_after(answered(429), policy=policy, budget=budget) is None
        assert delay_after(answered(429, 1.0), policy=policy, budget=budget) == 1.0


class TestBackoff:
    @pytest.mark.parametrize(
        "retries_done, longest", [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0)]
    )
    def test_backoff_doubles_up_to_the_cap_with_full_jitter(
        self, retries_done: int, longest: float
    ) -> None:
        for jitter in (0.0, 0.25, 1.0):
            delay = backoff(POLICY, retries_done=retries_done, jitter=jitter)
            assert delay == jitter * longest

    @pytest.mark.parametrize("retries_done", [60, 2000, 10**9])
    def test_backoff_never_overflows(self, retries_done: int) -> None:
        assert backoff(POLICY, retries_done=retries_done, jitter=1.0) == 8.0
        assert backoff(RetryPolicy(base=0), retries_done=retries_done, jitter=1.0) == 0.0


class TestPause:
    @pytest.mark.parametrize(
        "error, pause",
        [
            (answered(429), 7.0), (answered(429, 3.0), 3.0), (answered(429, 0.0), 0.0),
            (answered(503, 3.0), 3.0), (answered(503), None), (answered(500, 3.0), None),
            (answered(408, 3.0), None), (answered(404), None), (ConnectError("x"), None),
            (DeadlineExceeded("x"), None),
        ],
    )  # fmt: skip
    def test_only_a_server_that_asks_for_it_makes_everyone_pause(
        self, error: SendXError, pause: float | None
    ) -> None:
        assert pause_for_everyone(error, otherwise=7.0) == pause


class TestBudget:
    def spend_all(self, budget: RetryBudget, policy: RetryPolicy, now: float) -> int:
        count = 0
        while budget.spend(policy, now=now):
            count += 1
        return count

    def test_a_budget_begins_full_whatever_the_clock_says(self) -> None:
        for now in (0.0, 5.0, 1e9):
            assert self.spend_all(RetryBudget(), POLICY, now) == 20

    def test_time_brings_retries_back_up_to_the_budget(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=5)
        assert self.spend_all(budget, policy, 100.0) == 5
        assert self.spend_all(budget, policy, 100.9) == 0
        assert self.spend_all(budget, policy, 101.0) == 1
        assert self.spend_all(budget, policy, 104.0) == 3
        assert self.spend_all(budget, policy, 1000.0) == 5

    def test_calls_bring_retries_back_up_to_the_budget(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=3)
        for _ in range(100):
            budget.earn()  # a full budget takes no more
        assert self.spend_all(budget, policy, 1.0) == 3
        for _ in range(4):
            budget.earn()
        assert not budget.spend(policy, now=1.0)
        budget.earn()
        assert self.spend_all(budget, policy, 1.0) == 1
        for _ in range(100):
            budget.earn()
        assert self.spend_all(budget, policy, 1.0) == 3

    def test_a_clock_read_before_another_threads_gives_nothing_away(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=2)
        assert self.spend_all(budget, policy, 100.0) == 2
        for now in (99.5, 100.0, 99.0, 100.0):
            assert not budget.spend(policy, now=now)
        assert self.spend_all(budget, policy, 102.0) == 2

    def test_threads_share_a_budget_and_never_overspend_it(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=500)
        start, granted = threading.Barrier(8), list[int]()

        def spend() -> None:
            start.wait(20)
            granted.append(sum(budget.spend(policy, now=1.0) for _ in range(200)))

        threads = [threading.Thread(target=spend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sum(granted) == 500


class TestPolicy:
    def test_defaults_of_the_policy_are_as_documented(self) -> None:
        assert (POLICY.max_retries, POLICY.base, POLICY.cap) == (3, 0.5, 8.0)
        assert POLICY.budget == 20.0
        assert RetryPolicy(0, base=0, cap=0, budget=0).max_retries == 0

    @pytest.mark.parametrize("value", [-1, True, 1.5, "3", None], ids=repr)
    def test_max_retries_is_a_count(self, value: Any) -> None:
        with pytest.raises(ConfigurationError, match="RetryPolicy: max_retries must be an int"):
            RetryPolicy(value)

    @pytest.mark.parametrize("name", ["base", "cap", "budget"])
    @pytest.mark.parametrize(
        "value", [-1, -0.1, True, "3", None, math.nan, 10**400], ids=lambda value: repr(value)[:9]
    )
    def test_options_that_are_no_numbers_are_refused(self, name: str, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"RetryPolicy: {name} must be a"):
            RetryPolicy(**{name: value})

    @pytest.mark.parametrize("name", ["base", "cap"])
    def test_endless_waits_are_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"RetryPolicy: {name} must be a"):
            RetryPolicy(**{name: math.inf})  # type: ignore[arg-type]

    def test_an_endless_budget_limits_nothing(self) -> None:
        budget, policy = RetryBudget(), RetryPolicy(budget=math.inf)
        assert all(budget.spend(policy, now=1.0) for _ in range(1000))

    def test_a_policy_is_frozen_and_all_but_the_first_is_named(self) -> None:
        frozen: Any = RetryPolicy(1)
        with pytest.raises(AttributeError):
            frozen.max_retries = 2
        make: Any = RetryPolicy
        with pytest.raises(TypeError):
            make(1, 2)
