"""When the next request may begin: the client's rate, and the pause that a 429 imposes on all."""

import heapq
import math
import random

from sendx_async._core.errors import ApiError
from sendx_async._core.locks import Lock
from sendx_async._core.options import Rate

_LONGEST_PAUSE = 300.0
_LONGEST_SPREAD = 1.0
_LATEST = 0.03  # seconds: what comes too late by less makes a second's number wrong by 3 %


class RateLimiter:
    """Reserves a place for every request of a client; safe to share by threads and event loops.

    Places are reserved on a clock that stands still during a pause. So a pause moves all who wait
    by its length, and they keep the distances that the rate gave them.

    Args:
        rate: How many requests may begin; None for no limit.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._lock = Lock()
        self._interval = 1 / rate.per_second if rate else 0.0
        self._tolerance = (rate.burst - 1) * self._interval if rate else 0.0
        self._next = -math.inf  # the place after all reserved ones, without any burst
        self._freed: list[float] = []  # a heap of places before it that were given back
        self._paused_until = -math.inf
        self._paused_in_all = 0.0
        self._spread = 0.0
        self._cause: ApiError | None = None

    @property
    def paused_until(self) -> float:
        """When the latest pause ends, or has ended, by the client's clock."""
        return self._paused_until

    def cause(self, now: float) -> ApiError | None:
        """Return the error that began the pause that is going on, or None."""
        return self._cause if now < self._paused_until else None

    def reserve(self, now: float) -> float:
        """Reserve the next place; `due` tells when it comes, `give_back` frees it.

        Args:
            now: Seconds of the client's clock.
        """
        if not self._interval and now >= self._paused_until:
            return now - self._paused_in_all
        return self._lock.run(lambda: self._reserve(now))

    def _reserve(self, now: float) -> float:
        place = max(now, self._paused_until) - self._paused_in_all
        if not self._interval:
            # Callers who wait out the same pause don't come back all at once.
            return place + random.random() * self._spread  # noqa: S311 - jitter is no secret
        while self._freed:
            freed = heapq.heappop(self._freed)
            if freed >= place:
                return freed
        place = max(place, self._next - self._tolerance)
        self._next = max(self._next, place) + self._interval
        return place

    def due(self, place: float) -> float:
        """Return the moment of a place by the client's clock; a pause makes it later."""
        return place + self._paused_in_all

    def is_missed(self, place: float, now: float) -> bool:
        """Return whether a place's moment passed so long ago that it is better given up.

        When something blocks an event loop all places that come meanwhile are late, and would be
        taken at once: more than the rate allows in a second.
        """
        return self._interval > 0 and now - self.due(place) > _LATEST

    def give_back(self, place: float) -> None:
        """Let somebody else have a place that is not used."""
        if self._interval:
            self._lock.run(lambda: heapq.heappush(self._freed, place))

    def pause(self, seconds: float, cause: ApiError, *, now: float) -> float | None:
        """Let nobody begin for some time; at most five minutes, then one may try again.

        Args:
            seconds: How long the server asks to wait.
            cause: The error that says so.
            now: Seconds of the client's clock.

        Returns:
            Seconds that the pause lasts from now; None if it had to last as long already.
        """
        return self._lock.run(lambda: self._pause(seconds, cause, now))

    def _pause(self, seconds: float, cause: ApiError, now: float) -> float | None:
        lasts = min(seconds, _LONGEST_PAUSE)
        until = now + lasts
        if until <= self._paused_until:
            return None
        self._paused_in_all += until - max(now, self._paused_until)
        self._paused_until = until
        self._spread = min(seconds / 4, _LONGEST_SPREAD)
        # Neither its traceback nor what the server said: other callers get to see it.
        code, retry_after = cause.status_code, cause.retry_after
        self._cause = type(cause)(status_code=code, retry_after=retry_after)
        # A burst that was saved up is not for the moment after a pause.
        self._next = max(self._next, until - self._paused_in_all + self._tolerance)
        return lasts
