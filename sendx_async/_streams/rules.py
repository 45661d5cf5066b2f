"""By which rules requests are sent: those of a stream that somebody reads, or of an outbox."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import attrs

from sendx_async._core.errors import SendXError
from sendx_async._core.events import Event, tell
from sendx_async._core.models import AnyRequest
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.ordering import Message

_SECONDS_TO_FINISH = 1.0
_SECONDS_TO_FINISH_AN_OUTBOX = 30.0  # a request that is cut off may have to be put aside
# The outcomes of an outbox are always taken. It reads few of one contact ahead, so that it takes a
# hundred contacts with much to be sent, one after the other, to fill this and so hold up others.
_MOST_READ_FROM_AN_OUTBOX = 2000


class DeliveryStore(Protocol):
    """Where requests are stored until they are delivered; nobody waits for them.

    Attributes:
        retry: The longest waits, and how often a request may fail while others succeed.
    """

    @property
    def retry(self) -> RetryPolicy: ...

    @property
    def seconds_since_uncertain(self) -> float:
        """Return the seconds since a request became uncertain; ``math.inf`` if none did."""
        ...

    async def find_probe(self) -> AnyRequest | None:
        """Return a stored request that is safe to repeat, the first about its contact, or None."""
        ...

    async def before_attempt(self, messages: Sequence[Message]) -> None:
        """Note that these messages are about to be sent; what it raises ends everything.

        A message with the index `PROBE` holds the request that was found last.
        """
        ...

    def note_unsent(self, messages: Sequence[Message]) -> None:
        """Note that these messages are kept, since SendX has certainly not applied them."""
        ...

    def note_event(self, event: Event, error: SendXError | None) -> None:
        """Note that everything pauses because of an error, or goes on."""
        ...


@attrs.frozen(kw_only=True)
class DispatchRules:
    """By which rules the requests of a source are sent.

    Attributes:
        name: What events and errors call it.
        retry: The longest waits, and how often one request may fail while others succeed.
        concurrency: How many requests may be under way at once.
        batch_size: How many contacts may share a request.
        patience: Seconds that an outage may last.
        most_read: How many requests may be read whose outcome was not taken.
        seconds_to_finish: How long what is under way may take when something ends everything.
        is_outbox: Whether the requests are stored, so that nobody waits for them.
        seconds_since_uncertain: Seconds since a stored request became uncertain.
        find_probe: Returns a stored request that is safe to repeat, or None.
        note_event: Called when everything pauses because of an error, and when it goes on.
        note_unsent: Called with messages that are kept, as SendX has certainly not applied them.
    """

    name: str
    retry: RetryPolicy
    concurrency: int
    batch_size: int
    patience: float
    most_read: int
    seconds_to_finish: float
    is_outbox: bool
    seconds_since_uncertain: float
    find_probe: Callable[[], Awaitable[AnyRequest | None]]
    note_event: Callable[[Event, SendXError | None], object]
    note_unsent: Callable[[Sequence[Message]], object]


async def _find_nothing() -> None:
    """Find no probe: nothing is stored."""


def make_rules(
    *,
    retry: RetryPolicy,
    on_event: Callable[[Event], object] | None,
    concurrency: int,
    batch_size: int,
    patience: float,
    outbox: DeliveryStore | None,
) -> DispatchRules:
    """Return the rules of a stream, or those of an outbox if there is one."""
    rules = DispatchRules(
        name="send_many",
        retry=retry,
        concurrency=concurrency,
        batch_size=batch_size,
        patience=patience,
        # Enough to fill every request while the one before it is under way.
        most_read=2 * concurrency * batch_size,
        seconds_to_finish=_SECONDS_TO_FINISH,
        is_outbox=False,
        seconds_since_uncertain=math.inf,
        find_probe=_find_nothing,
        note_event=lambda event, _error: tell(on_event, event),
        note_unsent=lambda _messages: None,
    )
    if outbox is None:
        return rules
    return attrs.evolve(
        rules,
        name="outbox",
        most_read=max(rules.most_read, _MOST_READ_FROM_AN_OUTBOX),
        seconds_to_finish=_SECONDS_TO_FINISH_AN_OUTBOX,
        is_outbox=True,
        seconds_since_uncertain=outbox.seconds_since_uncertain,
        find_probe=outbox.find_probe,
        note_event=outbox.note_event,
        note_unsent=outbox.note_unsent,
    )
