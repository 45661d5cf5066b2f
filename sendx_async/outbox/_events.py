"""What an outbox tells of its deliveries, to ``on_event`` and to the log: no address, no key."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

import attrs

logger = logging.getLogger("sendx_async")

OutboxEventKind = Literal["draining", "stopped", "paused", "resumed", "halted", "dead", "uncertain"]
_LEVELS = {
    "draining": logging.INFO,
    "stopped": logging.INFO,
    "paused": logging.WARNING,
    "resumed": logging.WARNING,  # as loud as the pause, lest people wait for the end of it
    "halted": logging.ERROR,
    "dead": logging.WARNING,
    "uncertain": logging.WARNING,
}


@attrs.frozen(kw_only=True)
class OutboxEvent:
    """Something that happened while an outbox was drained. It never holds an address or the key.

    Attributes:
        kind: ``"draining"``, when this process has become the drainer, and ``"stopped"``, when it
            is so no more; ``"paused"``, each time SendX can't be reached, is down or asks to slow
            down, or the file can't be written for longer than a second, and ``"resumed"``, when
            that is over; ``"halted"``, when nothing can be sent before somebody acts, such as when
            the key isn't accepted; ``"dead"`` and ``"uncertain"``, when a delivery was put aside.
        path: The outbox's file.
        delivery_id: Of the delivery that was put aside, else None.
        operation: The client's method for it, else None.
        error: What went wrong, as the name of the error's class and its text, or None.
        delay: Seconds until SendX is tried again, when everything pauses for it, else None.
    """

    __module__ = "sendx_async.outbox"

    kind: OutboxEventKind
    path: str
    delivery_id: str | None = None
    operation: str | None = None
    error: str | None = None
    delay: float | None = None


def tell(listener: Callable[[OutboxEvent], object] | None, event: OutboxEvent) -> None:
    """Log an event and hand it to the listener; a listener that raises stops no delivery."""
    how = "all is kept and tried again in" if event.kind == "halted" else "for"
    wait = None if event.delay is None else f"{how} {event.delay:.1f} s"
    about = ", ".join(
        filter(None, (event.kind, wait, event.operation, event.delivery_id, event.error))
    )
    # Without a handler of the application's the text is all that is written.
    logger.log(_LEVELS[event.kind], "SendX outbox %s: %s", event.path, about)
    if listener is not None:
        try:
            listener(event)
        except (Exception, asyncio.CancelledError):  # as of a task whose result it has asked for
            logger.exception("on_event of the outbox raised; draining goes on")
