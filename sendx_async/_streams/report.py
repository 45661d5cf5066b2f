"""What is told of a stream as a whole: events of its pauses, and what its last error says."""

import random
from collections.abc import Sequence

from sendx_async._core.errors import (
    NotSentError,
    OutageError,
    ResponseLost,
    SendXError,
    status_code_of,
)
from sendx_async._core.events import Event, EventKind
from sendx_async._runtime.clock import Clock
from sendx_async._streams.outcomes import Outcome, OutcomeQueue
from sendx_async._streams.rules import DispatchRules


class StreamReport:
    """Tells of the stream as if it were one long call.

    Args:
        rules: Its name, and whom to tell.
        clock: The time.

    Attributes:
        attempts: How many requests were begun.
    """

    def __init__(self, rules: DispatchRules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._began = clock.monotonic()
        self._id = f"{random.getrandbits(64):016x}"
        self.attempts = 0

    def tell(
        self, kind: EventKind, error: SendXError | None = None, *, delay: float | None = None
    ) -> None:
        """Tell that everything pauses because of an error, or goes on."""
        event = Event(
            kind=kind,
            operation=self._rules.name,
            call_id=self._id,
            attempt=self.attempts,
            elapsed=self._clock.monotonic() - self._began,
            status_code=None if error is None else status_code_of(error),
            error=None if error is None else type(error).__name__,
            delay=delay,
        )
        self._rules.note_event(event, error)

    def describe(
        self, failure: SendXError, outcomes: OutcomeQueue, left: Sequence[Outcome]
    ) -> None:
        """Have the error that ended everything say what was sent and what not."""
        unsent = sum(isinstance(each.error, NotSentError) for each in left)
        summary = (
            f"Of {outcomes.delivered + outcomes.failed + len(left)} requests that were read "
            f"{outcomes.delivered} were delivered, {outcomes.failed} failed, {len(left) - unsent} "
            f"may have been delivered and {unsent} were not sent; the stream's unclaimed and "
            "unsent hold them."
        )
        failure.maybe_delivered = failure.maybe_delivered or any(
            isinstance(each.error, ResponseLost) for each in left
        )
        if isinstance(failure, OutageError):
            failure.args = (f"{str(failure).rstrip('.')}. {summary}",)
            failure.operation, failure.call_id = self._rules.name, self._id
            failure.attempts = self.attempts
            failure.elapsed = self._clock.monotonic() - self._began
        else:
            failure.add_note(summary)
