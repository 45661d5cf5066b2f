"""What waits in an outbox's file, and every statement that reads or changes it."""

import json
import math
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs

from sendx_async._core.errors import InvalidRequestError, OutboxError
from sendx_async._core.models import AnyRequest
from sendx_async._core.stored import from_stored
from sendx_async._runtime.real_time import monotonic
from sendx_async.outbox._capacity import Capacity
from sendx_async.outbox._contact_index import key_of
from sendx_async.outbox._entry import Entry

FailureKind = Literal["dead", "uncertain"]
# Of ``pending``, what `readable` takes.
COLUMNS = "id, given_id, payload, contact, other_contact"
_ROWS_IN_A_STATEMENT = 500  # older SQLites take up to 999 values


@attrs.frozen
class Row:
    """A request that waits for its delivery.

    Attributes:
        id: Its place.
        delivery_id: What its caller knows it by.
        has_given_id: Whether that is an id of the caller's own.
        request: The request; None if what is stored can't be read.
        error: Why it can't.
        contacts: The hashes of whom it is about; none if what is stored can't be read.
        is_indexed: Whether the contact index knows that.
    """

    id: int
    delivery_id: str
    has_given_id: bool
    request: AnyRequest | None
    error: InvalidRequestError | None = None
    contacts: tuple[int, ...] = ()
    is_indexed: bool = True


@attrs.frozen
class Failure:
    """A delivery that has failed for good."""

    row: Row
    kind: FailureKind
    error: str
    attempts: int


def insert(connection: sqlite3.Connection, entry: Entry, capacity: Capacity, path: str) -> str:
    """Store a request, unless its id was used before, and return its delivery id.

    With a given id it needs a transaction around it.

    Raises:
        InvalidRequestError: The id was given to another request.
        OutboxFullError: There is no room.
    """
    if entry.given_id is not None:
        _refuse_made_up(entry.given_id, name_of(connection))
        if _is_known(connection, entry.given_id, entry.digest):
            return entry.given_id
    if not capacity.has_room:
        capacity.refresh(connection, path, now=monotonic())
    done = connection.execute(
        "INSERT INTO pending(put_at, payload, given_id, digest, contact, other_contact, is_safe) "
        "VALUES(?, ?, ?, ?, ?, ?, ?)",
        (entry.put_at, entry.stored_request, entry.given_id, entry.digest, *entry.key),
    )
    capacity.last = done.lastrowid or 0
    return entry.given_id or str(done.lastrowid)


def _refuse_made_up(given_id: str, name: str) -> None:
    if given_id.startswith(f"{name}-"):
        raise InvalidRequestError.of(
            "put",
            ["delivery_id looks like one that this outbox has made up: give one of your own"],
        )


def _is_known(connection: sqlite3.Connection, given_id: str, digest: bytes | None) -> bool:
    found = connection.execute(
        "SELECT digest FROM pending WHERE given_id = :id UNION ALL "
        "SELECT digest FROM failed WHERE given_id = :id UNION ALL "
        "SELECT digest FROM delivered WHERE given_id = :id",
        {"id": given_id},
    ).fetchone()
    if found is not None and found[0] != digest:
        raise InvalidRequestError.of(
            "put",
            ["delivery_id was given to another request before: give each request its own"],
        )
    return found is not None


def name_of(connection: sqlite3.Connection) -> str:
    """Return what tells this outbox's delivery ids from those of others."""
    name: str = _about(connection, "name")
    return name


def interrupted(connection: sqlite3.Connection) -> list[Row]:
    """Return the requests that were under way when the last drainer came to its end."""
    return readable(
        connection,
        connection.execute(
            f"SELECT {COLUMNS} FROM pending WHERE is_under_way = 1 ORDER BY id"  # noqa: S608 - ours
        ).fetchall(),
    )


def seconds_since_uncertain(connection: sqlite3.Connection, *, but_for: str, now: float) -> float:
    """Return the seconds since a request became uncertain; ``math.inf`` if none did.

    Args:
        connection: The connection.
        but_for: The error of those that don't count.
        now: Unix seconds.
    """
    (at,) = connection.execute(
        "SELECT max(failed_at) FROM failed WHERE kind = 'uncertain' AND error <> ?", (but_for,)
    ).fetchone()
    return math.inf if at is None else max(0.0, now - at)


def readable(connection: sqlite3.Connection, found: Iterable[tuple[Any, ...]]) -> list[Row]:
    """Make rows of what was found, up to the first that only a later version can read.

    Raises:
        OutboxError: That is the first one.
    """
    prefix = f"{name_of(connection)}-"
    rows: list[Row] = []
    for place, given_id, stored, contact, other in found:
        try:
            request, error = _request_of(stored)
        except OutboxError:
            if not rows:
                raise
            break  # what stands before it can be sent, at least
        contacts = (contact, other)
        if contact is None and request is not None:
            contacts = key_of(request)[:2]
        rows.append(
            Row(
                place,
                given_id or f"{prefix}{place}",
                given_id is not None,
                request,
                error,
                tuple(each for each in contacts if each is not None),
                is_indexed=contact is not None or request is None,
            )
        )
    return rows


def _request_of(stored: str) -> tuple[AnyRequest | None, InvalidRequestError | None]:
    try:
        return from_stored(json.loads(stored)), None
    except InvalidRequestError as error:
        return None, error
    except OutboxError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it stands in nobody's way
        problem = f"can't be read: {type(error).__name__}"
        return None, InvalidRequestError.of("stored request", [problem])


def note_under_way(
    connection: sqlite3.Connection, places: Sequence[int], drainer: str, *, is_under_way: bool
) -> bool:
    """Note that requests are about to be sent that must not be sent twice, or that they were not.

    It does nothing if another one has become the drainer; tells whether all were still there.
    """
    marks = ", ".join("?" * len(places))
    done = connection.execute(
        f"UPDATE pending SET is_under_way = ? WHERE id IN ({marks}) "  # noqa: S608 - marks only
        "AND (SELECT value FROM about WHERE name = 'drainer') = ?",
        (1 if is_under_way else None, *places, drainer),
    )
    return done.rowcount == len(places)


def are_there(connection: sqlite3.Connection, places: Sequence[int], drainer: str) -> bool:
    """Return whether requests are still to be delivered, by this drainer.

    Args:
        connection: The connection.
        places: Where they are.
        drainer: What the drainer has written down as its own name.
    """
    marks = ", ".join("?" * len(places))
    (count,) = connection.execute(
        f"SELECT count(*) FROM pending WHERE id IN ({marks}) "  # noqa: S608 - marks only
        "AND (SELECT value FROM about WHERE name = 'drainer') = ?",
        (*places, drainer),
    ).fetchone()
    return bool(count == len(places))


def note_drainer(connection: sqlite3.Connection, drainer: str) -> None:
    """Write down who drains, so that nobody else who believes to do so goes on."""
    connection.execute("INSERT OR REPLACE INTO about VALUES('drainer', ?)", (drainer,))


def note_delivered(
    connection: sqlite3.Connection, rows: Sequence[Row], *, now: float, remember: float
) -> None:
    """Forget requests that were delivered, but for the ids that their callers gave.

    Args:
        connection: In a transaction.
        rows: Which ones.
        now: The time.
        remember: Seconds for which the ids are remembered.
    """
    given = [row for row in rows if row.has_given_id]
    if given:
        moment = forget_delivered(connection, now=now, remember=remember)
        connection.executemany(
            "INSERT OR REPLACE INTO delivered SELECT given_id, digest, ? FROM pending WHERE id = ?",
            [(moment, row.id) for row in given],
        )
    # Few statements: between two of them another thread may take its time.
    for first in range(0, len(rows), _ROWS_IN_A_STATEMENT):
        places = [row.id for row in rows[first : first + _ROWS_IN_A_STATEMENT]]
        marks = ", ".join("?" * len(places))
        connection.execute(f"DELETE FROM pending WHERE id IN ({marks})", places)  # noqa: S608 - marks only


def forget_delivered(connection: sqlite3.Connection, *, now: float, remember: float) -> float:
    """Forget the ids that are old enough; return the time of the file, by which they age.

    It goes on with the clock, though never back, and by a seventh of `remember` at a time: else a
    clock that jumps ahead would make all of them old at once.
    """
    before, seen = _about(connection, "clock"), _about(connection, "clock_seen")
    moment: float = now
    if before is not None:
        moment = before + min(max(0.0, now - seen), max(1.0, remember / 7))
    connection.execute(
        "INSERT OR REPLACE INTO about VALUES('clock', ?), ('clock_seen', ?)", (moment, now)
    )
    connection.execute("DELETE FROM delivered WHERE at < ?", (moment - remember,))
    return moment


def note_failed(connection: sqlite3.Connection, failures: Iterable[Failure], *, now: float) -> None:
    """Put requests aside that have failed for good."""
    for failure in failures:
        connection.execute(
            "INSERT INTO failed "
            "SELECT id, ?, put_at, ?, ?, ?, payload, given_id, digest FROM pending WHERE id = ?",
            (failure.kind, now, failure.attempts, failure.error, failure.row.id),
        )
        connection.execute("DELETE FROM pending WHERE id = ?", (failure.row.id,))


def delete(connection: sqlite3.Connection, table: str, places: Iterable[int]) -> int:
    """Throw rows away; return how many there still were.

    Args:
        connection: In a transaction.
        table: ``pending`` or ``failed``.
        places: Which ones.
    """
    statement = f"DELETE FROM {table} WHERE id = ?"  # noqa: S608 - ours
    return connection.executemany(statement, [(place,) for place in places]).rowcount


def note_trouble(connection: sqlite3.Connection, trouble: str | None) -> None:
    """Keep what the drainer can't get over by itself, for whoever looks; None if all is well."""
    connection.execute("INSERT OR REPLACE INTO about VALUES('trouble', ?)", (trouble,))


def trouble(connection: sqlite3.Connection) -> str | None:
    """Return what the drainer noted."""
    noted: str | None = _about(connection, "trouble")
    return noted


def try_to_write(connection: sqlite3.Connection) -> None:
    """Change what means nothing, which shows whether anything can be changed.

    Raises:
        sqlite3.Error: It can't.
    """
    connection.execute("INSERT OR REPLACE INTO about VALUES('tried', ?)", (time.time(),))


def version(connection: sqlite3.Connection) -> int:
    """Return a number that is another one when others have changed anything."""
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return int(number)


def _about(connection: sqlite3.Connection, name: str) -> Any:
    found = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return None if found is None else found[0]


def count(connection: sqlite3.Connection) -> tuple[int, int, int, float | None]:
    """Count what waits, is dead and is uncertain, and tell when the first that waits was put."""
    (pending,) = connection.execute("SELECT count(*) FROM pending").fetchone()
    kinds = dict(connection.execute("SELECT kind, count(*) FROM failed GROUP BY kind").fetchall())
    first = connection.execute("SELECT put_at FROM pending ORDER BY id LIMIT 1").fetchone()
    return pending, kinds.get("dead", 0), kinds.get("uncertain", 0), first and first[0]
