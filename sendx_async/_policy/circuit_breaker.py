"""Whether all of SendX is in trouble, and when it may be tried again: pure, the clock passed in."""

import enum
import math
from typing import Protocol

import attrs

from sendx_async._core.options import RetryPolicy
from sendx_async._policy.failures import FailureClass
from sendx_async._policy.retry import backoff

_CONTACTS_THAT_MAKE_AN_OUTAGE = 3
_REQUESTS_THAT_MAKE_AN_OUTAGE = 10  # however few contacts they are about
_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 300.0  # seconds between two tries of an outage
_SECONDS_OF_DOUBT = 300.0
# A failure of these says that it isn't about the request.
_OF_ALL = frozenset({FailureClass.OUTAGE, FailureClass.ELSEWHERE})
_MUCH_LONGER = 1.0  # seconds; what comes together is told to wait until about the same moment


class FailingMessage(Protocol):
    """A request that failed: its own fault, or SendX's?

    Attributes:
        contact: Whom it is about.
        failures: How often it failed while others succeeded.
        streak: The latest streak of trouble in which it failed; each success ends one.
        streaks: In how many it failed. Who fails again after others have succeeded is likely to be
            at fault, and makes no outage.
    """

    contact: str
    failures: int
    streak: int
    streaks: int


@attrs.define(eq=False)
class FailureHistory:
    """A `FailingMessage` that is nothing else."""

    contact: str
    failures: int = 0
    streak: int = -1
    streaks: int = 0


class Effect(enum.Enum):
    """What a failure has to do with an outage."""

    NONE = "there is no outage, and it is the request's own"
    BEGINS = "an outage begins with it"
    PROLONGS = "an outage was tried in vain"
    LATE = "it had begun before the outage, or the latest pause of it"


@attrs.frozen
class NotedFailure:
    """What follows a failure.

    Attributes:
        effect: What it has to do with an outage.
        pause: Seconds that everybody has to pause from now; None if this failure is no reason to,
            ``math.inf`` if the pause would take longer than there is patience.
    """

    effect: Effect
    pause: float | None = None

    @property
    def is_in_outage(self) -> bool:
        """Whether there is an outage now."""
        return self.effect is not Effect.NONE


class CircuitBreaker:
    """Tells trouble of one request from trouble of all, and when the next one may be tried.

    Three different contacts that fail in a row make an outage, and so do ten requests about fewer,
    or one failure that says itself that it isn't about the request. During an outage one request at
    a time is tried; after it their number doubles with each success, so that SendX isn't met by a
    burst.

    Args:
        policy: The longest waits between two tries when SendX doesn't say how long to wait.
        patience: Seconds that an outage may last; ``math.inf`` for no limit.
        most_at_once: How many requests may be under way when all is well.
        is_stored: Whether the requests are stored, so that nobody waits for them. Then the first
            one is a probe, sent alone, since nobody knows yet how SendX is: if it fails there is an
            outage. There is one, too, when a request has failed as often as the policy allows, and
            nothing has succeeded since its first failure.

    Attributes:
        is_open: Whether there is an outage.
        is_half_open: Whether nobody knows yet.
        since: When the outage began, without the time in which there was nothing to send.
        resumes_at: When an outage may be tried again.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        patience: float,
        most_at_once: int,
        is_stored: bool = False,
    ) -> None:
        self._policy = policy
        self._patience = patience
        self._most_at_once = self._allowed = most_at_once
        self._failing: dict[FailingMessage, int] = {}
        self._streak = 0
        self._waits = 0
        self.is_open = False
        self.is_half_open = self._is_stored = is_stored
        self._failed_contacts: set[str] = set()
        self._doubted_at = math.inf  # since then nothing has shown that it is an outage
        self.since = 0.0
        self.resumes_at = -math.inf

    def allows(self, now: float) -> int:
        """Return how many requests may be under way."""
        if self.is_open:
            return int(now >= self.resumes_at)
        return 1 if self.is_half_open else self._allowed

    def patience_ends(self, now: float) -> float:
        """Return when an outage has to be over that there is now, or that begins now."""
        if not self.is_open:
            return now + self._patience
        return self.since + self._patience + max(0.0, now - self.resumes_at)

    def may_be_their_fault(self, now: float) -> bool:
        """Return whether it may be the few requests at which SendX fails, and no outage.

        So it may when fewer than three contacts have failed, over and over for five minutes, and
        nothing else has shown that it is an outage.
        """
        return self.is_open and now >= self._doubted_at + _SECONDS_OF_DOUBT

    def is_too_early(self, begun: float) -> bool:
        """Return whether what began then is no trial of an outage that there is."""
        return self.is_open and begun < self.resumes_at

    def succeed(self, *, begun: float) -> bool:
        """Note that SendX answered a request as it should; tells whether that ends an outage.

        Args:
            begun: When the request began; one from before the pause proves nothing.
        """
        if self.is_too_early(begun):
            return False
        self._streak += 1
        was_open, was_probed = self.is_open, self.is_open or self.is_half_open
        self.is_open = self.is_half_open = False
        self._failed_contacts.clear()
        self._failing.clear()
        self._waits = 0
        self._allowed = min(self._most_at_once, 2 if was_probed else self._allowed * 2)
        return was_open

    def fail(
        self,
        failing: FailingMessage,
        failure_class: FailureClass,
        *,
        retry_after: float | None,
        jitter: float,
        begun: float,
        now: float,
    ) -> NotedFailure:
        """Note a failure; count it against the request, unless there is an outage.

        Args:
            failing: The request that failed.
            failure_class: What the failure means for it.
            retry_after: Seconds that SendX asks to wait, or None.
            jitter: A random number from 0 to 1.
            begun: When the request began.
            now: The time.
        """
        if failing.streak != self._streak:
            failing.streak = self._streak
            failing.streaks += 1
        if not self.is_open:
            is_known = self.is_half_open or failure_class in _OF_ALL
            are_many = not is_known and self._is_one_too_many(failing)
            if not (is_known or are_many or self._is_alone(failing)):
                return NotedFailure(Effect.NONE)
            effect = Effect.BEGINS
            for each, count in self._failing.items():
                each.failures -= count
            self._failing.clear()
            self.is_open, self.is_half_open = True, False
            self.since, self._doubted_at = now, math.inf
            self._note_evidence(failing, failure_class, now, is_certain=are_many)
        elif not self.is_too_early(begun):
            effect = Effect.PROLONGS
            # While nobody had anything to send, nothing tried anybody's patience.
            idle = begun - self.resumes_at
            self.since += idle
            self._doubted_at += idle
            self._note_evidence(failing, failure_class, now)
            is_suspect = failing.streaks > 1 or self.may_be_their_fault(now)
            if failure_class not in _OF_ALL and is_suspect:
                failing.failures += 1
        elif retry_after is None or now + retry_after < self.resumes_at + _MUCH_LONGER:
            return NotedFailure(Effect.LATE)
        else:
            effect = Effect.LATE
        return NotedFailure(effect, self._pause(retry_after, jitter=jitter, now=now))

    def _pause(self, retry_after: float | None, *, jitter: float, now: float) -> float:
        left = self.since + self._patience - now
        wait = self._next_wait(retry_after, jitter)
        if retry_after is None:
            wait = min(wait, left)  # so that one more try is made when the patience ends
        if left <= 0 or wait > left:
            self.resumes_at = math.inf
            return math.inf
        wait = min(wait, _LONGEST_WAIT)
        self._waits += 1
        self.resumes_at = now + wait
        return wait

    def _next_wait(self, retry_after: float | None, jitter: float) -> float:
        wait = backoff(self._policy, retries_done=self._waits, jitter=jitter)
        if not self._waits:
            return wait if retry_after is None else retry_after
        # Whatever the policy says, or a server that keeps saying "at once": don't hammer.
        return max(wait, retry_after or 0.0, _SHORTEST_WAIT)

    def _is_alone(self, failing: FailingMessage) -> bool:
        """Return whether a request has failed all its tries, and nothing shows whose fault that is.

        Nothing has succeeded since its first failure.
        """
        has_no_try_left = failing.failures > self._policy.max_retries
        return self._is_stored and failing.streaks == 1 and has_no_try_left

    def _note_evidence(
        self,
        failing: FailingMessage,
        failure_class: FailureClass,
        now: float,
        *,
        is_certain: bool = False,
    ) -> None:
        """Note whether this shows that the requests that fail aren't at fault."""
        self._failed_contacts.add(failing.contact)
        are_several = len(self._failed_contacts) >= _CONTACTS_THAT_MAKE_AN_OUTAGE
        if is_certain or are_several or failure_class is FailureClass.OUTAGE:
            self._doubted_at = math.inf
            self._failed_contacts.clear()
        else:
            self._doubted_at = min(self._doubted_at, now)

    def _is_one_too_many(self, failing: FailingMessage) -> bool:
        """Count a failure; tell whether so many in a row can't be the requests' own fault."""
        failing.failures += 1
        if failing.streaks > 1:
            return False  # it failed before, and others have succeeded since
        self._failing[failing] = self._failing.get(failing, 0) + 1
        contacts = {each.contact for each in self._failing}
        return (
            len(contacts) >= _CONTACTS_THAT_MAKE_AN_OUTAGE
            or len(self._failing) >= _REQUESTS_THAT_MAKE_AN_OUTAGE
        )
