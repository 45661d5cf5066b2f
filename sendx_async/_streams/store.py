"""What a dispatcher asks and tells of where its requests are stored, if they are."""

from collections.abc import Sequence
from typing import Protocol

from sendx_async._core.errors import SendXError
from sendx_async._core.events import Event
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.ordering import Message


class DeliveryStore(Protocol):
    """Where requests are stored until they are delivered; nobody waits for them.

    Attributes:
        retry: The longest waits, and how often a request may fail while others succeed.
    """

    @property
    def retry(self) -> RetryPolicy: ...

    async def before_attempt(self, messages: Sequence[Message]) -> None:
        """Note that these messages are about to be sent; what it raises ends everything."""
        ...

    def note_unsent(self, messages: Sequence[Message]) -> None:
        """Note that these messages are kept, since SendX has certainly not applied them."""
        ...

    def note_event(self, event: Event, error: SendXError | None) -> None:
        """Note that everything pauses because of an error, or goes on."""
        ...
