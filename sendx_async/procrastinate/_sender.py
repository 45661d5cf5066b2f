"""Delivers for one worker, with its client."""

import asyncio
import datetime as dt
import functools
import logging
import random
from collections.abc import Callable

from procrastinate.exceptions import ConnectorException

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import (
    ConfigurationError,
    InvalidRequestError,
    OutboxError,
    SendXError,
    TransportError,
)
from sendx_async._core.masking import mask_addresses
from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import contacts_of
from sendx_async._core.options import RetryPolicy
from sendx_async._core.protocol import is_replay_safe
from sendx_async._core.stored import from_stored
from sendx_async._policy.circuit_breaker import FailureHistory, NotedFailure
from sendx_async._policy.failures import (
    FailureClass,
    classify,
    may_be_found_later,
    retry_after_of,
)
from sendx_async._policy.retry import backoff
from sendx_async._runtime.real_time import monotonic
from sendx_async.procrastinate._delivery_job import DeliveryJob, DeliveryLostError, FailureKind
from sendx_async.procrastinate._experience import Experience
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.procrastinate._probes import Probes
from sendx_async.procrastinate._turns import StoppingError, Turn, Turns

logger = logging.getLogger("sendx_async")

_ONCE = RetryPolicy(max_retries=0)
_MOST_TRIES_TO_FIND = 5
_SECONDS_UNTIL_UPGRADED = 300.0


class LaterError(Exception):
    """A delivery goes back to the queue.

    Attributes:
        at: When it may be fetched again; None for at once, whatever the clocks say.
    """

    def __init__(self, message: str, *, seconds: float | None = None) -> None:
        super().__init__(message)
        now = dt.datetime.now(dt.UTC)
        self.at = None if seconds is None else now + dt.timedelta(seconds=seconds)


class DeliveryFailedError(Exception):
    """A delivery has failed for good, and is kept as failed."""


class _TurnLostError(Exception):
    """What was about to be sent must wait: an outage has begun, or is tried with something else."""


class DeliverySender:
    """Sends the deliveries of one worker, and waits for all of them when SendX is in trouble.

    Args:
        jobs: Where they are stored.
        queue: Where they wait.
        make_client: Makes the client.
        retry: The waits, and how often one may fail while others succeed.
        most_at_once: How many jobs the worker runs at once.
        stopping: Set when the worker has to stop.
    """

    def __init__(
        self,
        jobs: Jobs,
        queue: str,
        make_client: Callable[[], AsyncTrackingClient],
        retry: RetryPolicy,
        *,
        most_at_once: int,
        stopping: asyncio.Event,
    ) -> None:
        self._jobs = jobs
        self._make_client = make_client
        self._client: AsyncTrackingClient | None = None
        self._needs_new_client = False
        self._retry = retry
        self._experience = Experience(jobs, retry, most_at_once=most_at_once)
        self._turns = Turns(self._experience.admission)
        self._probes = Probes(jobs, queue)
        self._delivering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = stopping
        self._closing = asyncio.create_task(self._close_in_the_end(), name="sendx client")

    async def _close_in_the_end(self) -> None:
        """Close the client when the worker has stopped, or its event loop ends."""
        try:
            await self._stopping.wait()
            self._turns.stop()
            # A job that was fetched at the last moment may have begun while the client was closed.
            while self._client is not None or not self._idle.is_set():
                await self._idle.wait()
                await self._close_client()
        finally:
            await self._close_client()

    @property
    def is_over(self) -> bool:
        """Whether its worker has stopped, and the client is closed."""
        return self._closing.done()

    async def deliver(self, delivery: DeliveryJob) -> None:
        """Deliver, however long SendX has to be waited for.

        Raises:
            LaterError: It has to go back to the queue.
            DeliveryFailedError: It has failed for good.
        """
        self._delivering += 1
        self._idle.clear()
        try:
            await self._deliver(delivery)
        finally:
            self._delivering -= 1
            if not self._delivering:
                self._idle.set()

    async def _deliver(self, delivery: DeliveryJob) -> None:
        request = self._read(delivery)
        replay_safe = is_replay_safe(request)
        failing = self._experience.recall(delivery, contact=contacts_of(request)[0])
        turn = self._turns.hold(replay_safe=replay_safe)
        try:
            await self._deliver_in_turn(delivery, request, failing, turn)
        finally:
            # Its row is settled after that, perhaps long after, if somebody keeps it locked. Until
            # then whoever looks for a probe sees there that it may be back.
            self._turns.release(turn)

    async def _deliver_in_turn(
        self, delivery: DeliveryJob, request: AnyRequest, failing: FailureHistory, turn: Turn
    ) -> None:
        while True:
            try:
                await self._turns.begin(turn)
            except StoppingError:
                delivery.excuse()
                raise LaterError("the worker stops while SendX is in trouble") from None
            try:
                if not turn.replay_safe and self._experience.admission.needs_probe:
                    await self._try_with_another(delivery, turn)
                error = await self._send(delivery, request, turn)
            except _TurnLostError:
                continue
            finally:
                self._turns.end()
            if error is None:
                delivery.end()
                self._experience.note_answer(turn)
                return
            await self._after(delivery, error, failing, turn)

    async def _try_with_another(self, delivery: DeliveryJob, turn: Turn) -> None:
        """Return if SendX may be tried with a delivery that must not be sent twice.

        Raises:
            _TurnLostError: It may not, or was tried with one that is safe to repeat.
        """
        admission, now = self._experience.admission, monotonic()
        if admission.prefers_event(now):
            return
        wait = admission.wait_for_event(now)
        probe = await self._probes.find(delivery.worker_id, wait_for_event=wait)
        if probe.borrowed is not None:
            try:
                await self._send_probe(probe.borrowed, turn)
            finally:
                await self._jobs.give_back(probe.borrowed)
            raise _TurnLostError
        if probe.seconds:
            self._turns.put_off_events(probe.seconds)
            raise _TurnLostError

    async def _send_probe(self, borrowed: DeliveryJob, turn: Turn) -> None:
        request = from_stored(borrowed.stored_request)
        as_safe = Turn(replay_safe=True, begun=turn.begun)
        try:
            error = await self._send(borrowed, request, as_safe)
        except DeliveryLostError:
            return  # that one, not the one in whose place it was sent
        if (
            error is None
            or (failure_class := classify(error, replay_safe=True)) is FailureClass.REJECTED
        ):
            self._experience.note_answer(as_safe)
        else:
            failing = FailureHistory(contacts_of(request)[0])
            await self._note_trouble(failing, failure_class, error, as_safe)

    def _read(self, delivery: DeliveryJob) -> AnyRequest:
        try:
            return from_stored(delivery.stored_request)
        except InvalidRequestError as error:
            raise self._failed(delivery, "rejected", str(error)) from None
        except OutboxError as error:
            logger.error("delivery %d: %s", delivery.job_id, error)  # noqa: TRY400 - it says all
            delivery.excuse()
            raise LaterError(str(error), seconds=_SECONDS_UNTIL_UPGRADED) from None

    async def _send(
        self, delivery: DeliveryJob, request: AnyRequest, turn: Turn
    ) -> SendXError | None:
        """Send once; return how that failed, None if it didn't."""
        try:
            client = await self._open_client()
        except Exception as error:  # noqa: BLE001 - the application's own
            text = mask_addresses(f"{type(error).__name__}: {error}")
            return ConfigurationError(f"no client could be made: {text}")
        if not turn.replay_safe:
            await self._jobs.mark(delivery)
            if not self._turns.may_be_sent(turn):
                await self._jobs.unmark(delivery)
                raise _TurnLostError
        try:
            # It has waited for its turn, so nothing else has to.
            check = functools.partial(self._jobs.confirm, delivery)
            await client._send_checked(  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
                request, check, retry=_ONCE, deadline=None
            )
        except (DeliveryLostError, ConnectorException):
            raise  # of the check, so nothing was sent
        except SendXError as error:
            # The frames hold the call with its body, and nobody needs them any more.
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - an extension of the application's httpx client
            text = mask_addresses(f"{type(error).__name__}: {error}")
            return TransportError(f"sending failed with {text}", maybe_delivered=True)
        else:
            return None

    async def _after(
        self,
        delivery: DeliveryJob,
        error: SendXError,
        failing: FailureHistory,
        turn: Turn,
    ) -> None:
        """Return if it has to be sent again at its next turn; else raise."""
        failure_class = classify(error, replay_safe=turn.replay_safe)
        is_uncertain = error.maybe_delivered and not turn.replay_safe
        if is_uncertain and failure_class is not FailureClass.REJECTED:
            # Also where nothing more can be sent: what a hook raises may come after the answer.
            await self._note_trouble(failing, failure_class, error, turn)
            raise self._uncertain(delivery, error)
        delivery.end()
        if failure_class is FailureClass.REJECTED:
            self._experience.note_answer(turn)
            tries = min(self._retry.max_retries, _MOST_TRIES_TO_FIND)
            if may_be_found_later(error) and delivery.attempts < tries:
                raise _later(error, self._backoff(delivery))
            if is_uncertain:
                raise self._uncertain(delivery, error)
            raise self._failed(delivery, "rejected", str(error))
        noted = await self._note_trouble(failing, failure_class, error, turn)
        if failing.failures > self._retry.max_retries:
            raise self._failed(delivery, "exhausted", f"{failing.failures} tries failed: {error}")
        if noted.is_in_outage:
            if not turn.replay_safe:
                await self._jobs.unmark(delivery)
            return
        self._experience.remember(delivery, failing)
        retry_after = retry_after_of(error)
        raise _later(error, self._backoff(delivery) if retry_after is None else retry_after)

    async def _note_trouble(
        self, failing: FailureHistory, failure_class: FailureClass, error: SendXError, turn: Turn
    ) -> NotedFailure:
        if failure_class is FailureClass.HALT:
            self._needs_new_client = True
        return await self._experience.note_trouble(failing, failure_class, error, turn)

    def _backoff(self, delivery: DeliveryJob) -> float:
        jitter = random.random()  # noqa: S311 - jitter is no secret
        return backoff(self._retry, retries_done=delivery.attempts, jitter=jitter)

    def _uncertain(self, delivery: DeliveryJob, error: SendXError) -> DeliveryFailedError:
        return self._failed(delivery, "uncertain", f"it may have been applied: {error}")

    def _failed(self, delivery: DeliveryJob, kind: FailureKind, text: str) -> DeliveryFailedError:
        delivery.fail(kind, text)
        return DeliveryFailedError(f"{kind}: {text}")

    async def _open_client(self) -> AsyncTrackingClient:
        if self._needs_new_client:
            # Whoever tries SendX after that is alone, so nobody uses the old one.
            await self._close_client()
        if self._client is None:
            self._client = self._make_client()
            self._needs_new_client = False
        return self._client

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _later(error: SendXError, seconds: float) -> LaterError:
    return LaterError(f"again in {seconds:.1f} s: {error}", seconds=seconds)
