"""When a failed attempt is repeated, and after how long: pure decisions, the clock passed in."""

import enum
import math

import attrs

from sendx_async._core.errors import (
    ApiError,
    ConfigurationError,
    SendXError,
    ServerError,
    TransportError,
)
from sendx_async._core.forks import ForkSafeLock
from sendx_async._core.validation import described

_REFUSED_FOR_NOW = frozenset({408, 425, 429})
_TOO_MANY = 429
_UNAVAILABLE = 503
_MOST = 1e9


def _positive(instance: object, attribute: "attrs.Attribute[float]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be a number from 0 to {_MOST:g}, "
            f"got {described(value)}"
        )


def _positive_or_infinite(
    instance: object, attribute: "attrs.Attribute[float]", value: object
) -> None:
    if value != math.inf:
        _positive(instance, attribute, value)


def _count(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ConfigurationError(
            f"{type(instance).__name__}: {attribute.name} must be an int from 0 to {_MOST:g}, "
            f"got {described(value)}"
        )


@attrs.frozen
class RetryPolicy:
    """How often a call is repeated and how long it waits in between.

    The wait before retry *n* is random between 0 and ``min(cap, base * 2**n)`` seconds, unless the
    server says how long to wait. Only what is safe to repeat is repeated:
    docs/guarantees.md has a table.

    Args:
        max_retries: How many times a call is repeated at most. Default 3; 0 for never.
        base: Seconds, the longest wait before the first retry. Default 0.5.
        cap: Seconds, the longest wait before any retry. Default 8.
        budget: How many retries all calls of a client together may have in reserve, so that an
            outage isn't multiplied by retries. Default 20; ``math.inf`` for no limit. A retry takes
            one from it, unless the server itself said when to come back.
        refill: How many retries a second come back into the budget, up to ``budget``. Default 1.
        refill_per_call: What part of a retry each call brings into the budget. Default 0.2.

    Raises:
        ConfigurationError: A value is negative, or not a number.
    """

    max_retries: int = attrs.field(default=3, validator=_count)
    base: float = attrs.field(default=0.5, validator=_positive, kw_only=True)
    cap: float = attrs.field(default=8.0, validator=_positive, kw_only=True)
    budget: float = attrs.field(default=20.0, validator=_positive_or_infinite, kw_only=True)
    refill: float = attrs.field(default=1.0, validator=_positive, kw_only=True)
    refill_per_call: float = attrs.field(default=0.2, validator=_positive, kw_only=True)


class Fate(enum.Enum):
    """What became of the request in a failed attempt."""

    NOT_SENT = "not sent"
    REFUSED = "refused for now"
    UNKNOWN = "maybe applied"
    PROCESSED = "processed, and the answer is final"


def fate_of(error: SendXError) -> Fate:
    """Say what became of the request whose attempt ended with this error."""
    if isinstance(error, TransportError):
        return Fate.UNKNOWN if error.maybe_delivered else Fate.NOT_SENT
    if isinstance(error, ApiError):
        if error.status_code in _REFUSED_FOR_NOW or _is_told_to_wait(error):
            return Fate.REFUSED
        if isinstance(error, ServerError):
            return Fate.UNKNOWN
    return Fate.PROCESSED


def _is_told_to_wait(error: ApiError) -> bool:
    return error.status_code == _UNAVAILABLE and error.retry_after is not None


def backoff(policy: RetryPolicy, *, retries_done: int, jitter: float) -> float:
    """Give the seconds to wait when the server doesn't say: exponential, with full jitter.

    Args:
        policy: The longest waits.
        retries_done: How often the call was repeated already.
        jitter: A random number from 0 to 1.
    """
    return jitter * min(policy.cap, policy.base * 2.0 ** min(retries_done, 60))


def pause_for_everyone(error: SendXError, *, otherwise: float) -> float | None:
    """Give the seconds that the whole client has to pause after this error, or None.

    Args:
        error: How an attempt ended.
        otherwise: Seconds to pause if the server refuses for now and doesn't say how long.
    """
    if not isinstance(error, ApiError):
        return None
    if error.status_code == _TOO_MANY or _is_told_to_wait(error):
        return otherwise if error.retry_after is None else error.retry_after
    return None


class RetryBudget:
    """A token bucket of retries, shared by all calls of a client and safe to share by threads."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._spent = 0.0
        self._refilled_at = 0.0

    def earn(self, policy: RetryPolicy) -> None:
        """Bring in the part of a retry that each call is worth."""
        if self._spent:
            with self._lock.current:
                self._spent = max(0.0, self._spent - policy.refill_per_call)

    def spend(self, policy: RetryPolicy, *, now: float) -> bool:
        """Take one retry out, if there is one; ``now`` is in seconds of a monotonic clock."""
        if policy.budget == math.inf:
            return True
        with self._lock.current:
            # A thread may have looked at the clock before another one that came here first.
            since = max(0.0, now - self._refilled_at)
            # Nobody has to make up for what another policy allowed.
            self._spent = min(max(0.0, self._spent - since * policy.refill), policy.budget)
            self._refilled_at += since
            if self._spent + 1 > policy.budget:
                return False
            self._spent += 1
            return True


def decide(
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
    """Give the seconds to wait before the next attempt, or None if there must be none.

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
    fate = fate_of(error)
    if fate is Fate.PROCESSED or (fate is Fate.UNKNOWN and not replay_safe):
        return None
    if retries_done >= policy.max_retries:
        return None
    told = error.retry_after if isinstance(error, ApiError) else None
    delay = backoff(policy, retries_done=retries_done, jitter=jitter) if told is None else told
    if delay >= time_left:
        return None
    if told is None and not budget.spend(policy, now=now):
        return None
    return delay
