"""Draining: one pass over an outbox, and the loop of passes that goes on whatever happens."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import anyio
import anyio.abc
import anyio.lowlevel

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import OutboxError, SendXError
from sendx_async._core.events import Event
from sendx_async._core.models import AnyRequest
from sendx_async._core.options import RetryPolicy
from sendx_async._core.protocol import is_replay_safe
from sendx_async._policy.failures import FailureClass, classify
from sendx_async._policy.ordering import PROBE, Message
from sendx_async._runtime.background import in_thread
from sendx_async._streams.outcomes import Outcome
from sendx_async.outbox._journal import ChangedError, Journal, described
from sendx_async.outbox._leader import LeaderLock
from sendx_async.outbox._reader import Arrival, RowSource
from sendx_async.outbox._statements import Failure, Row

logger = logging.getLogger("sendx_async")

_SECONDS_BETWEEN_ACQUIRES = 0.2
_SECONDS_HALTED = 60.0  # then a request is tried, in case somebody has acted


class DrainPass:
    """One pass over the outbox: it reads from the beginning, and goes on as more is put.

    Args:
        journal: The outbox's file.
        client: What sends.
        arrival: Tells that something was put.
        retry: How often one request may fail while others succeed, and the longest waits.
        concurrency: How many requests may be under way at once.
        batch_size: How many contacts may share a request.
        until_empty: Whether to end as soon as nothing waits.
    """

    def __init__(
        self,
        journal: Journal,
        client: AsyncTrackingClient,
        arrival: Arrival,
        *,
        retry: RetryPolicy,
        concurrency: int,
        batch_size: int,
        until_empty: bool,
    ) -> None:
        self.retry = retry
        self._journal = journal
        self._source = RowSource(journal.read, arrival, ends=until_empty)
        self._probe: Row | None = None
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
            grace: Returns the seconds that what is under way then may take to end.

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
            await self._record(self._take_outcomes(), self._journal.write_down)

    async def _record(
        self, outcomes: Iterable[Outcome], write: Callable[[], Awaitable[object]]
    ) -> None:
        """Note what became of requests, and write that down; it may show that SendX is well.

        Args:
            outcomes: Of the requests.
            write: Writes down what is noted, and perhaps more.
        """
        is_well = False
        for outcome in outcomes:
            row = self._source.take_out(outcome.index)
            self._journal.note_outcome(row, _failure_of(row, outcome))
            is_well = is_well or _shows_sendx_well(outcome)
        await write()
        if is_well:
            await self._journal.note_well()

    def _take_outcomes(self) -> list[Outcome]:
        outcomes = self._dispatcher.outcomes
        taken: list[Outcome] = []
        while (outcome := outcomes.take()) is not None:
            taken.append(outcome)
        outcomes.make_room()
        return taken

    async def _settle(self) -> None:
        """Write down what is certain of the requests whose outcome nobody took."""
        unclaimed = self._dispatcher.unclaimed()
        for outcome in unclaimed:
            if outcome.is_retryable:
                self._journal.note_unsent(self._source.rows[outcome.index])
        try:
            known = (each for each in unclaimed if not each.is_retryable)
            await self._record(known, self._journal.write_down)
        except OutboxError as error:
            # It stays noted for the next pass of this outbox. A process that ends leaves doubt.
            self._journal.tell("halted", error=described(error))

    # What the dispatcher calls

    @property
    def seconds_since_uncertain(self) -> float:
        """Return the seconds since a request became uncertain; ``math.inf`` if none did."""
        return self._journal.seconds_since_uncertain

    async def find_probe(self) -> AnyRequest | None:
        """Return a stored request that is safe to repeat, another one each time, or None."""
        # What was delivered and still stands in the file would come after what followed it.
        await self._record(self._take_outcomes(), self._journal.write_all_down)
        self._probe = await self._journal.find_safe(after=self._probe.id if self._probe else 0)
        return None if self._probe is None else self._probe.request

    async def before_attempt(self, messages: Sequence[Message]) -> None:
        """Note what is about to be sent, if it must not be sent twice.

        Raises:
            ChangedError: It is not to be sent any more.
        """
        if self._probe is not None and messages[0].index == PROBE:
            await self._journal.can_write()
            self._journal.check([self._probe.id])
            return
        found = [self._source.rows[message.index] for message in messages]
        if messages[0].replay_safe:
            await self._journal.can_write()
            self._journal.check([row.id for row in found])
        else:
            # What was delivered before is written with it: as few as may be under way are in doubt.
            await self._record(self._take_outcomes(), partial(self._journal.mark, found[0]))

    def note_unsent(self, messages: Sequence[Message]) -> None:
        """Note what was certainly not applied, and is sent again."""
        for message in messages:
            self._journal.note_unsent(self._source.rows[message.index])
        self._tasks.start_soon(self._write_down)

    async def _write_down(self) -> None:
        try:
            await self._journal.write_down()
        except OutboxError as error:
            self._journal.tell("paused", error=described(error))  # and it stays noted

    def note_event(self, event: Event, error: SendXError | None) -> None:
        """Note that everything pauses, or goes on."""
        if error is None:
            self._tasks.start_soon(self._journal.note_well)
        else:
            text = described(error)
            self._journal.tell("paused", error=text, delay=event.delay)
            self._tasks.start_soon(self._journal.note_trouble, f"SendX is in trouble: {text}")


def _shows_sendx_well(outcome: Outcome) -> bool:
    """Return whether SendX has answered as it should, if only to refuse the request."""
    if outcome.error is None:
        return True
    failure_class = classify(outcome.error, replay_safe=is_replay_safe(outcome.request))
    return failure_class is FailureClass.REJECTED


def _failure_of(row: Row, outcome: Outcome) -> Failure | None:
    """Return how a delivery has failed; None if it has not."""
    error = outcome.error
    if error is None:
        return None
    is_uncertain = error.maybe_delivered and not is_replay_safe(outcome.request)
    return Failure(row, "uncertain" if is_uncertain else "dead", described(error), error.attempts)


class DrainLoop:
    """Makes passes over an outbox whenever no other process does, until it is stopped.

    Args:
        path: The outbox's file.
        journal: Of what is under way, and what became of it.
        make_pass: Makes a new pass over it.
        until_empty: Whether to end when nothing is left, or nothing can be sent.
    """

    def __init__(
        self,
        path: str,
        journal: Journal,
        make_pass: Callable[[], DrainPass],
        *,
        until_empty: bool,
    ) -> None:
        self._leader_lock = LeaderLock(path)
        self._journal = journal
        self._make_pass = make_pass
        self._until_empty = until_empty
        self._stopping = anyio.Event()
        self._grace = 0.0

    def stop(self, grace: float) -> None:
        """Begin nothing more; what is under way may take so many seconds to end."""
        self._grace = grace
        self._journal.hurry(grace)
        self._stopping.set()

    async def run(self) -> None:
        """Wait for the leader lock, and drain.

        Raises:
            SendXError: Nothing can be sent, or the file can't be used; only if it is to end then.
        """
        try:
            while not self._stopping.is_set():
                if await self._acquire():
                    self._journal.tell("draining")
                    async with self._leader_lock.signs_of_life():
                        is_done = await self._drain()
                    self._leader_lock.release()
                    self._journal.tell("stopped")
                elif self._until_empty:
                    is_done = await self._journal.is_empty()  # another one has done it all
                else:
                    is_done = False
                if is_done:
                    return
                await self._pause(_SECONDS_BETWEEN_ACQUIRES)
        finally:
            self._leader_lock.release()
            with anyio.CancelScope(shield=True):
                await self._journal.close()

    async def _acquire(self) -> bool:
        is_acquired = False
        try:
            is_acquired = await in_thread(self._leader_lock.acquire)
        except (sqlite3.Error, OSError) as error:
            await self._after(OutboxError(f"the outbox's lock can't be used: {error}"))
        return is_acquired

    async def _drain(self) -> bool:
        """Drain; return whether that is done, or somebody has interfered."""
        while not self._stopping.is_set():
            try:
                await self._journal.begin()
                await self._make_pass().run(self._stopping, lambda: self._grace)
            except ChangedError:
                return False
            except SendXError as error:
                await self._after(error)
            except Exception as error:
                logger.exception("draining the outbox failed in a way that was not foreseen")
                await self._after(error)
            else:
                if self._until_empty:
                    break
        return True

    async def _after(self, error: Exception) -> None:
        await self._journal.note_trouble(f"halted: {described(error)}")
        if self._until_empty:
            raise error
        self._journal.tell("halted", error=described(error), delay=_SECONDS_HALTED)
        await self._pause(_SECONDS_HALTED)

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopping.wait()
