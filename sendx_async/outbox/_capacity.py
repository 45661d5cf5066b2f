"""How many requests may wait in an outbox, without counting them at each put."""

import math
import sqlite3

from sendx_async._core.errors import OutboxFullError

_SECONDS_OF_A_COUNT = 1.0


class Capacity:
    """Whether an outbox may hold one more, without asking it each time.

    A process learns what others have put with its own next put, so each may put one too many.

    Args:
        most: How many requests may wait.

    Attributes:
        last: The place of the latest request that is known of.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counted_at = -math.inf
        self._count = 0
        self._ceiling = 0  # as long as no place is above it, there surely is room
        self.last = 0

    @property
    def has_room(self) -> bool:
        """Whether there surely is room for one more; if not, `refresh` tells."""
        return self.last < self._ceiling

    def refresh(self, connection: sqlite3.Connection, path: str, *, now: float) -> None:
        """Look again, and count if need be.

        Raises:
            OutboxFullError: There is no room.
        """
        # Each by itself, or SQLite would read the whole table.
        first, self.last = connection.execute(
            "SELECT coalesce((SELECT min(id) FROM pending), 1), "
            "coalesce((SELECT max(id) FROM pending), 0)"
        ).fetchone()
        self._ceiling = first + self._most - 1
        if self.last < self._ceiling:
            return
        # Some in between may have been delivered. Counting takes long where there are many, so who
        # is refused over and over is so by the same count for a while.
        if now >= self._counted_at + _SECONDS_OF_A_COUNT:
            (self._count,) = connection.execute("SELECT count(*) FROM pending").fetchone()
            self._counted_at = now
        if self._count >= self._most:
            raise OutboxFullError(
                f"the outbox {path} holds {self._count} requests, and max_pending is {self._most}: "
                "this one was not stored; stats() tells what keeps them from being delivered"
            )
        self._ceiling = self.last + self._most - self._count
