"""What a failure means for work that nobody waits for, and whether all of SendX is in trouble.

Pure decisions, the clock passed in. A stream acts on them, and so can whatever else keeps requests
until they are delivered.
"""

import enum
import math
from typing import Protocol

import attrs

from sendx_async._core.errors import (
    ApiError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    OutboxError,
    PermissionDeniedError,
    ResponseDecodeError,
    SendXError,
)
from sendx_async._policy.retry import Fate, RetryPolicy, backoff, fate_of

_CONTACTS_THAT_MAKE_AN_OUTAGE = 3
_REQUESTS_THAT_MAKE_AN_OUTAGE = 10  # however few contacts they are about
_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 300.0  # seconds between two tries of an outage
_MUCH_LONGER = 1.0  # seconds; what comes together is told to wait until about the same moment
_NO_SUCH_ENDPOINT = frozenset({404, 405})
_REFUSED_FOR_ITSELF = frozenset({408, 425})


class Verdict(enum.Enum):
    """What a failed attempt means for its request."""

    DELIVERED = "it was applied, only the answer can't be read"
    REJECTED = "it can never succeed"
    UNCERTAIN = "it may have been applied, and must not be sent twice"
    AGAIN = "send it again: this request, or all of SendX, is in trouble"
    OUTAGE = "send it again: all of SendX is in trouble"
    HALT = "nothing can be sent before somebody acts"


_HALTING = (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    OutboxError,
    PermissionDeniedError,
)


def judge(error: SendXError, *, replay_safe: bool) -> Verdict:
    """Say what the failure of one attempt means for its request.

    Args:
        error: How the attempt ended.
        replay_safe: Whether applying the request twice is harmless.
    """
    if isinstance(error, _HALTING):
        return Verdict.HALT
    if isinstance(error, ResponseDecodeError):
        return Verdict.DELIVERED
    fate = fate_of(error)
    if fate is Fate.UNKNOWN:
        return Verdict.AGAIN if replay_safe else Verdict.UNCERTAIN
    if fate is Fate.NOT_SENT:
        return Verdict.OUTAGE
    status_code = error.status_code if isinstance(error, ApiError) else 0
    if fate is Fate.REFUSED:
        return Verdict.AGAIN if status_code in _REFUSED_FOR_ITSELF else Verdict.OUTAGE
    # A redirect comes from whatever stands in SendX's place: a maintenance page, a login.
    return Verdict.OUTAGE if 300 <= status_code < 400 else Verdict.REJECTED  # noqa: PLR2004 - the definition of a 3xx


def is_endpoint_missing(error: SendXError) -> bool:
    """Tell whether the failure of a bulk request says that SendX has no bulk endpoint."""
    return isinstance(error, ApiError) and error.status_code in _NO_SUCH_ENDPOINT


def may_be_found_later(error: SendXError) -> bool:
    """Tell whether SendX doesn't know a contact, which it may do when it is asked again.

    Nothing says how soon after a contact was identified SendX finds it (guess), so whoever has the
    time tries a few times more; but it is an answer, and no sign of an outage.
    """
    return isinstance(error, NotFoundError)


class Suspect(Protocol):
    """A request that failed: its own fault, or SendX's?

    Attributes:
        contact: Whom it is about.
        failures: How often it failed while others succeeded.
        spell: The latest spell of trouble in which it failed; each success ends one.
        spells: In how many it failed. Who fails again after others have succeeded is likely to be
            at fault, and makes no outage.
    """

    contact: str
    failures: int
    spell: int
    spells: int


@attrs.define(eq=False)
class PlainSuspect:
    """A `Suspect` that is nothing else."""

    contact: str
    failures: int = 0
    spell: int = -1
    spells: int = 0


class Outage:
    """Tells trouble of one request from trouble of all, and when the next one may be tried.

    Three different contacts that fail in a row make an outage, and so do ten requests about fewer,
    or one failure that says itself that it isn't about the request. During an outage one request at
    a time is tried; after it their number doubles with each success, so that SendX isn't met by a
    burst.

    Args:
        policy: The longest waits between two tries when SendX doesn't say how long to wait.
        patience: Seconds that an outage may last; ``math.inf`` for no limit.
        most_at_once: How many requests may be under way when all is well.
        at_first: How many before the first success; by default as many.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        patience: float,
        most_at_once: int,
        at_first: int | None = None,
    ) -> None:
        self._policy = policy
        self._patience = patience
        self._most_at_once = most_at_once
        self._allowed = at_first or most_at_once
        self._suspects: dict[Suspect, int] = {}
        self._spell = 0
        self._since = 0.0
        self._waits = 0
        self.is_on = False
        self.resumes_at = -math.inf

    def allows(self, now: float) -> int:
        """Say how many requests may be under way."""
        if self.is_on:
            return int(now >= self.resumes_at)
        return self._allowed

    def succeed(self, *, begun: float) -> bool:
        """Note that SendX answered a request as it should; tells whether that ends an outage.

        Args:
            begun: When the request began; one from before the pause proves nothing.
        """
        if self.is_on and begun < self.resumes_at:
            return False
        self._spell += 1
        was_on, self.is_on = self.is_on, False
        self._suspects.clear()
        self._waits = 0
        self._allowed = min(self._most_at_once, 2 if was_on else self._allowed * 2)
        return was_on

    def fail(
        self,
        suspect: Suspect,
        verdict: Verdict,
        *,
        told: float | None,
        jitter: float,
        begun: float,
        now: float,
    ) -> float | None:
        """Note a failure; count it against the request, unless there is an outage.

        Args:
            suspect: The request that failed.
            verdict: What the failure means for it.
            told: Seconds that SendX asks to wait, or None.
            jitter: A random number from 0 to 1.
            begun: When the request began.
            now: The time.

        Returns:
            Seconds that everybody has to pause from now; None if this failure is no reason to,
            ``math.inf`` if the pause would take longer than there is patience.
        """
        if suspect.spell != self._spell:
            suspect.spell = self._spell
            suspect.spells += 1
        if not self.is_on:
            if verdict is not Verdict.OUTAGE and not self._is_one_too_many(suspect):
                return None
            for each, count in self._suspects.items():
                each.failures -= count
            self._suspects.clear()
            self.is_on = True
            self._since = now
        elif begun >= self.resumes_at:
            # While nobody had anything to send, nothing tried anybody's patience.
            self._since += begun - self.resumes_at
            if verdict is not Verdict.OUTAGE and suspect.spells > 1:
                suspect.failures += 1
        elif told is None or now + told < self.resumes_at + _MUCH_LONGER:
            return None  # it was under way already when the pause began
        left = self._since + self._patience - now
        wait = self._next_wait(told, jitter)
        if told is None:
            wait = min(wait, left)  # so that one more try is made when the patience ends
        if left <= 0 or wait > left:
            self.resumes_at = math.inf
            return math.inf
        wait = min(wait, _LONGEST_WAIT)
        self._waits += 1
        self.resumes_at = now + wait
        return wait

    def _next_wait(self, told: float | None, jitter: float) -> float:
        wait = backoff(self._policy, retries_done=self._waits, jitter=jitter)
        if not self._waits:
            return wait if told is None else told
        # Whatever the policy says, or a server that keeps saying "at once": don't hammer.
        return max(wait, told or 0.0, _SHORTEST_WAIT)

    def _is_one_too_many(self, suspect: Suspect) -> bool:
        """Count a failure; tell whether so many in a row can't be the requests' own fault."""
        suspect.failures += 1
        if suspect.spells > 1:
            return False  # it failed before, and others have succeeded since
        self._suspects[suspect] = self._suspects.get(suspect, 0) + 1
        contacts = {each.contact for each in self._suspects}
        return (
            len(contacts) >= _CONTACTS_THAT_MAKE_AN_OUTAGE
            or len(self._suspects) >= _REQUESTS_THAT_MAKE_AN_OUTAGE
        )
