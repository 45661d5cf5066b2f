"""The notes of a drainer: what it knows and has not written down, in memory only."""

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

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
        rows.note_delivered(connection, self.delivered, now=now, remember=remember)
        rows.note_failed(connection, self.failures, now=now)
        if self.unsent:
            rows.note_under_way(connection, list(self.unsent), drainer, is_under_way=False)


def nothing(_: sqlite3.Connection) -> None:
    """Write nothing else."""


@attrs.frozen
class Change:
    """What a drainer has written for it at one moment.

    Attributes:
        notes: What is known by then.
        place: Of a request that is about to be sent, and must not be sent twice; or None.
        write: Writes anything else, and returns what that gives.
    """

    notes: Notes
    place: int | None = None
    write: Callable[[sqlite3.Connection], Any] = nothing


def write_changes(
    connection: sqlite3.Connection, changes: Sequence[Change], drainer: str, *, remember: float
) -> list[Any]:
    """Write changes down, and return what each gives: whether its request is still there, if any.

    Args:
        connection: In a transaction.
        changes: In the order of the moments.
        drainer: What the drainer has written down as its own name.
        remember: Seconds for which the ids are remembered that callers gave.
    """
    results = [change.write(connection) for change in changes]
    together = Notes()
    is_under_way: dict[int, bool] = {}
    for change in changes:
        together.delivered += change.notes.delivered
        together.failures += change.notes.failures
        is_under_way.update(dict.fromkeys(change.notes.unsent, False))
        if change.place is not None:
            is_under_way[change.place] = True
    together.unsent.update(place for place, is_so in is_under_way.items() if not is_so)
    together.write(connection, drainer, remember=remember)
    places = [place for place, is_so in is_under_way.items() if is_so]
    are_all_there = not places or rows.note_under_way(
        connection, places, drainer, is_under_way=True
    )
    return [
        result
        if change.place is None
        else are_all_there or rows.are_there(connection, [change.place], drainer)
        for change, result in zip(changes, results, strict=True)
    ]
