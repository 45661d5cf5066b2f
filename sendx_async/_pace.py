"""When the next request may begin: the client's rate, and the pause that a 429 imposes on all."""

import copy
import random
import time

from sendx_async._errors import SendXError
from sendx_async._locks import ForkSafeLock
from sendx_async._options import Rate

_LONGEST_PAUSE = 300.0
_LONGEST_SPREAD = 1.0


class Pace:
    """Gives every request of a client its moment; safe to share by threads and event loops.

    A request that has to wait reserves its moment, so that those who wait are spaced by the rate.
    A pause moves all moments that lie before its end behind it.

    Args:
        rate: How many requests may begin; None for no limit.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._lock = ForkSafeLock()
        self._interval = 1 / rate.per_second if rate else 0.0
        self._tolerance = (rate.burst - 1) * self._interval if rate else 0.0
        self._next = 0.0  # when the request after all reserved ones is due at the given rate
        self._paused_until = 0.0
        self._spread = 0.0
        self._cause: SendXError | None = None

    @property
    def cause(self) -> SendXError | None:
        """The error that began the pause that is going on, or None."""
        return self._cause if time.monotonic() < self._paused_until else None

    def reserve(self, now: float, latest: float) -> float | None:
        """Reserve the moment for a request, unless it would lie after ``latest``.

        Args:
            now: Seconds of ``time.monotonic()``.
            latest: The last acceptable moment, on the same clock.

        Returns:
            The moment, at least ``now``; None if it would be too late, and nothing is reserved.
        """
        if not self._interval and now >= self._paused_until:
            return now
        with self._lock:
            moment = max(now, self._paused_until, self._next - self._tolerance)
            if not self._interval:
                # Callers who wait out the same pause don't come back all at once.
                moment += random.random() * self._spread  # noqa: S311 - jitter is no secret
            if moment > latest:
                return None
            if self._interval:
                self._next = max(self._next, moment) + self._interval
            return moment

    def give_back(self) -> None:
        """Give back a reserved moment that is not used."""
        with self._lock:
            self._next -= self._interval

    def is_open(self, moment: float) -> bool:
        """Tell whether a moment reserved earlier still holds: no pause has begun that covers it."""
        return moment >= self._paused_until

    def pause(self, seconds: float, cause: SendXError) -> bool:
        """Let nobody begin for some time; at most five minutes, then one may try again.

        Args:
            seconds: How long the server asks to wait.
            cause: The error that says so.

        Returns:
            Whether this made the pause longer than it was.
        """
        until = time.monotonic() + min(seconds, _LONGEST_PAUSE)
        with self._lock:
            if until <= self._paused_until:
                return False
            self._paused_until = until
            self._spread = min(seconds / 4, _LONGEST_SPREAD)
            # Without its traceback, which would keep the frames of that call alive.
            self._cause = copy.copy(cause)
            # No burst has been saved up during a pause.
            self._next = max(self._next, until + self._tolerance)
            return True
