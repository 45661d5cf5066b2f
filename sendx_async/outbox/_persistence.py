"""Persistence of a drainer: what a file refuses for the moment only is tried again."""

import math
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from sendx_async._core.errors import OutboxError
from sendx_async._runtime.real_time import monotonic

ResultT = TypeVar("ResultT")

_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_SECONDS_BETWEEN_TRIES = 0.25
_SECONDS_BEFORE_TELLING = 1.0


class Persistence:
    """Tries again what fails because others lock the file, or its disk is full or out of order.

    Whatever else is wrong, as with a file that was removed, does not pass by itself.

    Args:
        timeout: Seconds after which it gives up, from the first failure on; ``math.inf`` for never.
        tell: Called in the thread that tries: with the error when it has failed for a second, and
            with None when it succeeds after that.
    """

    def __init__(self, timeout: float, tell: Callable[[OutboxError | None], object]) -> None:
        self._timeout = timeout
        self._tell = tell
        self._failing_since: float | None = None
        self._has_told = False
        self._ends = math.inf

    def hurry(self, seconds: float) -> None:
        """Give up after so many seconds from now at the latest."""
        self._ends = monotonic() + seconds

    def run(self, function: Callable[[], ResultT]) -> ResultT:
        """Return what a function returns, in a thread that may be kept waiting.

        Raises:
            OutboxError: It fails for a reason that doesn't pass, or for too long.
        """
        while True:
            try:
                result = function()
            except OutboxError as error:
                code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF  # the kind of error
                now = monotonic()
                since = self._failing_since = self._failing_since or now
                if code not in _PASSING or now >= min(since + self._timeout, self._ends):
                    raise
                if now > since + _SECONDS_BEFORE_TELLING and not self._has_told:
                    self._has_told = True
                    self._tell(error)
                if code != sqlite3.SQLITE_BUSY:  # that has taken its time
                    time.sleep(_SECONDS_BETWEEN_TRIES)
            else:
                self._failing_since = None
                if self._has_told:
                    self._has_told = False
                    self._tell(None)
                return result
