"""Carries one call from its request to its response: attempts, waits, deadline, events."""

import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import attrs

from sendx_async._calls.attempt import attempt, build_request
from sendx_async._calls.shared import Shared
from sendx_async._core.answers import decode
from sendx_async._core.errors import (
    ApiError,
    AttemptTimeout,
    ClientClosedError,
    ResponseDecodeError,
    SendXError,
    status_code_of,
)
from sendx_async._core.events import Event, EventKind, logger, tell
from sendx_async._core.models import ApiResponse
from sendx_async._core.operations import Operation
from sendx_async._core.protocol import encode
from sendx_async._core.settings import Settings
from sendx_async._policy.failures import deadline_exceeded, pause_for_everyone
from sendx_async._policy.retry import backoff, retry_delay
from sendx_async._transport.exchange import EXCHANGE, Exchange, RawAnswer, Target

ResponseT = TypeVar("ResponseT")

_RESOLUTION = 0.001  # seconds by which timers may be early


@attrs.frozen
class Answer(Generic[ResponseT]):
    """A call's response, which may be a contact as it came, and what else is known of it."""

    data: ResponseT = attrs.field(repr=False)
    raw: RawAnswer
    call_id: str
    attempts: int
    elapsed: float

    def with_http_info(self) -> ApiResponse[ResponseT]:
        """Return the response with what HTTP said."""
        return ApiResponse(
            data=self.data,
            status_code=self.raw.status_code,
            headers=self.raw.header_texts(),
            raw_data=self.raw.body or b"",
            call_id=self.call_id,
            attempts=self.attempts,
            elapsed=self.elapsed,
        )


@attrs.frozen
class Earlier:
    """What was done for a caller before a call of its own: its contact travelled with others.

    Attributes:
        began: When the caller began, by the client's clock.
        attempts: How many requests were begun.
        maybe_delivered: Whether SendX may have applied one of them.
    """

    began: float
    attempts: int
    maybe_delivered: bool


class Call(Generic[ResponseT]):
    """One call of a client's method.

    Args:
        shared: What the client and its copies have in common.
        settings: The client's settings, with those of this call in their place.
        operation: What is asked for.
        request: What the operation takes.
        target: Where it is sent.
        replay_safe: Whether applying the request twice is harmless; None if the operation is to
            say.
        earlier: What was done already for the same caller, if anything.
        pauses_end: When a pause of the whole client has to be over, by the client's clock: a
            longer one isn't waited for. Default: whenever the deadline allows.
        before_attempt: Awaited when an attempt is about to begin; what it raises ends the call.
        before_write: The same when its connection is there and its first byte is about to leave,
            unless a transport sends that isn't httpx's or the library's own.
    """

    def __init__(
        self,
        shared: Shared,
        settings: Settings,
        operation: Operation[Any, ResponseT],
        request: Any,
        target: Target,
        *,
        replay_safe: bool | None = None,
        earlier: Earlier | None = None,
        pauses_end: float = math.inf,
        before_attempt: Callable[[], Awaitable[None]] | None = None,
        before_write: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._operation = operation
        # Now, since a request may hold what the caller changes during the call.
        self._replay_safe = (
            operation.is_replay_safe(request) if replay_safe is None else replay_safe
        )
        self._body = encode(request)  # an attribute, since tools that show locals would print it
        self._target = target
        self._now = shared.now
        self._began = self._now() if earlier is None else earlier.began
        self._ends = self._began + settings.deadline
        self._pauses_end = pauses_end
        self._attempts = self._attempts_before = 0 if earlier is None else earlier.attempts
        self._maybe_delivered = earlier is not None and earlier.maybe_delivered
        self._before_attempt = before_attempt
        self._before_write = before_write
        self._under_way: Exchange | None = None
        self._id: str | None = None
        self._tells = settings.on_event is not None or logger.isEnabledFor(logging.DEBUG)

    @property
    def id(self) -> str:
        """The call's identifier, 16 hexadecimal digits."""
        if self._id is None:
            self._id = f"{random.getrandbits(64):016x}"
        return self._id

    @property
    def attempts(self) -> int:
        """How many requests were begun, those of an earlier call included."""
        return self._attempts

    @property
    def maybe_delivered(self) -> bool:
        """Whether SendX may have applied the request by now, in any attempt."""
        return self._maybe_delivered or (self._under_way is not None and self._under_way.sent)

    async def run(self) -> Answer[ResponseT]:
        """Make attempts until one succeeds or no further one may be made.

        Raises:
            SendXError: The call failed; ``maybe_delivered`` speaks for all its attempts.
        """
        try:
            self._tell("call_started")
            answer = await self._until_final()
        except BaseException as error:
            self._tell("call_finished", error)
            raise
        self._tell("call_finished", answer)
        return answer

    async def _until_final(self) -> Answer[ResponseT]:
        settings = self._settings
        self._shared.budget.earn()
        last: SendXError | None = None
        while True:
            await self._wait_for_the_moment(last)
            if self._before_attempt is not None:
                await self._before_attempt()
            self._attempts += 1
            self._shared.is_used = True
            limit = min(settings.timeout.total, self._ends - self._now())
            came = await self._attempt(limit)
            outcome = self._read(came) if isinstance(came, RawAnswer) else came
            if isinstance(outcome, Answer):
                self._tell("attempt_finished", outcome)
                return outcome
            if isinstance(outcome, AttemptTimeout) and self._now() > self._ends - _RESOLUTION:
                self._maybe_delivered = self._maybe_delivered or outcome.maybe_delivered
                outcome = self._too_late(last)
            last = self._describe(outcome)
            self._tell("attempt_finished", last)
            delay = self._after(last)
            if delay is None:
                try:
                    raise last
                finally:
                    del last  # its traceback holds this frame, which would hold it in turn
            self._tell("retry_scheduled", last, delay=delay)
            await self._shared.clock.sleep(delay)

    async def _wait_for_the_moment(self, last: SendXError | None) -> None:
        """Wait for the rate and for pauses, unless that would pass the deadline."""
        rate_limiter = self._shared.rate_limiter
        now = self._now()
        place = rate_limiter.reserve(now)
        may_be_moved = True
        try:
            while (due := rate_limiter.due(place)) > now + _RESOLUTION:
                if due > self._ends or rate_limiter.paused_until > self._pauses_end:
                    wait = due - now if due > self._ends else 0
                    raise self._too_late(last or rate_limiter.cause(now), wait=wait)  # noqa: TRY301 - its place is freed
                await self._shared.clock.sleep(due - now)
                now = self._now()
                if may_be_moved and rate_limiter.is_missed(place, now):
                    place, may_be_moved = rate_limiter.reserve(now), False
        except BaseException:
            rate_limiter.give_back(place)
            raise
        if self._shared.is_closed or self._shared.http.is_closed:
            raise self._describe(
                ClientClosedError(
                    "the client, or the http_client it was given, is closed: make calls inside "
                    "the client's `with` or `async with` statement"
                )
            )

    async def _attempt(self, limit: float) -> RawAnswer | SendXError:
        is_borrowed = self._shared.is_borrowed
        request = build_request(
            self._settings, self._operation, self._target, self._body, is_borrowed=is_borrowed
        )
        self._under_way = exchange = request.extensions[EXCHANGE]
        exchange.before_write = self._before_write
        reached, origin = self._shared.reached, self._target.origin
        came = await attempt(self._shared.http, request, limit=limit, was_reached=origin in reached)
        if isinstance(came, RawAnswer):
            reached.add(origin)
        # Only after an attempt that was cancelled is it still needed.
        self._under_way = None
        return came

    def _read(self, raw: RawAnswer) -> Answer[ResponseT] | SendXError:
        """Make the call's answer of what came back, or the error that it stands for."""
        secret = self._settings.secret
        raw = raw.changed(secret.redact)
        headers: dict[str, str] = {}
        if not 200 <= raw.status_code < 300 or raw.body is None:  # noqa: PLR2004 - the definition of a 2xx
            headers = raw.header_texts()
        try:
            data = decode(self._operation, raw.status_code, headers, raw.body, now=time.time())
        except ResponseDecodeError as error:
            error.headers = raw.header_texts()
            return error.with_traceback(None)  # the frames of decode hold the answer
        except ApiError as error:
            error.headers = headers or raw.header_texts()
            error.args = tuple(map(secret.redact_text, error.args))
            error.message = error.message and secret.redact_text(error.message)
            return error.with_traceback(None)
        return Answer(data, raw, self.id, self._attempts, self._now() - self._began)

    def _after(self, error: SendXError) -> float | None:
        """Return the seconds until the next attempt, or None; pause all calls if it is due."""
        shared, settings, now = self._shared, self._settings, self._now()
        jitter = random.random()  # noqa: S311 - jitter is no secret
        retries_done = self._attempts - self._attempts_before - 1
        wait = backoff(settings.retry, retries_done=retries_done, jitter=jitter)
        if isinstance(error, ApiError):
            pause = pause_for_everyone(error, otherwise=wait)
            if pause is not None:
                lasts = shared.rate_limiter.pause(pause, error, now=now)
                if lasts is not None:
                    self._tell("paused", error, delay=lasts)
        return retry_delay(
            error,
            policy=settings.retry,
            budget=shared.budget,
            replay_safe=self._replay_safe,
            retries_done=retries_done,
            time_left=self._ends - now,
            jitter=jitter,
            now=now,
        )

    def _too_late(self, last: SendXError | None, *, wait: float = 0) -> SendXError:
        return self._describe(deadline_exceeded(self._settings.deadline, last, wait=wait))

    def _describe(self, error: SendXError) -> SendXError:
        """Note in an error to which call it belongs, and what the call's earlier attempts imply."""
        self._maybe_delivered = self._maybe_delivered or error.maybe_delivered
        error.operation = self._operation.name
        error.call_id = self.id
        error.attempts = self._attempts
        error.elapsed = self._now() - self._began
        error.maybe_delivered = self._maybe_delivered
        error.replay_safe = self._replay_safe
        return error

    def _tell(
        self,
        kind: EventKind,
        outcome: "Answer[ResponseT] | BaseException | None" = None,
        *,
        delay: float | None = None,
    ) -> None:
        if not self._tells and kind != "paused":
            return
        status_code = error = None
        if isinstance(outcome, BaseException):
            error, status_code = type(outcome).__name__, status_code_of(outcome)
        elif outcome is not None:
            status_code = outcome.raw.status_code
        tell(
            self._settings.on_event,
            Event(
                kind=kind,
                operation=self._operation.name,
                call_id=self.id,
                attempt=self._attempts,
                elapsed=self._now() - self._began,
                status_code=status_code,
                error=error,
                delay=delay,
                url=self._settings.base_url + self._operation.path,
                maybe_delivered=isinstance(outcome, Answer) or self.maybe_delivered,
                method=self._operation.method,
            ),
        )
