"""Whether an outbox's file is an older copy of itself: a small file beside it remembers more.

Whoever puts a backup back would have sent again what was delivered since it was made.
"""

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from sendx_async._core.errors import OutboxError
from sendx_async.outbox._statements import name_of

# With NORMAL a loss of power may take back what was recorded just before.
_SECONDS_THAT_MAY_BE_LOST = 300.0


def note_recorded(connection: sqlite3.Connection, *, now: float) -> str:
    """Note in the file when outcomes were recorded; return what `remember` is to remember.

    Args:
        connection: In the transaction that records them.
        now: Unix seconds.
    """
    recorded = f"{now:.6f}"  # of one length, and the same number in both places
    connection.execute("INSERT OR REPLACE INTO about VALUES('recorded_at', ?)", (float(recorded),))
    return f"{name_of(connection)} {recorded}\n"


def remember(path: str, recorded: str) -> None:
    """Remember beside the file what was recorded in it; if that fails it is no older copy.

    Args:
        path: The outbox's file.
        recorded: What `note_recorded` returned, once that is committed.
    """
    with contextlib.suppress(OSError):
        file = os.open(_beside(path), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(file, recorded.encode())
        finally:
            os.close(file)


def refuse_older_copy(connection: sqlite3.Connection, path: str) -> None:
    """See whether outcomes were recorded that the file doesn't know of.

    Raises:
        OutboxError: They were, so what was delivered then would be sent again.
    """
    name, remembered = _remembered(path)
    found = connection.execute("SELECT value FROM about WHERE name = 'recorded_at'").fetchone()
    recorded = found[0] if found else 0.0
    if name == name_of(connection) and remembered > recorded + _SECONDS_THAT_MAY_BE_LOST:
        since = f"since {_shown(recorded)}" if found else "before"
        raise OutboxError(
            f"the outbox {path} is an older copy: up to {_shown(remembered)} deliveries were "
            f"recorded that it doesn't know of, and what was delivered {since} would be sent "
            f"again. Put the newer file back; or, to send it again, delete {_beside(path)}"
        )


def _remembered(path: str) -> tuple[str, float]:
    try:
        name, seconds = Path(_beside(path)).read_text(encoding="ascii").split()
        return name, float(seconds)
    except (OSError, ValueError):  # there is none, or it was cut off
        return "", 0.0


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes")


def _beside(path: str) -> str:
    return f"{path}-recorded"
