"""How fast requests may begin when SendX says that there are too many, but not how many it takes.

Pure decisions, the clock passed in.
"""

import math

_LITTLE_SLOWER, _MUCH_SLOWER = 0.9, 0.7
_LITTLE_FASTER, _MUCH_FASTER = 1.01, 1.5  # in a second
_SLOWEST, _SLOWEST_GUESS, _FASTEST = 1.0, 5.0, 10_000.0  # requests a second
_IDLE = 1.0  # seconds without an answer, after which what was before tells nothing of the rate


class AdaptiveRate:
    """Learns a rate from refusals: slower after each, and faster again while there is none.

    Without it a stream would send as much as it can, be refused and wait, over and over; with a
    server that lets 20 requests a second in and tells others to wait for one second, it would get
    hardly one in a second through.

    The first refusal gives an estimate: what got through on the average, pause included. From there
    the rate grows quickly until the limit is met again, and then slowly, as the limit is near.

    Args:
        now: The time, when the first request begins.
    """

    def __init__(self, now: float) -> None:
        self._rate = math.inf
        self._is_near = False
        self._answered = 0
        self._began = self._answered_at = self._changed_at = self._paused_until = now
        self._latest = -math.inf

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may begin; if there are none, it begins now.

        Whoever has waited asks again: others may have been quicker, or the rate has changed.
        """
        if self._rate == math.inf:
            return 0.0
        left = max(self._paused_until, self._latest + 1 / self._rate) - now
        if left > 0:
            return left
        self.begin(now)
        return 0.0

    def begin(self, now: float) -> None:
        """Note that a request begins now, whether or not it had to ask."""
        self._latest = now

    def succeed(self, now: float) -> None:
        """Note that a request was let in."""
        if now - self._answered_at > _IDLE:
            self._began, self._answered = now, 0
        self._answered += 1
        self._answered_at = now
        passed = min(now - self._changed_at, _IDLE)
        if self._rate < math.inf and passed > 0:
            self._changed_at = now
            self._rate *= (_LITTLE_FASTER if self._is_near else _MUCH_FASTER) ** passed
            if self._rate > _FASTEST:
                self._rate, self._is_near = math.inf, False

    def refuse(self, now: float, *, pause: float) -> None:
        """Note that a request was refused because there are too many.

        Args:
            now: The time.
            pause: Seconds until the next request may begin.
        """
        resumes = now + pause
        if self._rate == math.inf:
            rate = self._answered / max(resumes - self._began, 0.001)
            self._rate = min(max(rate, _SLOWEST_GUESS), _FASTEST)
        else:
            self._rate *= _LITTLE_SLOWER if self._is_near else _MUCH_SLOWER
            self._rate = max(self._rate, _SLOWEST)
            self._is_near = True
        self._paused_until = self._changed_at = resumes
