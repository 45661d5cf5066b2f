"""When a failed attempt of a call is repeated: pure decisions, the clock passed in."""

import math

from sendx_async._core.errors import SendXError
from sendx_async._core.locks import Lock
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.failures import Certainty, certainty_of, is_permanent, retry_after_of

_PER_SECOND = 1.0  # retries that come back into the budget
_PER_CALL = 0.2


def backoff(policy: RetryPolicy, *, retries_done: int, jitter: float) -> float:
    """Return the seconds to wait when the server doesn't say: exponential, with full jitter.

    Args:
        policy: The longest waits.
        retries_done: How often the call was repeated already.
        jitter: A random number from 0 to 1.
    """
    return jitter * min(policy.cap, policy.base * 2.0 ** min(retries_done, 60))


class RetryBudget:
    """A token bucket of retries, shared by all calls of a client and safe to share by threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._spent = 0.0
        self._refilled_at = 0.0

    def earn(self) -> None:
        """Bring in the part of a retry that each call is worth."""
        if self._spent:
            self._lock.run(self._earn)

    def _earn(self) -> None:
        self._spent = max(0.0, self._spent - _PER_CALL)

    def spend(self, policy: RetryPolicy, *, now: float) -> bool:
        """Return whether there was a retry to spend; ``now`` is in seconds of a monotonic clock."""
        if policy.budget == math.inf:
            return True
        return self._lock.run(lambda: self._spend(policy.budget, now))

    def _spend(self, budget: float, now: float) -> bool:
        # A thread may have looked at the clock before another one that came here first.
        since = max(0.0, now - self._refilled_at)
        # Nobody has to make up for what another policy allowed.
        self._spent = min(max(0.0, self._spent - since * _PER_SECOND), budget)
        self._refilled_at += since
        if self._spent + 1 > budget:
            return False
        self._spent += 1
        return True


def retry_delay(
    error: SendXError,
    *,
    policy: RetryPolicy,
    budget: RetryBudget,
    replay_safe: bool,
    retries_done: int,
    time_left: float,
    jitter: float,
    now: float,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there must be none.

    Args:
        error: How the last attempt ended.
        policy: How often, and how long to wait.
        budget: The client's common reserve of retries.
        replay_safe: Whether applying the request twice is harmless.
        retries_done: How often the call was repeated already.
        time_left: Seconds until the call's deadline; a wait beyond it is not begun.
        jitter: A random number from 0 to 1.
        now: Seconds of a monotonic clock.
    """
    certainty = certainty_of(error)
    if certainty is Certainty.PROCESSED or (certainty is Certainty.UNKNOWN and not replay_safe):
        return None
    if retries_done >= policy.max_retries or is_permanent(error):
        return None
    retry_after = retry_after_of(error)
    delay = (
        backoff(policy, retries_done=retries_done, jitter=jitter)
        if retry_after is None
        else retry_after
    )
    if delay >= time_left:
        return None
    if retry_after is None and not budget.spend(policy, now=now):
        return None
    return delay
