"""How an outbox is, for people and for what alerts them."""

import sqlite3
import time

import attrs

from sendx_async.outbox import _statements as rows
from sendx_async.outbox._leader import has_drainer


@attrs.frozen(kw_only=True)
class OutboxStats:
    """How an outbox is.

    Attributes:
        pending: How many requests wait for their delivery.
        dead: How many were put aside because they can't succeed.
        uncertain: How many were put aside because they may have been applied, and must not be sent
            twice.
        oldest_age: Seconds since the first of those that wait was put, or None if none waits.
        is_draining: Whether any process drains it now.
        trouble: What keeps requests from being delivered, in words, or None.
    """

    __module__ = "sendx_async.outbox"

    pending: int
    dead: int
    uncertain: int
    oldest_age: float | None
    is_draining: bool
    trouble: str | None


def stats_of(connection: sqlite3.Connection, path: str) -> OutboxStats:
    """Count what is in an outbox, and tell its trouble."""
    pending, dead, uncertain, first = rows.count(connection)
    trouble, is_draining = rows.trouble(connection), has_drainer(path)
    if pending and not is_draining:
        trouble = "no process drains this outbox"
    return OutboxStats(
        pending=pending,
        dead=dead,
        uncertain=uncertain,
        oldest_age=None if first is None else max(0.0, time.time() - first),
        is_draining=is_draining,
        trouble=trouble,
    )
