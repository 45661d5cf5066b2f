"""The dead letters: what could not be delivered, put aside for people to look at."""

import sqlite3
from collections.abc import Iterable, Sequence

import attrs

from sendx_async._core.errors import OutboxError
from sendx_async._core.models import AnyRequest
from sendx_async.outbox._contact_index import key_of_stored, request_if_readable, set_keys
from sendx_async.outbox._statements import FailureKind, name_of

_LONGEST_NUMBER = 19  # digits, of a place


@attrs.frozen(kw_only=True)
class FailedDelivery:
    """A delivery that was put aside, for people to look at.

    Attributes:
        delivery_id: What `Outbox.put` gave for it.
        kind: ``"dead"`` if SendX refused it, or kept failing at it while others succeeded;
            ``"uncertain"`` if it may have been applied, and must not be sent twice.
        request: The request, or None if what is stored can't be read.
        error: The error's kind and text, with SendX's own words.
        attempts: How often it was sent, or tried to be.
        put_at: When it was put, in Unix seconds.
        failed_at: When it was put aside, in Unix seconds.
    """

    __module__ = "sendx_async.outbox"

    delivery_id: str
    kind: FailureKind
    request: AnyRequest | None
    error: str
    attempts: int
    put_at: float
    failed_at: float


def listed(
    connection: sqlite3.Connection, kind: FailureKind | None, most: int
) -> list[FailedDelivery]:
    """Return what was put aside, latest first."""
    prefix = f"{name_of(connection)}-"
    rows = connection.execute(
        "SELECT coalesce(given_id, ? || id), kind, payload, error, attempts, put_at, failed_at "
        "FROM failed WHERE ? IS NULL OR kind = ? ORDER BY failed_at DESC, id DESC LIMIT ?",
        (prefix, kind, kind, most),
    )
    return [
        FailedDelivery(
            delivery_id=delivery_id,
            kind=found,
            request=request_if_readable(stored),
            error=error,
            attempts=attempts,
            put_at=put_at,
            failed_at=failed_at,
        )
        for delivery_id, found, stored, error, attempts, put_at, failed_at in rows
    ]


def find(
    connection: sqlite3.Connection, delivery_ids: Sequence[str] | None, kinds: Sequence[FailureKind]
) -> list[int]:
    """Return the places of what was put aside: those with these ids, or all of these kinds.

    Raises:
        OutboxError: There is none with one of the ids.
    """
    if delivery_ids is None:
        marks = ", ".join("?" * len(kinds))
        rows = connection.execute(
            f"SELECT id FROM failed WHERE kind IN ({marks}) ORDER BY id",  # noqa: S608 - marks only
            kinds,
        )
        return [place for (place,) in rows]
    prefix = f"{name_of(connection)}-"
    places: list[int] = []
    for delivery_id in delivery_ids:
        number = delivery_id.removeprefix(prefix)
        is_own = number != delivery_id and len(number) < _LONGEST_NUMBER
        is_own = is_own and number.isascii() and number.isdecimal()
        # What can't be printed is no id, and may be nothing that SQLite takes.
        found = (
            delivery_id.isprintable()
            and connection.execute(
                "SELECT id FROM failed WHERE given_id = ? OR (given_id IS NULL AND id = ?)",
                (delivery_id, int(number) if is_own else None),
            ).fetchone()
        )
        if not found:
            raise OutboxError(f"the outbox holds no dead or uncertain delivery {delivery_id!r}")
        places.append(found[0])
    return sorted(set(places))


def put_back(connection: sqlite3.Connection, places: Iterable[int]) -> None:
    """Put what was put aside behind all that waits; it keeps its delivery id."""
    prefix = f"{name_of(connection)}-"
    for place in places:
        done = connection.execute(
            "INSERT INTO pending(put_at, payload, given_id, digest) "
            "SELECT put_at, payload, coalesce(given_id, ? || id), digest FROM failed WHERE id = ?",
            (prefix, place),
        )
        (stored,) = connection.execute(
            "SELECT payload FROM failed WHERE id = ?", (place,)
        ).fetchone()
        key = key_of_stored(stored)
        if key is not None:
            set_keys(connection, [(done.lastrowid or 0, key)])
        connection.execute("DELETE FROM failed WHERE id = ?", (place,))
