"""What a worker has learned: whether SendX is in trouble, and which deliveries have failed."""

import logging
import math
import random
from collections import Counter

import attrs

from sendx_async._core.errors import SendXError
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.admission import Admission
from sendx_async._policy.circuit_breaker import Effect, FailureHistory, NotedFailure
from sendx_async._policy.failures import FailureClass
from sendx_async._runtime.real_time import monotonic
from sendx_async.procrastinate._delivery_job import DeliveryJob
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.procrastinate._turns import Turn

logger = logging.getLogger("sendx_async")

_LONGEST_WAIT_IN_OUTAGE = 60.0  # seconds between two tries
_MOST_REMEMBERED = 10_000


class Experience:
    """Draws the conclusions from each answer and failure, and tells the log of an outage.

    Args:
        jobs: The deliveries.
        retry: The waits.
        most_at_once: How many jobs the worker runs at once.

    Attributes:
        admission: Decides when the next delivery may begin.
    """

    def __init__(self, jobs: Jobs, retry: RetryPolicy, *, most_at_once: int) -> None:
        self._jobs = jobs
        self.admission = Admission(
            attrs.evolve(retry, cap=min(retry.cap, _LONGEST_WAIT_IN_OUTAGE)),
            patience=math.inf,
            most_at_once=most_at_once,
            is_stored=True,
            now=monotonic(),
        )
        self._failing: dict[int, FailureHistory] = {}
        self._counted: list[int] = []  # since the last answer: they don't count in an outage

    def recall(self, delivery: DeliveryJob, *, contact: str) -> FailureHistory:
        """Return what is known of a delivery that was fetched."""
        failing = self._failing.pop(delivery.job_id, None) or FailureHistory(contact)
        failing.failures = delivery.attempts
        return failing

    def remember(self, delivery: DeliveryJob, failing: FailureHistory) -> None:
        """Note that a delivery has failed while others succeed, and goes back to the queue."""
        self._counted.append(delivery.job_id)
        self._failing[delivery.job_id] = failing
        if len(self._failing) > _MOST_REMEMBERED:
            del self._failing[next(iter(self._failing))]  # another worker has fetched it, perhaps

    def note_answer(self, turn: Turn) -> None:
        """Note that SendX has answered as it should."""
        self._counted.clear()
        if self.admission.succeed(begun=turn.begun, now=monotonic()):
            logger.warning("SendX answers again, deliveries go on")

    async def note_trouble(
        self, failing: FailureHistory, failure_class: FailureClass, error: SendXError, turn: Turn
    ) -> NotedFailure:
        """Note that a delivery has failed; return what follows.

        Args:
            failing: What is known of it.
            failure_class: What the failure means for it.
            error: How it failed.
            turn: When it began.
        """
        noted = self.admission.fail(
            failing,
            failure_class,
            error,
            jitter=random.random(),  # noqa: S311 - jitter is no secret
            begun=turn.begun,
            now=monotonic(),
        )
        if noted.pause is None:
            return noted
        if failure_class is FailureClass.HALT:
            logger.error(
                "nothing can be delivered before somebody acts, and everything is kept; the next "
                "try is made in %.0f s: %s",
                noted.pause, error,
            )  # fmt: skip
        else:
            logger.warning(
                "SendX is in trouble, all deliveries wait for %.1f s: %s", noted.pause, error
            )
        if noted.effect is Effect.BEGINS and self._counted:
            counted = Counter(self._counted)
            self._counted.clear()
            await self._jobs.uncount(counted)
        return noted
