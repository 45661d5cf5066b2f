"""Delivers for one worker: with its client, and with what it has learned of SendX's state."""

import asyncio
import datetime as dt
import logging
import random
from collections import Counter
from collections.abc import Callable

import attrs

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import (
    ApiError,
    ConfigurationError,
    InvalidRequestError,
    OutboxError,
    SendXError,
    TransportError,
)
from sendx_async._core.masking import mask_addresses
from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import contacts_of
from sendx_async._core.protocol import operation_for
from sendx_async._core.stored import from_payload
from sendx_async._policy.failures import PlainSuspect, Verdict, judge, may_be_found_later
from sendx_async._policy.retry import RetryPolicy, backoff
from sendx_async.procrastinate._admission import Gate, StoppingError
from sendx_async.procrastinate._delivery_job import FailureKind, Parcel
from sendx_async.procrastinate._job_manager import Jobs

logger = logging.getLogger("sendx_async")

_ONCE = RetryPolicy(max_retries=0)
_LONGEST_WAIT_IN_OUTAGE = 60.0  # seconds between two tries
_MOST_TRIES_TO_FIND = 5
_SECONDS_UNTIL_UPGRADED = 300.0
_MOST_SUSPECTS = 10_000


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


class Courier:
    """Sends the deliveries of one worker, and waits for all of them when SendX is in trouble.

    Args:
        jobs: Where they are stored.
        make_client: Makes the client.
        retry: The waits, and how often one may fail while others succeed.
        most_at_once: How many jobs the worker runs at once.
        stopping: Set when the worker has to stop.
    """

    def __init__(
        self,
        jobs: Jobs,
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
        cap = min(retry.cap, _LONGEST_WAIT_IN_OUTAGE)
        self._gate = Gate(attrs.evolve(retry, cap=cap), most_at_once=most_at_once)
        self._suspects: dict[int, PlainSuspect] = {}
        self._counted: list[int] = []  # since the last answer: they don't count in an outage
        self._delivering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = stopping
        self._keeper = asyncio.create_task(self._keep(), name="sendx client")

    async def _keep(self) -> None:
        """Close the client when the worker has stopped, or its event loop ends."""
        try:
            await self._stopping.wait()
            self._gate.stop()
            # A job that was fetched at the last moment may have begun while the client was closed.
            while self._client is not None or not self._idle.is_set():
                await self._idle.wait()
                await self._close_client()
        finally:
            await self._close_client()

    @property
    def is_over(self) -> bool:
        """Whether its worker has stopped, and the client is closed."""
        return self._keeper.done()

    async def deliver(self, parcel: Parcel) -> None:
        """Deliver, however long SendX has to be waited for.

        Raises:
            LaterError: It has to go back to the queue.
            DeliveryFailedError: It has failed for good.
        """
        self._delivering += 1
        self._idle.clear()
        try:
            await self._deliver(parcel)
        finally:
            self._delivering -= 1
            if not self._delivering:
                self._idle.set()

    async def _deliver(self, parcel: Parcel) -> None:
        request = self._read(parcel)
        replay_safe = operation_for(request).is_replay_safe(request)
        suspect = self._suspects.pop(parcel.job_id, None) or PlainSuspect(contacts_of(request)[0])
        suspect.failures = parcel.attempts
        while True:
            try:
                begun = await self._gate.enter(replay_safe=replay_safe)
            except StoppingError:
                parcel.is_counted = False
                raise LaterError("the worker stops while SendX is in trouble") from None
            try:
                error = await self._send(parcel, request, replay_safe=replay_safe)
            finally:
                self._gate.leave()
            if error is None:
                self._note_answer(begun)
                return
            if await self._after(parcel, error, suspect, begun=begun, replay_safe=replay_safe):
                return

    def _read(self, parcel: Parcel) -> AnyRequest:
        try:
            return from_payload(parcel.payload)
        except InvalidRequestError as error:
            raise self._failed(parcel, "rejected", str(error)) from None
        except OutboxError as error:
            logger.error("delivery %d: %s", parcel.job_id, error)  # noqa: TRY400 - it says all
            parcel.is_counted = False
            raise LaterError(str(error), seconds=_SECONDS_UNTIL_UPGRADED) from None

    async def _send(
        self, parcel: Parcel, request: AnyRequest, *, replay_safe: bool
    ) -> SendXError | None:
        """Send once; give how that failed, None if it didn't."""
        try:
            client = await self._open_client()
        except Exception as error:  # noqa: BLE001 - the application's own
            text = mask_addresses(f"{type(error).__name__}: {error}")
            return ConfigurationError(f"no client could be made: {text}")
        if not replay_safe and not await self._jobs.mark(parcel):
            raise DeliveryFailedError("another worker has taken it over, so it isn't sent here")
        try:
            # The gate waits for its moment, so nothing else has to.
            await client.send(request, retry=_ONCE, deadline=None)
        except SendXError as error:
            # The frames hold the call with its body, and nobody needs them any more.
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - an extension of the application's httpx client
            text = mask_addresses(f"{type(error).__name__}: {error}")
            return TransportError(f"sending failed with {text}", maybe_delivered=True)
        else:
            parcel.is_under_way = False
            return None

    async def _after(
        self,
        parcel: Parcel,
        error: SendXError,
        suspect: PlainSuspect,
        *,
        begun: float,
        replay_safe: bool,
    ) -> bool:
        """Tell whether it is done, or has to be sent again at its next turn; else raise."""
        verdict = judge(error, replay_safe=replay_safe)
        parcel.is_under_way = verdict is Verdict.UNCERTAIN
        if verdict is Verdict.DELIVERED:
            self._note_answer(begun)
            logger.warning("delivery %d: %s", parcel.job_id, error)
            return True
        if verdict is Verdict.UNCERTAIN:
            await self._note_trouble(suspect, verdict, error, begun)
            raise self._failed(parcel, "uncertain", f"it may have been applied: {error}")
        if verdict is Verdict.REJECTED:
            self._note_answer(begun)
            tries = min(self._retry.max_retries, _MOST_TRIES_TO_FIND)
            if may_be_found_later(error) and parcel.attempts < tries:
                raise _later(error, self._backoff(parcel))
            raise self._failed(parcel, "rejected", str(error))
        await self._note_trouble(suspect, verdict, error, begun)
        if suspect.failures > self._retry.max_retries:
            raise self._failed(parcel, "exhausted", f"{suspect.failures} tries failed: {error}")
        if self._gate.is_shut:
            if not replay_safe:
                await self._jobs.unmark(parcel)
            return False
        self._remember(parcel, suspect)
        told = error.retry_after if isinstance(error, ApiError) else None
        raise _later(error, self._backoff(parcel) if told is None else told)

    async def _note_trouble(
        self, suspect: PlainSuspect, verdict: Verdict, error: SendXError, begun: float
    ) -> None:
        was_shut = self._gate.is_shut
        pause = self._gate.fail(suspect, verdict, error, begun)
        if verdict is Verdict.HALT:
            self._needs_new_client = True
        if pause is None:
            return
        if verdict is Verdict.HALT:
            logger.error(
                "nothing can be delivered before somebody acts, and everything is kept; the next "
                "try is made in %.0f s: %s",
                pause, error,
            )  # fmt: skip
        else:
            logger.warning("SendX is in trouble, all deliveries wait for %.1f s: %s", pause, error)
        if not was_shut and self._counted:
            counted = Counter(self._counted)
            self._counted.clear()
            await self._jobs.uncount(counted)

    def _note_answer(self, begun: float) -> None:
        self._counted.clear()
        if self._gate.succeed(begun):
            logger.warning("SendX answers again, deliveries go on")

    def _remember(self, parcel: Parcel, suspect: PlainSuspect) -> None:
        self._counted.append(parcel.job_id)
        self._suspects[parcel.job_id] = suspect
        if len(self._suspects) > _MOST_SUSPECTS:
            del self._suspects[next(iter(self._suspects))]  # another worker has fetched it, perhaps

    def _backoff(self, parcel: Parcel) -> float:
        jitter = random.random()  # noqa: S311 - jitter is no secret
        return backoff(self._retry, retries_done=parcel.attempts, jitter=jitter)

    def _failed(self, parcel: Parcel, kind: FailureKind, text: str) -> DeliveryFailedError:
        parcel.is_under_way = False
        parcel.fail(kind, text)
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
