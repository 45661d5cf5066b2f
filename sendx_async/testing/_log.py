"""What the fake server received, request by request, and waiting for it without sleeping."""

import collections
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from sendx_async._core.locks import Latch, Lock
from sendx_async._core.older_pickles import reads_older_pickles
from sendx_async._runtime.real_time import monotonic

T = TypeVar("T")
_SHOWN = 10
_SHOWN_BYTES = 200


@reads_older_pickles
@attrs.frozen(kw_only=True, repr=False)
class ReceivedRequest:
    """A request as the fake server saw it when you asked; it doesn't change afterwards.

    The ``repr`` shows the body, which holds your test's data, but no headers, so no API key.

    Attributes:
        method: The HTTP method.
        path: The path as sent, with its prefix; what was percent-encoded is decoded.
        query: The query as sent, without the ``?``.
        headers: The headers; names in lower case, the API key included.
        raw: The body as it arrived.
        json: The decoded body, or None if it isn't JSON.
        status: The status answered; None if no answer was given, or none yet.
        applied: Whether the request was carried out, whatever was answered.
        disconnected: Whether the client went away before it had the whole answer.
        at: When the request had arrived, on the clock of ``time.monotonic()``, in seconds.
    """

    __module__ = "sendx_async.testing"

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str]
    raw: bytes
    json: Any
    status: int | None = None
    applied: bool = False
    disconnected: bool = False
    at: float

    def __repr__(self) -> str:
        text = self.raw[:_SHOWN_BYTES].decode("utf-8", "replace")
        # A body is the client's to fill: nothing in it may steer the terminal that shows a report.
        shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
        more = "..." if len(self.raw) > _SHOWN_BYTES else ""
        answered = "no answer" if self.status is None else str(self.status)
        notes = [name for name in ("applied", "disconnected") if getattr(self, name)]
        outcome = ", ".join([answered, *notes])
        path = f"{self.path}?{self.query}" if self.query else self.path
        return f"<{self.method} {path} {shown}{more} -> {outcome}>"


def listed(begins: str, kind: str, items: Sequence[object]) -> str:
    """Write the latest of some items down, one a line, behind how many there are.

    Args:
        begins: How the sentence begins.
        kind: What one of them is called.
        items: Them, oldest first.
    """
    if not items:
        return f"{begins} no {kind}."
    count = f"{len(items)} {kind}{'s' if len(items) > 1 else ''}"
    lines = "".join(f"\n  {item!r}" for item in items[-_SHOWN:])
    return f"{begins} {count}; the latest:{lines}"


class Entry:
    """The place of one request in the log; what is known of the request grows."""

    def __init__(self, request: ReceivedRequest) -> None:
        self.request = request

    def update(self, status: int | None, *, disconnected: bool) -> None:
        """Notes what became of it."""
        self.request = attrs.evolve(
            self.request,
            status=self.request.status if status is None else status,
            disconnected=self.request.disconnected or disconnected,
        )


class RequestLog:
    """The received requests, and the lock under which everything of the fake server changes."""

    def __init__(self, keep: int | None) -> None:
        self.lock = Lock()
        self._entries: collections.deque[Entry] = collections.deque(maxlen=keep)
        self._waiting: list[Latch] = []

    def change(self, function: Callable[[], T]) -> T:
        """Runs what changes something, and lets those look who wait for anything."""
        return self.lock.run(lambda: self._tell(function()))

    def _tell(self, result: T) -> T:
        for each in self._waiting:
            each.open()
        self._waiting.clear()
        return result

    def add(self, request: ReceivedRequest) -> Entry:
        """Notes a request that has arrived."""
        entry = Entry(request)
        self.change(lambda: self._entries.append(entry))
        return entry

    def update(
        self, entry: Entry, *, status: int | None = None, disconnected: bool = False
    ) -> None:
        """Notes what became of a request."""
        self.change(lambda: entry.update(status, disconnected=disconnected))

    def requests(self) -> list[ReceivedRequest]:
        """All requests noted, oldest first."""
        return self.lock.run(lambda: [entry.request for entry in self._entries])

    def clear(self) -> None:
        """Forgets all requests."""
        self.change(self._entries.clear)

    def describe(self) -> str:
        """The latest requests, for an error's text."""
        return listed("It has received", "request", self.requests())

    def wait_for(self, predicate: Callable[[], T], timeout: float) -> T:
        """Waits until the predicate is true; ``FakeSendX.wait_for`` documents it."""
        until = monotonic() + timeout
        while True:
            changed = Latch()
            cause: LookupError | None = None
            try:
                result = self.lock.run(partial(self._look, predicate, changed))
            except LookupError as error:
                cause = error
            else:
                if result:
                    return result
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"The fake server didn't come to the awaited state within {timeout:g} s. "
                    + self.describe()
                ) from cause
            changed.wait(left)

    def _look(self, predicate: Callable[[], T], changed: Latch) -> T:
        try:
            return predicate()
        finally:
            self._waiting.append(changed)
