"""How a test tells the fake server to misbehave: one short method for each fault."""

import datetime as dt
import json as jsonlib
import math
from collections.abc import Callable, Mapping, Sequence
from email.utils import format_datetime
from typing import TypeAlias

from sendx_async._runtime.real_time import monotonic
from sendx_async.testing._endpoints import Answer, error_answer, json_answer
from sendx_async.testing._faults import Act, Fault, FaultQueue, RateLimit
from sendx_async.testing._log import RequestLog

Latency: TypeAlias = float | Callable[[], float]
RetryAfter: TypeAlias = int | float | str | dt.datetime

_PROXY_PAGE = b"""<!DOCTYPE html>
<html><head><title>Bad gateway</title></head>
<body><h1>Bad gateway</h1><p>The server behind this proxy can't be reached.</p></body></html>
"""


class Misbehaviour:
    """Scripts faults. They form a queue, and each request meets the first that concerns it.

    Every method that scripts a fault takes these two:

    - ``times``: for how many requests it holds; 1 unless told otherwise, None for all of them until
      ``recover()`` or ``reset()``.
    - ``path``: the end of the paths concerned, such as ``"track"`` or ``"identify/bulk"``; None,
      the default, for every path. An end that no path of the API has is a ``ValueError``.

    Where a method takes ``applied``, it says whether the fake server carries the request out
    although the client isn't told so (a request that SendX would refuse is still not carried out).
    """

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._faults = FaultQueue()
        self._rate_limit: RateLimit | None = None
        self._latency: Latency = 0.0

    def respond(
        self,
        status: int,
        *,
        message: str | None = None,
        body: bytes | str | Mapping[str, object] | Sequence[object] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: RetryAfter | None = None,
        applied: bool | None = None,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answers with this status.

        Args:
            status: The HTTP status, 200 to 599.
            message: The text in the documented error body; by default the status's usual phrase.
            body: The whole body instead: bytes and str as they are, anything else as JSON.
            headers: Further headers.
            retry_after: The header ``Retry-After``: seconds, a time zone aware datetime that is
                sent as an HTTP date, or a str that is sent as it is. None for no such header.
            applied: Whether the request is carried out. By default it is if the status is 2xx.
            path: The end of the paths concerned.
            times: For how many requests.

        Raises:
            ValueError: The status is out of range, both message and body are given, or
                retry_after is a datetime without a time zone.
        """
        if not 200 <= status <= 599:  # noqa: PLR2004 - the range that HTTP gives to final answers
            raise ValueError(f"status must be from 200 to 599, not {status}")
        if message is not None and body is not None:
            raise ValueError("give message or body, not both")
        answer = _answer(status, message, body)
        extra = [(name.lower(), value) for name, value in (headers or {}).items()]
        if retry_after is not None:
            extra.append(("retry-after", _retry_after(retry_after)))
        replaced = {name for name, _ in extra}
        kept = [pair for pair in answer.headers if pair[0] not in replaced]
        self._script_answer(
            Answer(status, answer.body, (*kept, *extra)), applied=applied, path=path, times=times
        )

    def html(
        self,
        status: int = 502,
        *,
        applied: bool | None = None,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answers with an HTML page, as a proxy in between does.

        Args:
            status: The HTTP status; 200 is as real as 502.
            applied: Whether the request is carried out. By default it is if the status is 2xx.
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self.respond(
            status,
            body=_PROXY_PAGE,
            headers={"content-type": "text/html; charset=utf-8"},
            applied=applied,
            path=path,
            times=times,
        )

    def empty(
        self,
        status: int = 200,
        *,
        applied: bool | None = None,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answers without a body.

        Args:
            status: The HTTP status, such as 200 or 204.
            applied: Whether the request is carried out. By default it is if the status is 2xx.
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self.respond(status, body=b"", applied=applied, path=path, times=times)

    def redirect(
        self,
        location: str,
        *,
        status: int = 307,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Sends the client elsewhere. A client that follows hands its API key to another host.

        Args:
            location: The URL to go to.
            status: The HTTP status; 307 and 308 ask for the same method and body.
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self.respond(status, body=b"", headers={"location": location}, path=path, times=times)

    def drop(
        self,
        *,
        applied: bool = False,
        reset: bool = False,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Reads the request and closes the connection without an answer.

        In process, where there is no connection, the client gets a ``ConnectionResetError``.

        Args:
            applied: Whether the request is carried out before.
            reset: Whether the connection is reset (the client's read fails with "connection reset
                by peer") instead of closed (the client reads the end of the stream).
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self._script(Fault(act=Act.DROP, applied=applied, reset=reset, path=path, times=times))

    def black_hole(
        self, *, applied: bool = False, path: str | None = None, times: int | None = 1
    ) -> None:
        """Reads the request and never answers, until the client goes away.

        Args:
            applied: Whether the request is carried out.
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self._script(Fault(act=Act.SILENCE, applied=applied, path=path, times=times))

    def drip(
        self,
        *,
        interval: float = 0.2,
        padding: int = 10_000,
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Carries the request out and sends the usual answer one byte at a time.

        Args:
            interval: Seconds between two bytes.
            padding: How many spaces come before the answer's body; with the defaults the answer
                takes more than half an hour.
            path: The end of the paths concerned.
            times: For how many requests.
        """
        self._script(
            Fault(
                act=Act.DRIP,
                applied=True,
                interval=interval,
                padding=padding,
                path=path,
                times=times,
            )
        )

    def rate_limit(
        self, per_second: float, *, burst: int = 1, retry_after: bool | float | str = True
    ) -> None:
        """Answers 429 to requests that come too fast; a scripted fault goes first.

        Args:
            per_second: How many requests a second are let in on average.
            burst: How many are let in at once after a pause.
            retry_after: True for a header ``Retry-After`` that tells the true wait in whole
                seconds, rounded up; False for none; anything else is sent as it is.

        Raises:
            ValueError: per_second isn't above 0, or burst is below 1.
        """
        self._rate_limit = RateLimit(per_second, burst=burst, retry_after=retry_after)

    @property
    def latency(self) -> Latency:
        """How long every answer is held back, in seconds: a number, or a function called each time.

        The request is carried out at once and only the answer waits. 0 unless set. Whatever else
        is scripted happens after it.
        """
        return self._latency

    @latency.setter
    def latency(self, seconds: Latency) -> None:
        if not callable(seconds) and not 0 <= seconds < math.inf:
            raise ValueError(f"latency must be a number of seconds from 0 up, not {seconds}")
        self._latency = seconds

    def recover(self) -> None:
        """Ends all misbehaviour: scripted faults, rate limit, latency. What is held stays."""
        self._log.lock.run(self._recover)

    def _recover(self) -> None:
        self._faults.clear()
        self._rate_limit = None
        self._latency = 0.0

    def _script_answer(
        self, answer: Answer, *, applied: bool | None, path: str | None, times: int | None
    ) -> None:
        if applied is None:
            applied = 200 <= answer.status < 300  # noqa: PLR2004 - HTTP's range of success
        self._script(Fault(act=Act.ANSWER, applied=applied, answer=answer, path=path, times=times))

    def _script(self, fault: Fault) -> None:
        self._log.lock.run(lambda: self._faults.add(fault))

    def _take_fault(self, path: str) -> Fault | None:
        """The fault that this request meets; a refusal of the rate limit counts as one."""
        fault = self._faults.take(path)
        if fault is None and self._rate_limit is not None:
            refusal = self._rate_limit.refuse(monotonic())
            if refusal is not None:
                return Fault(act=Act.ANSWER, applied=False, answer=refusal, path=None, times=1)
        return fault


def _answer(
    status: int,
    message: str | None,
    body: bytes | str | Mapping[str, object] | Sequence[object] | None,
) -> Answer:
    if isinstance(body, bytes):
        return Answer(status, body)
    if isinstance(body, str):
        return Answer(status, body.encode(), (("content-type", "text/plain; charset=utf-8"),))
    if body is not None:
        return Answer(status, jsonlib.dumps(body).encode(), (("content-type", "application/json"),))
    if status in {204, 304}:
        return Answer(status)
    if status < 300:  # noqa: PLR2004 - HTTP's range of success
        return json_answer(status, {"status": str(status), "message": message or "OK"})
    return error_answer(status, message)


def _retry_after(value: RetryAfter) -> str:
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError("retry_after must be a datetime with a time zone")
        return format_datetime(value.astimezone(dt.UTC), usegmt=True)
    return str(value)
