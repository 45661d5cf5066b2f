"""When a worker's next delivery may be sent: it is the one place that waits for all of SendX."""

import asyncio
import math
import random
import time
from collections import deque

import attrs

from sendx_async._core.errors import ApiError, RateLimitError, SendXError
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.adaptive_rate import AdaptiveRate
from sendx_async._policy.circuit_breaker import CircuitBreaker, FailingMessage, FailureHistory
from sendx_async._policy.failures import FailureClass

SHORTEST_HALT, LONGEST_HALT = 60.0, 300.0  # seconds between two tries when the key is refused


class StoppingError(Exception):
    """The worker stops, and SendX is in trouble: nothing can be sent any more."""


@attrs.define(eq=False)
class _Waiting:
    """A delivery that waits for its turn."""

    replay_safe: bool
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)


class Admission:
    """Lets deliveries be sent, one after the other or side by side, as SendX can take them.

    Args:
        policy: The longest waits in an outage.
        most_at_once: How many may be under way when all is well.
    """

    def __init__(self, policy: RetryPolicy, *, most_at_once: int) -> None:
        self._breaker = CircuitBreaker(policy, patience=math.inf, most_at_once=most_at_once)
        self._adaptive_rate = AdaptiveRate(time.monotonic())
        self._waiting: deque[_Waiting] = deque()
        self._under_way = 0
        self._halts = 0
        self._is_stopping = False

    @property
    def is_in_trouble(self) -> bool:
        """Whether all of SendX is in trouble."""
        return self._breaker.is_open

    async def enter(self, *, replay_safe: bool) -> float:
        """Wait until a delivery may be sent; `leave` has to follow.

        Args:
            replay_safe: Whether it may be sent twice; an outage is tried with such a one, if any.

        Returns:
            When it begins, in seconds of ``time.monotonic()``.

        Raises:
            StoppingError: The worker stops, and there is an outage to be waited out.
        """
        me = _Waiting(replay_safe)
        self._waiting.append(me)
        try:
            while True:
                if self._is_stopping and self._breaker.is_open:
                    raise StoppingError
                now = time.monotonic()
                left = self._left(now) if self._next() is me else math.inf
                if left <= 0:
                    self._under_way += 1
                    return now
                me.changed.clear()
                try:
                    async with asyncio.timeout(None if left == math.inf else left):
                        await me.changed.wait()
                except TimeoutError:
                    pass  # its time has come, perhaps
        finally:
            self._waiting.remove(me)
            self._tell()

    def leave(self) -> None:
        """Note that a request has ended."""
        self._under_way -= 1
        self._tell()

    def stop(self) -> None:
        """Let nobody wait for the end of an outage any more."""
        self._is_stopping = True
        self._tell()

    def succeed(self, begun: float) -> bool:
        """Note that SendX has dealt with a request; tells whether that ends an outage."""
        self._adaptive_rate.succeed(time.monotonic())
        self._halts = 0
        return self._breaker.succeed(begun=begun)

    def fail(
        self, failing: FailingMessage, failure_class: FailureClass, error: SendXError, begun: float
    ) -> float | None:
        """Note that a request has failed.

        Args:
            failing: The delivery.
            failure_class: What its failure means for it.
            error: How it failed.
            begun: When it began.

        Returns:
            Seconds of the pause that begins now, or None.
        """
        now = time.monotonic()
        was_on = self._breaker.is_open
        retry_after = error.retry_after if isinstance(error, ApiError) else None
        jitter = random.random()  # noqa: S311 - jitter is no secret
        if failure_class is FailureClass.HALT:
            if not was_on or begun >= self._breaker.resumes_at:
                self._halts += 1
            retry_after = min(LONGEST_HALT, SHORTEST_HALT * 2.0 ** (self._halts - 1))
            failing, failure_class = FailureHistory(""), FailureClass.OUTAGE  # it is nobody's fault
        pause = self._breaker.fail(
            failing, failure_class, retry_after=retry_after, jitter=jitter, begun=begun, now=now
        )
        if pause is not None and not was_on and isinstance(error, RateLimitError):
            self._adaptive_rate.refuse(now, pause=pause)
        return pause

    def _next(self) -> _Waiting:
        if self._breaker.is_open:
            for each in self._waiting:
                if each.replay_safe:
                    return each
        return self._waiting[0]

    def _left(self, now: float) -> float:
        """Return the seconds until the next one may begin; infinite until something changes."""
        if not self._breaker.is_open:
            if self._under_way >= self._breaker.allows(now):
                return math.inf
            return self._adaptive_rate.wait(now)
        if self._under_way:
            return math.inf
        if not self._breaker.allows(now):
            return self._breaker.resumes_at - now
        self._adaptive_rate.begin(now)  # an outage is tried after its own waits
        return 0.0

    def _tell(self) -> None:
        for each in self._waiting:
            each.changed.set()
