"""Carries one call from its request to its response: attempts, waits, deadline, events."""

import asyncio
import random
import time
from typing import Any, Generic, TypeVar

import anyio
import attrs
import httpx

from sendx_async._errors import (
    ApiError,
    AttemptTimeout,
    ClientClosedError,
    ConnectError,
    DeadlineExceeded,
    ResponseDecodeError,
    ResponseLost,
    SendXError,
    TransportError,
)
from sendx_async._events import Event, EventKind, logger, tell
from sendx_async._http1 import DELIVERY, Delivery, Target, read_body
from sendx_async._operations import Operation
from sendx_async._options import Settings
from sendx_async._pace import Pace
from sendx_async._protocol import decode, encode
from sendx_async._retry import RetryBudget, backoff, decide, pause_for_everyone

ResponseT = TypeVar("ResponseT")


class Shared:
    """What a client and its copies have in common.

    Args:
        http: The httpx client that sends.
        is_borrowed: Whether the application owns ``http``.
        pace: When requests may begin.
    """

    def __init__(self, http: httpx.AsyncClient, *, is_borrowed: bool, pace: Pace) -> None:
        self.http = http
        self.is_borrowed = is_borrowed
        self.pace = pace
        self.budget = RetryBudget()
        self.is_closed = False


@attrs.frozen
class Answer(Generic[ResponseT]):
    """A call's response, and what else is known of it."""

    data: ResponseT
    http: httpx.Response
    body: bytes
    call_id: str
    attempts: int
    elapsed: float


class Call(Generic[ResponseT]):
    """One call of a client's method.

    Args:
        shared: What the client and its copies have in common.
        settings: The client's settings, with those of this call in their place.
        operation: What is asked for.
        request: What the operation takes.
        target: Where it is posted.
    """

    def __init__(
        self,
        shared: Shared,
        settings: Settings,
        operation: Operation[Any, ResponseT],
        request: Any,
        target: Target,
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._operation = operation
        self._request = request
        self._target = target
        self._began = time.monotonic()
        self._ends = self._began + settings.deadline
        self._attempts = 0
        self._maybe_delivered = False
        self._id: str | None = None
        self._tells = settings.on_event is not None or logger.isEnabledFor(10)

    @property
    def id(self) -> str:
        """The call's identifier, 16 hexadecimal digits."""
        if self._id is None:
            self._id = f"{random.getrandbits(64):016x}"
        return self._id

    async def run(self) -> Answer[ResponseT]:
        """Make attempts until one succeeds or no further one may be made.

        Raises:
            SendXError: The call failed; ``maybe_delivered`` speaks for all its attempts.
        """
        self._tell("call_started")
        try:
            answer = await self._until_final()
        except BaseException as error:
            self._tell("call_finished", error=error)
            raise
        self._tell("call_finished", status_code=answer.http.status_code)
        return answer

    async def _until_final(self) -> Answer[ResponseT]:
        shared, settings = self._shared, self._settings
        body = encode(self._request)
        shared.budget.earn(settings.retry)
        last: SendXError | None = None
        while True:
            await self._wait_for_the_moment(last)
            outcome = await self._attempt(body, last)
            if isinstance(outcome, Answer):
                return outcome
            last = outcome
            delay = self._after(last)
            if delay is None:
                raise last
            self._tell("retry_scheduled", error=last, delay=delay)
            await anyio.sleep(delay)

    def _after(self, error: SendXError) -> float | None:
        """Draw the conclusions from a failed attempt: whether to pause, and when to go on."""
        shared, settings = self._shared, self._settings
        jitter = random.random()  # noqa: S311 - jitter is no secret
        retries_done = self._attempts - 1
        wait = backoff(settings.retry, retries_done=retries_done, jitter=jitter)
        pause = pause_for_everyone(error, otherwise=wait)
        if pause is not None and shared.pace.pause(pause, error):
            self._tell("paused", error=error, delay=pause)
        if isinstance(error, DeadlineExceeded):
            return None
        now = time.monotonic()
        return decide(
            error,
            policy=settings.retry,
            budget=shared.budget,
            replay_safe=self._operation.is_replay_safe(self._request),
            retries_done=retries_done,
            time_left=self._ends - now,
            jitter=jitter,
            now=now,
        )

    async def _wait_for_the_moment(self, last: SendXError | None) -> None:
        """Wait for the rate and for pauses, unless that would pass the deadline."""
        pace = self._shared.pace
        while True:
            if self._shared.is_closed:
                raise self._describe(
                    ClientClosedError("the client is closed: make calls inside its async with")
                )
            now = time.monotonic()
            moment = pace.reserve(now, self._ends)
            if moment is None:
                raise self._too_late(last or pace.cause)
            if moment <= now:
                return
            await anyio.sleep(moment - now)
            if pace.is_open(time.monotonic()):
                return

    def _too_late(self, last: SendXError | None) -> SendXError:
        return self._describe(
            DeadlineExceeded(
                f"no answer within the deadline of {self._settings.deadline:g} s"
                + (f"; before that: {last}" if last else ""),
                last=last,
            )
        )

    async def _attempt(
        self, body: bytes, last: SendXError | None
    ) -> Answer[ResponseT] | SendXError:
        """Send the request once, and give what came of it.

        An error is given, not raised, so that it is raised outside of any except block: httpx's
        own exceptions hold the request with the key, and must not hang on to ours as context.
        """
        settings = self._settings
        self._attempts += 1
        limit = min(settings.timeout.total, self._ends - time.monotonic())
        delivery = Delivery(self._target, sent=self._shared.is_borrowed)
        request = self._build(body, delivery)
        error: SendXError
        try:
            # asyncio's own timeout costs half of a cancel scope, and every call needs one.
            if _on_asyncio():
                async with asyncio.timeout(limit):
                    response, answered = await self._send(request, delivery)
            else:
                with anyio.fail_after(limit):
                    response, answered = await self._send(request, delivery)
            return self._read(response, answered)
        except httpx.RequestError as caught:
            error = _transport_error(caught)
        except TimeoutError:
            error = self._out_of_time(limit, delivery, last)
        except OSError as caught:
            error = ResponseLost(f"the connection broke: {caught}", maybe_delivered=True)
        except SendXError as caught:
            error = caught
        # The context would be a decoder's exception, which holds the whole body.
        error.__context__ = None
        self._maybe_delivered = self._maybe_delivered or error.maybe_delivered
        self._describe(error)
        status_code = (
            error.status_code if isinstance(error, (ApiError, ResponseDecodeError)) else None
        )
        self._tell("attempt_finished", error=error, status_code=status_code)
        return error

    async def _send(
        self, request: httpx.Request, delivery: Delivery
    ) -> tuple[httpx.Response, bytes]:
        response = await self._shared.http.send(
            request, stream=True, auth=None, follow_redirects=False
        )
        if delivery.body is not None:
            return response, delivery.body
        # Not our transport but the application's, or a mock.
        try:
            return response, await read_body(response.aiter_bytes())
        finally:
            await response.aclose()

    def _read(self, response: httpx.Response, body: bytes) -> Answer[ResponseT]:
        status_code = response.status_code
        if 200 <= status_code < 300:  # noqa: PLR2004 - the definition of a 2xx
            headers: dict[str, str] = {}
        else:
            headers = dict(response.headers)
        data = decode(self._operation, status_code, headers, body, now=time.time())
        self._tell("attempt_finished", status_code=status_code)
        elapsed = time.monotonic() - self._began
        return Answer(data, response, body, self.id, self._attempts, elapsed)

    def _build(self, body: bytes, delivery: Delivery) -> httpx.Request:
        settings, timeout = self._settings, self._settings.timeout
        extensions: dict[str, Any] = {
            "timeout": {
                "connect": timeout.connect,
                "read": timeout.read,
                "write": timeout.write,
                "pool": timeout.total,
            },
            DELIVERY: delivery,
        }
        if self._shared.is_borrowed:
            extensions["trace"] = delivery.trace
        return httpx.Request(
            "POST",
            self._target.url,
            headers=[
                self._target.host,
                *settings.headers,
                (b"Content-Length", b"%d" % len(body)),
                settings.secret.header(),
            ],
            stream=httpx.ByteStream(body),
            extensions=extensions,
        )

    def _out_of_time(self, limit: float, delivery: Delivery, last: SendXError | None) -> SendXError:
        self._maybe_delivered = self._maybe_delivered or delivery.sent
        if limit < self._settings.timeout.total:
            return self._too_late(last)
        where = "was sent and not answered" if delivery.sent else "could not be sent"
        return AttemptTimeout(
            f"the request {where} within the timeout of {limit:g} s",
            maybe_delivered=delivery.sent,
        )

    def _describe(self, error: SendXError) -> SendXError:
        """Say to which call an error belongs, and what the call's earlier attempts imply."""
        error.operation = self._operation.name
        error.call_id = self.id
        error.attempts = self._attempts
        error.elapsed = time.monotonic() - self._began
        error.maybe_delivered = error.maybe_delivered or self._maybe_delivered
        return error

    def _tell(
        self,
        kind: EventKind,
        *,
        status_code: int | None = None,
        error: BaseException | None = None,
        delay: float | None = None,
    ) -> None:
        if not self._tells and kind != "paused":
            return
        tell(
            self._settings.on_event,
            Event(
                kind=kind,
                operation=self._operation.name,
                call_id=self.id,
                attempt=self._attempts,
                elapsed=time.monotonic() - self._began,
                status_code=status_code,
                error=None if error is None else type(error).__name__,
                delay=delay,
            ),
        )


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


def _transport_error(error: httpx.RequestError) -> TransportError:
    """Translate httpx's error, and say whether the request may have been applied."""
    sent = not isinstance(error, _NOTHING_SENT)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        where = "was sent and not answered" if sent else "could not be sent"
        return AttemptTimeout(f"the request {where} in time ({reason})", maybe_delivered=sent)
    if not sent:
        return ConnectError(f"SendX can't be reached, nothing was sent ({reason})")
    return ResponseLost(
        f"the connection was lost before the answer was complete ({reason})", maybe_delivered=True
    )
