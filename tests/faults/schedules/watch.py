"""Watches both ends: what arrives at the server and when, and when the client gives it up.

Every moment is a tick of one clock that both ends share, so that any two have an order.
"""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from unittest.mock import patch

import attrs

from sendx_async import SendXError
from sendx_async._calls import factory
from sendx_async._calls.call import Answer, Call
from sendx_async.testing import FakeSendX
from sendx_async.testing._exchange import ABORT, Message, Receive, Send

from .faults import FAULT, FAULTS
from .plan import Schedule, contacts_in, index_of

_ATTEMPT = "attempt"
_BULK = "/bulk"

ResponseT = TypeVar("ResponseT")
Tick = Callable[[], int]


@attrs.define
class Attempt:
    """One HTTP request as the client knows it, whether or not it ever comes to the server."""

    number: int
    indices: tuple[int, ...]
    over: float = math.inf
    is_ambiguous: bool = False  # by what the client knows of its end


@attrs.define
class _Arrival:
    """One HTTP request as it comes to the server."""

    begun: int
    path: str
    ended: float = math.inf
    status: int | None = None
    headers: dict[bytes, bytes] = attrs.field(factory=dict)
    fault: str = ""
    raw: bytes = b""

    def end(self, tick: Tick, fault: str = "") -> None:
        if self.ended == math.inf:
            self.ended = tick()
            self.fault = self.fault or fault


@attrs.frozen
class Exchange:
    """One HTTP request that came to the server, and what both ends know of it."""

    attempt: int
    indices: tuple[int, ...]
    contacts: frozenset[str]
    is_bulk: bool
    begun: int
    ended: float
    given_up: float  # when the client stopped to wait for it
    status: int | None
    fault: str
    asks_to_wait: bool
    applied: bool

    @property
    def is_late(self) -> bool:
        """It came when the client had given it up already, which nobody can prevent."""
        return self.begun > self.given_up

    @property
    def in_flight_until(self) -> float:
        return min(self.ended, self.given_up)

    @property
    def accepted(self) -> bool:
        """The client was told so, or would have been."""
        is_success = self.status is not None and 200 <= self.status < 300
        return is_success and not self.fault.startswith(("200", "207"))

    @property
    def surely_refused(self) -> bool:
        """The answer says that it was not applied, and that it may be sent again."""
        return self.status in {307, 408, 429} or (self.status == 503 and self.asks_to_wait)

    def __str__(self) -> str:
        answer = "no answer" if self.status is None else str(self.status)
        notes = [f"fault: {self.fault}"] if self.fault else []
        notes += ["applied"] if self.applied else []
        notes += ["after the client gave it up"] if self.is_late else []
        what = "batch" if self.is_bulk else "alone"
        return (
            f"{self.begun:>5} .. {self.in_flight_until:<5} attempt {self.attempt}, {what}: "
            f"{', '.join(map(str, self.indices))} -> {'; '.join([answer, *notes])}"
        )


class WatchedServer(FakeSendX):
    """A fake server that makes a schedule's trouble and notes all that it sees."""

    def __init__(self, schedule: Schedule, tick: Tick) -> None:
        super().__init__()
        self._troubles = schedule.troubles
        self._tick = tick
        self._arrivals: list[_Arrival] = []
        self.latency = itertools.cycle(schedule.latencies).__next__

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        arrival = _Arrival(self._tick(), scope["path"])
        self._arrivals.append(arrival)
        for trouble in self._troubles:
            if trouble.at == len(self._arrivals):
                FAULTS[trouble.fault](self, trouble.fault, trouble.times)
        cut: Callable[[bool], None] = scope["extensions"][ABORT]

        # Each notes the end before the client can know of it.
        def watched_cut(reset: bool) -> None:
            arrival.end(self._tick, "reset" if reset else "closed")
            cut(reset)

        async def watched_receive() -> Message:
            message = await receive()
            arrival.raw += message.get("body", b"")
            if message["type"] == "http.disconnect":
                arrival.end(self._tick, "not answered")
            return message

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                arrival.status = message["status"]
                arrival.headers = dict(message["headers"])
                arrival.fault = arrival.headers.get(FAULT.encode(), b"").decode()
            elif not message.get("more_body"):
                arrival.end(self._tick)
            await send(message)

        watched_scope = {**scope, "extensions": {**scope["extensions"], ABORT: watched_cut}}
        try:
            await super().__call__(watched_scope, watched_receive, watched_send)
        finally:
            arrival.end(self._tick)

    def deliveries(self, attempts: list[Attempt]) -> list[Exchange]:
        """What arrived in full, in the order of its beginning; to be asked for when all is over."""
        applied = {_attempt_in(request.json) for request in self.requests if request.applied}
        return [
            _delivery(arrival, body, attempts, applied)
            for arrival in self._arrivals
            if (body := _json(arrival.raw)) is not None
        ]


def _delivery(arrival: _Arrival, body: Any, attempts: list[Attempt], applied: set[int]) -> Exchange:
    number = _attempt_in(body)
    return Exchange(
        attempt=number,
        indices=_indices_in(body),
        contacts=frozenset[str]().union(*map(contacts_in, _each(body))),
        is_bulk=arrival.path.endswith(_BULK),
        begun=arrival.begun,
        ended=arrival.ended,
        given_up=attempts[number].over,
        status=arrival.status,
        fault=arrival.fault,
        asks_to_wait=b"retry-after" in arrival.headers,
        applied=number in applied,
    )


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None  # the client went away before it had sent it all


def _each(body: Any) -> list[Any]:
    return body if isinstance(body, list) else [body]


def _indices_in(body: Any) -> tuple[int, ...]:
    return tuple(map(index_of, _each(body)))


def _attempt_in(body: Any) -> int:
    return int(_each(body)[0][_ATTEMPT])


@contextlib.contextmanager
def watched_attempts(tick: Tick) -> Iterator[list[Attempt]]:
    """Number every HTTP request that a stream wants to send, so that the server knows it again."""
    attempts: list[Attempt] = []

    class WatchedCall(Call[ResponseT]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            shared, settings, operation, request, target = arguments
            numbered = _numbered(request, len(attempts))
            super().__init__(shared, settings, operation, numbered, target, **options)
            self._watched = Attempt(len(attempts), _indices_in(json.loads(self._body)))
            attempts.append(self._watched)

        async def run(self) -> Answer[ResponseT]:
            try:
                return await super().run()
            except SendXError as error:
                self._watched.is_ambiguous = error.maybe_delivered
                raise
            except BaseException:
                self._watched.is_ambiguous = self.maybe_delivered
                raise
            finally:
                self._watched.over = tick()

    with patch.object(factory, "Call", WatchedCall):
        yield attempts


def _numbered(request: Any, number: int) -> Any:
    if isinstance(request, tuple):
        return tuple(_numbered(each, number) for each in request)
    return attrs.evolve(request, extra={**request.extra, _ATTEMPT: str(number)})
