"""What became of a stream's requests, and the queue where that waits to be taken."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import attrs

from sendx_async._core.errors import NotSentError, ResponseLost, SendXError
from sendx_async._core.masking import HIDDEN, MaskedRepr, unshown
from sendx_async._core.models import AnyRequest, AnyResponse
from sendx_async._policy.ordering import Message

_NOT_SENT = "the stream ended before this request was sent"
_UNKNOWN = "the stream ended before it was known whether this request was applied"


@attrs.frozen(repr=False, eq=False, field_transformer=unshown)
class Outcome(MaskedRepr):
    """What became of one request that `send_many` read from its source.

    Attributes:
        index: The request's place in the source, from 0.
        request: The request as a model; what the source gave, if no model was made of it. Both
            can be given to another stream, and ``attrs.asdict`` makes a mapping of a model that
            JSON can carry and ``send_many`` takes.
        response: What SendX said, or None if there is an ``error``. Contacts that travelled in one
            request to the bulk endpoint share its response.
        error: Why it failed, or None. ``error.maybe_delivered`` says whether SendX may have applied
            the request all the same, and `is_retryable` whether to give it to another stream.
    """

    __module__ = "sendx_async"

    index: int
    request: Any
    response: AnyResponse | None = None
    error: SendXError | None = None

    @property
    def is_retryable(self) -> bool:
        """Whether sending the request again may succeed and can't do anything twice.

        As of its error, see `SendXError.is_retryable`; False for a success.
        """
        return self.error is not None and self.error.is_retryable

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        """Yield the request, masked, and what became of it."""
        yield "index", self.index
        # A model masks itself; what is none may be a mapping full of personal data.
        yield "request", self.request if isinstance(self.request, AnyRequest) else HIDDEN
        if self.error is None:
            yield "response", self.response
        else:
            yield "error", self.error


def outcomes_of_the_unfinished(messages: Iterable[Message]) -> list[Outcome]:
    """Return the outcomes of messages that were accepted, when nothing is under way any more."""
    outcomes: list[Outcome] = []
    for message in messages:
        error: SendXError = NotSentError(_NOT_SENT)
        if message.maybe_delivered:
            error = ResponseLost(_UNKNOWN, maybe_delivered=True)
        error.operation, error.attempts = message.operation.name, message.attempts
        error.replay_safe = message.replay_safe
        outcomes.append(Outcome(message.index, message.request, error=error))
    return outcomes


def outcomes_of_the_unread(given: Iterable[Any], *, first_index: int) -> list[Outcome]:
    """Return the outcomes of what was read ahead, and looked at by nobody."""
    return [
        Outcome(index, request, error=NotSentError(_NOT_SENT))
        for index, request in enumerate(given, first_index)
    ]


class OutcomeQueue:
    """Outcomes from the loop that sends to whoever takes them, who may be in another thread.

    What was read and not taken is bounded, so that a slow taker slows the reading down.

    Args:
        most: How many requests may be read whose outcome was not taken.
        step: How many outcomes have to be taken before reading goes on.

    Attributes:
        read: How many requests were read.
        delivered: How many of them succeeded.
        failed: How many of them failed.
        is_closed: Whether no further outcome will come.
    """

    def __init__(self, *, most: int, step: int) -> None:
        self._most = most
        self._step = step
        self._waiting: deque[Outcome] = deque()
        self._taken = 0
        self._news: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self._failure: Exception | None = None
        self.read = self.delivered = self.failed = 0
        self.is_closed = False

    # Whoever takes outcomes

    def take(self) -> Outcome | None:
        """Return the next outcome, None if there is none; from any thread, but one at a time."""
        if not self._waiting:
            return None
        self._taken += 1
        return self._waiting.popleft()

    async def arrival(self) -> bool:
        """Wait for an outcome; tells whether there is one, or none will come any more.

        Raises:
            Exception: What the queue was closed with; every outcome before it has been taken.
        """
        self.make_room()
        while not self._waiting:
            if self.is_closed:
                if self._failure is not None:
                    raise self._failure
                return False
            await self._wait_for_news()
        return True

    async def end(self) -> None:
        """Wait until the queue is closed."""
        while not self.is_closed:
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        if self._news is None:
            self._news = anyio.Event()
        await self._news.wait()

    def make_room(self) -> None:
        """Let the reading go on if enough outcomes were taken."""
        if self._room is not None and self.read - self._taken <= self._most - self._step:
            self._room.set()
            self._room = None

    def rest(self) -> list[Outcome]:
        """Return the outcomes that nobody took."""
        return list(self._waiting)

    # Whoever reads requests and sends them

    @property
    def is_full(self) -> bool:
        """Whether no further request may be read now."""
        return self.read - self._taken >= self._most

    async def wait_for_room(self) -> None:
        """Wait until another request may be read."""
        while self.is_full:
            self._room = anyio.Event()
            await self._room.wait()

    def put(self, outcome: Outcome) -> None:
        """Add an outcome; `tell` wakes whoever waits for it."""
        if outcome.error is None:
            self.delivered += 1
        else:
            self.failed += 1
        self._waiting.append(outcome)

    def tell(self) -> None:
        """Wake whoever waits, if there is something to take."""
        if self._news is not None and (self._waiting or self.is_closed):
            self._news.set()
            self._news = None

    def close(self, failure: Exception | None) -> None:
        """Let no further outcome come; the failure is raised behind the last one."""
        self._failure = failure
        self.is_closed = True
        self.tell()
