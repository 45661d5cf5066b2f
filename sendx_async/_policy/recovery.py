"""What follows when a stream's request was answered or has failed: pure, the clock passed in."""

import enum
import math
from collections.abc import Sequence

import attrs

from sendx_async._core.errors import DeadlineExceeded, SendXError
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.admission import SECONDS_BETWEEN_LOOKS, Admission
from sendx_async._policy.circuit_breaker import Effect, FailureHistory
from sendx_async._policy.failures import (
    FailureClass,
    classify,
    is_endpoint_missing,
    is_permanent,
    may_be_found_later,
    retry_after_of,
)
from sendx_async._policy.ordering import Message, OrderedQueue
from sendx_async._policy.retry import backoff

_OUTAGES_THAT_SPEAK_AGAINST_BATCHES = 2
_MOST_UNKNOWN = 100_000


class NextStep(enum.Enum):
    """What becomes of the messages whose request failed."""

    FINISH = "this is the end of them"
    AGAIN = "send them again when it is their turn"
    APART = "send them again, each in a request of its own"
    LATER = "send it again after a wait"
    STOP = "keep them, and send nothing more"


@attrs.frozen
class Decision:
    """What to do after a request failed.

    Attributes:
        step: What becomes of its messages.
        wait: Seconds until the message is sent again; for `NextStep.LATER` only.
        pause: Seconds that everything pauses for, ``math.inf`` if that is longer than there is
            patience; None for no pause.
        ends_outage: Whether the failure shows that SendX is well again.
    """

    step: NextStep
    wait: float = 0.0
    pause: float | None = None
    ends_outage: bool = False


class Recovery:
    """Decides what is sent, when, and how often, while requests fail and succeed.

    Args:
        queue: Where the messages are kept.
        policy: The longest waits, and how often one message may fail while others succeed.
        patience: Seconds that an outage may last.
        most_at_once: How many requests may be under way when all is well.
        now: The time.
        is_outbox: Whether nobody waits for the messages. Then a contact that SendX doesn't know is
            asked for as often as the policy allows, though only for the first of its messages. The
            first request is a probe, since nobody knows how SendX is, and an event is one at most
            every five minutes.
    """

    def __init__(
        self,
        queue: OrderedQueue,
        policy: RetryPolicy,
        *,
        patience: float,
        most_at_once: int,
        now: float,
        is_outbox: bool = False,
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._patience = patience
        self._is_outbox = is_outbox
        self._unknown: set[str] = set()
        self._admission = Admission(
            policy,
            patience=patience,
            most_at_once=most_at_once,
            is_stored=is_outbox,
            now=now,
        )
        self._looks_at = -math.inf
        self._batches_fail = False
        self._outages_without_batches = 0

    @property
    def resumes_at(self) -> float:
        """When the next request may be tried in an outage."""
        resumes_at = self._admission.resumes_at
        return max(resumes_at, self._looks_at) if self.lacks_probe else resumes_at

    @property
    def lacks_probe(self) -> bool:
        """Whether SendX has to be tried, and all that is ready must not be sent twice."""
        return self._admission.needs_probe and not self._queue.has_safe and self._queue.ready > 0

    def allows(self, now: float) -> int:
        """Return how many requests may be under way."""
        if self.lacks_probe and now < self._looks_at:
            return 0
        return self._admission.allows(now)

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may begin; if there are none, it begins now."""
        return self._admission.wait(now, under_way=0)  # whoever asks has counted them

    def patience_ends(self, now: float) -> float:
        """Return when an outage has to be over that there is now, or that begins now."""
        return self._admission.patience_ends(now)

    def take(self, now: float) -> list[Message]:
        """Return the messages of the next request, out of the queue; none if none is ready.

        Where a probe is needed it has to be safe to repeat: for another one see `take_event`.

        Args:
            now: The time.
        """
        if not self._admission.needs_probe:
            return self._queue.take()
        event: list[Message] = []
        if self._is_outbox and self._admission.prefers_event(now):
            event = self._queue.take_once()
        return event or self._queue.take_probe(
            alone=self._batches_fail, in_order=not self._admission.is_in_outage
        )

    def take_event(self, now: float) -> list[Message]:
        """Return a message that must not be sent twice as a probe, where nothing else is left.

        If none may be sent now, `resumes_at` tells when to look again.

        Args:
            now: The time.
        """
        if self._is_outbox and (wait := self._admission.wait_for_event(now)) > 0:
            self._looks_at = now + min(wait, SECONDS_BETWEEN_LOOKS)
            return []
        # What waits for its next try is given back in a moment, and then it is the probe.
        return [] if self._queue.has_safe_waiting else self._queue.take_once()

    def note_uncertain(self, at: float) -> None:
        """Note when the last message became uncertain that must not be sent twice."""
        self._admission.note_uncertain(at)

    def note_answer(self, messages: Sequence[Message], *, begun: float, now: float) -> bool:
        """Note that a request has succeeded; tells whether that ends an outage.

        Args:
            messages: What the request carried.
            begun: When it began.
            now: The time.
        """
        if self._unknown:
            self._unknown.difference_update(*(message.contacts for message in messages))
        return self._note_reaction(messages, begun=begun, now=now)

    def _note_reaction(self, messages: Sequence[Message], *, begun: float, now: float) -> bool:
        ends_outage = self._admission.succeed(begun=begun, now=now)
        if len(messages) > 1:
            self._outages_without_batches = 0
        elif ends_outage and self._batches_fail:
            self._outages_without_batches += 1
            if self._outages_without_batches == _OUTAGES_THAT_SPEAK_AGAINST_BATCHES:
                self._queue.batch_size = 1
        self._batches_fail = False
        return ends_outage

    def after_failure(
        self,
        messages: Sequence[Message],
        error: SendXError,
        *,
        jitter: float,
        begun: float,
        now: float,
    ) -> Decision:
        """Decide what follows a failure, and remember it.

        Args:
            messages: What the request carried.
            error: How it failed.
            jitter: A random number from 0 to 1.
            begun: When the request began.
            now: The time.
        """
        if isinstance(error, DeadlineExceeded):
            # Its only limit is the patience, and another call's answer has paused the client.
            return Decision(NextStep.AGAIN, pause=math.inf)
        failure_class = classify(error, replay_safe=messages[0].replay_safe)
        # Whoever stores requests keeps them, and tries again.
        if failure_class is FailureClass.HALT or (is_permanent(error) and not self._is_outbox):
            return Decision(NextStep.STOP)
        if failure_class is not FailureClass.REJECTED:
            return self._after_trouble(
                messages, failure_class, error, jitter=jitter, begun=begun, now=now
            )
        ends_outage = self._note_reaction(messages, begun=begun, now=now)
        if len(messages) == 1:
            first = messages[0]
            if self._is_outbox and may_be_found_later(error) and self._may_find(first):
                wait = self._backoff(first, jitter)
                return Decision(NextStep.LATER, wait=wait, ends_outage=ends_outage)
            return Decision(NextStep.FINISH, ends_outage=ends_outage)
        if is_endpoint_missing(error):
            self._queue.batch_size = 1
        return Decision(NextStep.APART, ends_outage=ends_outage)

    def _after_trouble(
        self,
        messages: Sequence[Message],
        failure_class: FailureClass,
        error: SendXError,
        *,
        jitter: float,
        begun: float,
        now: float,
    ) -> Decision:
        first, is_single = messages[0], len(messages) == 1
        # For whose fault it was, several that failed together count as one.
        failing = first if is_single else FailureHistory(first.contact)
        noted = self._admission.fail(
            failing, failure_class, error, jitter=jitter, begun=begun, now=now
        )
        if failure_class is FailureClass.UNCERTAIN or (
            is_single and first.failures > self._policy.max_retries
        ):
            return Decision(NextStep.FINISH, pause=noted.pause)
        may_be_one = failure_class in {FailureClass.AGAIN, FailureClass.ELSEWHERE}
        may_be_batch = not is_single and may_be_one
        if may_be_batch and noted.effect is not Effect.LATE:
            # One of them may be what the server fails at, or it fails at batches.
            self._batches_fail = noted.is_in_outage
            return Decision(NextStep.APART, pause=noted.pause)
        if noted.is_in_outage:
            return Decision(NextStep.AGAIN, pause=noted.pause)
        retry_after = retry_after_of(error)
        if (retry_after or 0) > self._patience:
            return Decision(NextStep.FINISH)
        return Decision(
            NextStep.LATER,
            wait=self._backoff(first, jitter) if retry_after is None else retry_after,
        )

    def _may_find(self, message: Message) -> bool:
        """Count that a contact isn't known; tell whether it may be later."""
        message.failures += 1
        if message.contact in self._unknown:
            return False  # all that is about it would wait as long, and hold up others in the end
        if message.failures <= self._policy.max_retries:
            return True
        if len(self._unknown) < _MOST_UNKNOWN:
            self._unknown.add(message.contact)
        return False

    def _backoff(self, message: Message, jitter: float) -> float:
        return backoff(self._policy, retries_done=message.failures - 1, jitter=jitter)
