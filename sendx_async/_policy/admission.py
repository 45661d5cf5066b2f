"""What may be sent now: when all is well, in an outage, and at the start when nothing is known."""

import math

from sendx_async._core.errors import RateLimitError, ResponseDecodeError, SendXError
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.adaptive_rate import AdaptiveRate
from sendx_async._policy.circuit_breaker import (
    CircuitBreaker,
    Effect,
    FailingMessage,
    FailureHistory,
    NotedFailure,
)
from sendx_async._policy.failures import FailureClass, retry_after_of

SECONDS_BETWEEN_EVENTS = 300.0  # that are probes: each may become uncertain
SECONDS_BETWEEN_LOOKS = 30.0  # for another probe than an event, while that may not be one
SHORTEST_HALT, LONGEST_HALT = 60.0, 300.0  # seconds between two tries when the key is refused


class Admission:
    """Decides when the next request may begin: pure, the clock passed in.

    Args:
        policy: The longest waits between two tries of an outage.
        patience: Seconds that an outage may last; ``math.inf`` for no limit.
        most_at_once: How many requests may be under way when all is well.
        is_stored: Whether the requests are stored, so that nobody waits: see `CircuitBreaker`.
        now: The time.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        patience: float,
        most_at_once: int,
        is_stored: bool = False,
        now: float,
    ) -> None:
        self._breaker = CircuitBreaker(
            policy,
            patience=patience,
            most_at_once=most_at_once,
            is_stored=is_stored,
        )
        self._adaptive_rate = AdaptiveRate(now)
        self._halts = 0
        self._uncertain_at = -math.inf

    @property
    def is_in_outage(self) -> bool:
        """Whether all of SendX is in trouble."""
        return self._breaker.is_open

    @property
    def needs_probe(self) -> bool:
        """Whether the next request is a probe: there is an outage, or nobody knows.

        A probe must be something that is safe to repeat, if there is any.
        """
        return self._breaker.is_open or self._breaker.is_half_open

    def wait_for_event(self, now: float) -> float:
        """Return the seconds until an event may be the probe; if there are none, it may be now.

        An event is whatever must not be sent twice.
        """
        return self._uncertain_at + SECONDS_BETWEEN_EVENTS - now

    def prefers_event(self, now: float) -> bool:
        """Return whether a probe may be an event though something is safe to repeat.

        What is safe may itself be what SendX fails at, and would keep all events for ever.
        """
        return self._breaker.may_be_their_fault(now) and self.wait_for_event(now) <= 0

    def note_uncertain(self, at: float) -> None:
        """Note when an event was sent in vain, and nobody knows whether it was applied."""
        self._uncertain_at = max(self._uncertain_at, at)

    @property
    def resumes_at(self) -> float:
        """When the next request may be tried in an outage."""
        return self._breaker.resumes_at

    def patience_ends(self, now: float) -> float:
        """Return when an outage has to be over that there is now, or that begins now."""
        return self._breaker.patience_ends(now)

    def allows(self, now: float) -> int:
        """Return how many requests may be under way."""
        return self._breaker.allows(now)

    def wait(self, now: float, *, under_way: int) -> float:
        """Return the seconds until the next request may begin; if there are none, it begins now.

        Args:
            now: The time.
            under_way: How many are under way; ``math.inf`` comes back if one has to end first.
        """
        if under_way >= self._breaker.allows(now):
            return math.inf if under_way else self._breaker.resumes_at - now
        if not self._breaker.is_open:
            return self._adaptive_rate.wait(now)
        self._adaptive_rate.begin(now)  # an outage is tried after its own waits
        return 0.0

    def may_go_on(self, *, begun: float) -> bool:
        """Return whether what began then, and is not sent yet, may be sent still.

        What began when all was well may not, if an outage has begun since.
        """
        return not self._breaker.is_too_early(begun)

    def succeed(self, *, begun: float, now: float) -> bool:
        """Note that SendX answered a request as it should; tells whether that ends an outage."""
        self._adaptive_rate.succeed(now)
        self._halts = 0
        return self._breaker.succeed(begun=begun)

    def fail(
        self,
        failing: FailingMessage,
        failure_class: FailureClass,
        error: SendXError,
        *,
        jitter: float,
        begun: float,
        now: float,
    ) -> NotedFailure:
        """Note that a request has failed.

        Args:
            failing: The request.
            failure_class: What its failure means for it. One that nothing can be sent after pauses
                everything for a minute at first, and for longer each time.
            error: How it failed.
            jitter: A random number from 0 to 1.
            begun: When the request began.
            now: The time.
        """
        retry_after = retry_after_of(error)
        if failure_class is FailureClass.UNCERTAIN:
            self.note_uncertain(now)
        if failure_class is FailureClass.HALT:
            if not self._breaker.is_too_early(begun):
                self._halts += 1
            retry_after = min(LONGEST_HALT, SHORTEST_HALT * 2.0 ** (self._halts - 1))
            failing, failure_class = FailureHistory(""), FailureClass.OUTAGE  # it is nobody's fault
        elif isinstance(error, ResponseDecodeError):
            failure_class = FailureClass.ELSEWHERE  # whatever became of this request
        noted = self._breaker.fail(
            failing, failure_class, retry_after=retry_after, jitter=jitter, begun=begun, now=now
        )
        if noted.effect is Effect.BEGINS and isinstance(error, RateLimitError):
            self._adaptive_rate.refuse(now, pause=noted.pause or 0.0)
        return noted
