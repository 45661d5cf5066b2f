"""How fast requests may begin when SendX says that there are too many, but not how many it takes.

Pure decisions, the clock passed in.
"""

import math

_LITTLE_SLOWER, _MUCH_SLOWER = 0.9, 0.7
_LITTLE_FASTER, _MUCH_FASTER = 1.01, 1.5  # in a second


class Throttle:
    """Learns a rate from refusals: slower after each, and faster again while there is none.

    Without it a stream would send as much as it can, be refused and wait, over and over; with a
    server that lets 20 requests a second in and tells others to wait for one second, it would get
    hardly one in a second through.

    The first refusal gives an estimate, what got through on the average. From there the rate
    grows quickly until the limit is met again; that is known then, and it is approached slowly.

    Args:
        now: The time, when the first request begins.
    """

    def __init__(self, now: float) -> None:
        self._rate = math.inf
        self._is_near = False
        self._answered = 0
        self._began = self._changed_at = self._refused_at = self._paused_until = now
        self._latest = -math.inf

    def wait(self, now: float) -> float:
        """Give the seconds until the next request may begin; if there are none, it begins now.

        Whoever has waited asks again: others may have been quicker, or the rate has changed.
        """
        if self._rate == math.inf:
            return 0.0
        left = max(self._paused_until, self._latest + 1 / self._rate) - now
        if left > 0:
            return left
        self._latest = now
        return 0.0

    def succeed(self, now: float) -> None:
        """Note that a request was let in."""
        self._answered += 1
        passed = now - self._changed_at
        if self._rate < math.inf and passed > 0:
            self._changed_at = now
            self._rate *= (_LITTLE_FASTER if self._is_near else _MUCH_FASTER) ** passed

    def refuse(self, now: float, *, pause: float, begun: float) -> None:
        """Note that a request was refused because there are too many.

        Args:
            now: The time.
            pause: Seconds until the next request may begin.
            begun: When the request began; one from before the last refusal says nothing new.
        """
        resumes = now + pause
        if self._rate == math.inf:
            self._rate = max(self._answered, 1) / max(resumes - self._began, 0.001)
        elif begun >= self._refused_at:
            self._rate *= _LITTLE_SLOWER if self._is_near else _MUCH_SLOWER
            self._is_near = True
        self._refused_at = now
        self._paused_until = self._changed_at = resumes
