"""Sends what an outbox holds until it is told to stop, or something is in the way of everything."""

from collections.abc import Callable, Iterable, Sequence

import anyio
import anyio.abc
import anyio.lowlevel

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import OutboxError, SendXError
from sendx_async._core.events import Event
from sendx_async._core.options import RetryPolicy
from sendx_async._core.protocol import operation_for
from sendx_async._policy.failures import FailureClass, classify
from sendx_async._policy.ordering import Message
from sendx_async._streams.outcomes import Outcome
from sendx_async.outbox._journal import Ledger, described
from sendx_async.outbox._reader import Arrival, RowSource
from sendx_async.outbox._statements import Failure, Row

_OUTCOMES_IN_A_COMMIT = 500


class Round:
    """One pass over the outbox: it reads from the beginning, and goes on as more is put.

    Args:
        ledger: The outbox's file.
        client: What sends.
        arrival: Tells that something was put.
        retry: How often one request may fail while others succeed, and the longest waits.
        concurrency: How many requests may be under way at once.
        batch_size: How many contacts may share a request.
        until_empty: Whether to end as soon as nothing waits.
    """

    def __init__(
        self,
        ledger: Ledger,
        client: AsyncTrackingClient,
        arrival: Arrival,
        *,
        retry: RetryPolicy,
        concurrency: int,
        batch_size: int,
        until_empty: bool,
    ) -> None:
        self.retry = retry
        self._ledger = ledger
        self._source = RowSource(ledger.read, arrival, ends=until_empty)
        self._tasks: anyio.abc.TaskGroup = anyio.create_task_group()
        # An outbox is a stream whose source has no end.
        self._dispatcher = client._make_dispatcher(  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            self._source,
            concurrency=concurrency,
            batch_size=batch_size,
            patience=None,
            outbox=self,
        )

    async def run(self, stopping: anyio.Event, grace: Callable[[], float]) -> None:
        """Send until told to stop.

        Args:
            stopping: Set when nothing more shall be begun.
            grace: Gives the seconds that what is under way then may take to end.

        Raises:
            ChangedError: To be run anew.
            SendXError: Nothing can be sent.
        """
        failure: Exception | None = None
        try:
            async with self._tasks as tasks:
                tasks.start_soon(self._dispatcher.run)
                tasks.start_soon(self._stop, stopping, grace)
                try:
                    await self._record_outcomes()
                except Exception as error:  # noqa: BLE001 - raised again, without a group around it
                    failure = error
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._settle()
        if failure is not None and not stopping.is_set():
            await anyio.lowlevel.checkpoint_if_cancelled()  # then that is what ended it
            raise failure

    async def _stop(self, stopping: anyio.Event, grace: Callable[[], float]) -> None:
        await stopping.wait()
        self._dispatcher.stop(grace())

    async def _record_outcomes(self) -> None:
        outcomes = self._dispatcher.outcomes
        while await outcomes.arrival():
            taken: list[Outcome] = []
            while len(taken) < _OUTCOMES_IN_A_COMMIT and (outcome := outcomes.take()) is not None:
                taken.append(outcome)
            with anyio.CancelScope(shield=True):  # what was taken is known to nobody else
                await self._record(taken)

    async def _record(self, outcomes: Iterable[Outcome]) -> None:
        delivered: list[Row] = []
        failures: list[Failure] = []
        for outcome in outcomes:
            row = self._source.rows.pop(outcome.index)
            failure = _failure_of(row, outcome)
            if failure is None:
                delivered.append(row)
            else:
                failures.append(failure)
        await self._ledger.record(delivered, failures)
        if delivered or any(failure.kind == "dead" for failure in failures):
            await self._ledger.note_well()

    async def _settle(self) -> None:
        """Write down what is certain of the requests whose outcome nobody took."""
        unclaimed = self._dispatcher.unclaimed()
        kept = [outcome for outcome in unclaimed if outcome.is_retryable]
        try:
            for outcome in kept:
                row = self._source.rows[outcome.index]
                self._ledger.note_unsent(row)
                await self._ledger.unmark(row)
            if len(kept) < len(unclaimed):
                await self._record(each for each in unclaimed if not each.is_retryable)
        except OutboxError as error:
            # Whoever drains next finds what was under way; more can't be done.
            self._ledger.tell("halted", error=described(error))

    # What the dispatcher asks and tells

    async def before_attempt(self, messages: Sequence[Message]) -> None:
        """Note what is about to be sent, if it must not be sent twice.

        Raises:
            ChangedError: It is not to be sent any more.
        """
        found = [self._source.rows[message.index] for message in messages]
        if messages[0].replay_safe:
            self._ledger.check([row.id for row in found])
        else:
            await self._ledger.mark(found[0])

    def note_unsent(self, messages: Sequence[Message]) -> None:
        """Note what was certainly not applied, and is sent again."""
        for message in messages:
            row = self._source.rows[message.index]
            self._ledger.note_unsent(row)
            if not message.replay_safe:
                self._tasks.start_soon(self._ledger.unmark, row)

    def note_event(self, event: Event, error: SendXError | None) -> None:
        """Note that everything pauses, or goes on."""
        if error is None:
            self._tasks.start_soon(self._ledger.note_well)
        else:
            text = described(error)
            self._ledger.tell("paused", error=text, delay=event.delay)
            self._tasks.start_soon(self._ledger.note_trouble, f"SendX is in trouble: {text}")


def _failure_of(row: Row, outcome: Outcome) -> Failure | None:
    """Return how a delivery has failed; None if it has not."""
    error = outcome.error
    if error is None:
        return None
    replay_safe = operation_for(outcome.request).is_replay_safe(outcome.request)
    failure_class = classify(error, replay_safe=replay_safe)
    if failure_class is FailureClass.DELIVERED:
        return None
    is_uncertain = error.maybe_delivered and not replay_safe
    return Failure(row, "uncertain" if is_uncertain else "dead", described(error), error.attempts)
