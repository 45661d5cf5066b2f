"""The notes of a drainer: what it knows and has not written down, in memory only."""

import sqlite3
import time
from collections.abc import Collection

import attrs

from sendx_async.outbox import _statements as rows


@attrs.define
class Notes:
    """What is known of requests and doesn't stand in the file yet.

    Attributes:
        delivered: Those that SendX has.
        failures: Those that have failed for good.
        unsent: The places of those that were noted as under way, and were certainly not applied.
    """

    delivered: list[rows.Row] = attrs.field(factory=list[rows.Row])
    failures: list[rows.Failure] = attrs.field(factory=list[rows.Failure])
    unsent: set[int] = attrs.field(factory=set[int])

    def __bool__(self) -> bool:
        return bool(self.delivered or self.failures or self.unsent)

    def take(self) -> "Notes":
        """Take all out, to be written."""
        taken = Notes(self.delivered, self.failures, self.unsent)
        self.delivered, self.failures, self.unsent = [], [], set()
        return taken

    def give_back(self, taken: "Notes", under_way: Collection[int]) -> None:
        """Take back what could not be written.

        Args:
            taken: What was taken out.
            under_way: The places of what is being sent again meanwhile.
        """
        self.delivered += taken.delivered
        self.failures += taken.failures
        self.unsent |= taken.unsent.difference(under_way)

    def write(self, connection: sqlite3.Connection, drainer: str, *, remember: float) -> None:
        """Write all down.

        Args:
            connection: In a transaction.
            drainer: What the drainer has written down as its own name.
            remember: Seconds for which the ids are remembered that callers gave.
        """
        now = time.time()
        if self.delivered:
            rows.note_delivered(connection, self.delivered, now=now, remember=remember)
        rows.note_failed(connection, self.failures, now=now)
        for place in self.unsent:
            rows.note_under_way(connection, place, drainer, is_under_way=False)
