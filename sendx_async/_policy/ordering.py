"""Requests that were read and not finished: each contact's in order, the others side by side."""

from collections import deque
from collections.abc import Iterable
from typing import Any, Self

from sendx_async._core.operations import IDENTIFY, Operation, contacts_of
from sendx_async._core.protocol import make_request, operation_for

PROBE = -1
"""The index of a message that is no part of the source, and only shows whether SendX answers."""


class Message:
    """A request on its way.

    Args:
        index: Its place in the source, or `PROBE`.
        operation: What is asked for.
        request: What the operation takes.
        contacts: Whom it is about; what is about the same contact is sent in order.
        replay_safe: Whether applying it twice is harmless.
        is_alone: Whether it must not share a request with others.

    Attributes:
        contact: The first of its contacts.
        failures: How often it failed while others succeeded.
        streak: The latest streak of trouble in which it failed.
        streaks: In how many it failed.
        attempts: How often it was sent, or tried to be.
        maybe_delivered: Whether SendX may have applied it, in any attempt.
    """

    __slots__ = (
        "attempts", "contact", "contacts", "failures", "followers", "index", "is_alone",
        "maybe_delivered", "operation", "replay_safe", "request", "streak", "streaks", "waits_for",
    )  # fmt: skip

    def __init__(
        self,
        index: int,
        operation: Operation[Any, Any],
        request: Any,
        contacts: tuple[str, ...],
        *,
        replay_safe: bool,
        is_alone: bool,
    ) -> None:
        self.index = index
        self.operation = operation
        self.request = request
        self.contacts = contacts
        self.contact = contacts[0]
        self.replay_safe = replay_safe
        self.is_alone = is_alone
        self.failures = 0
        self.streak = -1
        self.streaks = 0
        self.attempts = 0
        self.maybe_delivered = False
        self.waits_for = 0
        self.followers: list[Message] | None = None

    @classmethod
    def of(cls, index: int, given: object) -> Self:
        """Make one of what a source gave: a model or a mapping.

        Raises:
            InvalidRequestError: It is neither, or no good one.
        """
        operation = operation_for(given)
        request = make_request(operation, given)
        replay_safe = operation.is_replay_safe(request)
        return cls(
            index,
            operation,
            request,
            contacts_of(request),
            replay_safe=replay_safe,
            is_alone=not replay_safe or operation is not IDENTIFY,
        )


class OrderedQueue:
    """Messages in the order of their source; gives out those that may be sent now.

    A message is ready when all earlier ones about its contacts are finished, so that two of one
    contact are never out at once.

    Args:
        batch_size: How many messages may share a request.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._latest: dict[str, Message] = {}  # by contact: whom the next one has to wait for
        self._shareable: deque[Message] = deque()
        self._alone: deque[Message] = deque()
        self._once: deque[Message] = deque()  # what must not be sent twice
        self._waiting: set[Message] = set()
        self.unfinished: dict[int, Message] = {}

    @property
    def ready(self) -> int:
        """How many messages may be sent now."""
        return len(self._shareable) + len(self._alone) + len(self._once)

    @property
    def has_safe(self) -> bool:
        """Whether anything may be sent now that is safe to repeat."""
        return bool(self._shareable or self._alone)

    @property
    def has_safe_waiting(self) -> bool:
        """Whether anything that is safe to repeat waits for its next try."""
        return bool(self._waiting)

    def add(self, message: Message) -> None:
        """Put a message behind all others."""
        self.unfinished[message.index] = message
        latest = self._latest
        for contact in message.contacts:
            before = latest.get(contact)
            latest[contact] = message
            if before is not None and before is not message:
                message.waits_for += 1
                if before.followers is None:
                    before.followers = []
                before.followers.append(message)
        if not message.waits_for:
            self._queue_of(message).append(message)

    def take(self) -> list[Message]:
        """Return the next message, and others that may share its request; none if none is ready.

        They have to come back, with `finish` or `give_back`.
        """
        return self._take_first_of(self._shareable, self._alone, self._once)

    def _take_first_of(self, *queues: deque[Message]) -> list[Message]:
        first = min(
            (queue for queue in queues if queue),
            key=lambda queue: queue[0].index,
            default=self._shareable,
        )
        return self._take_shareable() if first is self._shareable else [first.popleft()]

    def _take_shareable(self) -> list[Message]:
        queue = self._shareable
        return [queue.popleft() for _ in range(min(len(queue), self.batch_size))]

    def take_probe(self, *, alone: bool, in_order: bool = False) -> list[Message]:
        """Return what SendX is tried with: something that is safe to repeat; none if none is.

        Args:
            alone: Whether it has to be a single message, if there is one.
            in_order: Whether it is the first; if not, it is what shares a request, if there is any.
        """
        if in_order:
            return self._take_first_of(self._shareable, self._alone)
        if self._shareable and not alone:
            return self._take_shareable()
        queue = self._alone or self._shareable
        return [queue.popleft()] if queue else []

    def take_once(self) -> list[Message]:
        """Return the next message that must not be sent twice; none if none is ready."""
        return [self._once.popleft()] if self._once else []

    def set_aside(self, message: Message) -> None:
        """Note that a message waits for its next try; `give_back` ends that."""
        if message.replay_safe:
            self._waiting.add(message)

    def give_back(self, messages: Iterable[Message]) -> None:
        """Take messages back that have to be sent again; others go first, lest they block them."""
        for message in messages:
            self._waiting.discard(message)
            self._queue_of(message).append(message)

    def finish(self, message: Message) -> None:
        """Forget a message, and let those that waited for it go on."""
        del self.unfinished[message.index]
        for contact in message.contacts:
            if self._latest.get(contact) is message:
                del self._latest[contact]
        for follower in message.followers or ():
            follower.waits_for -= 1
            if not follower.waits_for:
                self._queue_of(follower).append(follower)

    def _queue_of(self, message: Message) -> deque[Message]:
        if not message.replay_safe:
            return self._once
        return self._alone if message.is_alone else self._shareable
