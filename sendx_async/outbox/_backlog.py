"""The backlog of an outbox: what is to be sent next, of all contacts, of one, or in an outage."""

import json
import sqlite3
from collections.abc import Collection
from typing import Any

import attrs

from sendx_async.outbox._contact_index import key_of, set_keys
from sendx_async.outbox._schema import in_transaction
from sendx_async.outbox._statements import COLUMNS, Row, readable


@attrs.frozen
class Page:
    """What was found where somebody has looked.

    Attributes:
        rows: The requests, in the order in which they were put.
        last: The place up to which everything was looked at.
    """

    rows: list[Row]
    last: int


def read(
    connection: sqlite3.Connection, *, after: int, most: int, passing: Collection[int] = ()
) -> Page:
    """Return the requests behind a place, but for those about some contacts.

    Renames are returned all the same: passing one over concerns its other contact, too.

    Args:
        connection: Not in a transaction.
        after: The place.
        most: How many at most.
        passing: The hashes of the contacts.
    """
    (top,) = connection.execute("SELECT coalesce(max(id), 0) FROM pending").fetchone()
    return _page(
        connection,
        f"SELECT {COLUMNS} FROM pending WHERE id > :after AND id <= :until "  # noqa: S608 - ours
        "AND (contact IS NULL OR other_contact IS NOT NULL "
        "OR contact NOT IN (SELECT value FROM json_each(:passing))) ORDER BY id LIMIT :most",
        {"after": after, "until": max(after, top), "most": most, "passing": _json(passing)},
    )


def read_contact(
    connection: sqlite3.Connection, contact: int, *, after: int, until: int, most: int
) -> Page:
    """Return the requests about a contact between two places.

    Args:
        connection: Not in a transaction.
        contact: The hash of the contact.
        after: The place before the first.
        until: The place of the last.
        most: How many at most.
    """
    one = "SELECT {0} FROM pending WHERE {1} = :contact AND id > :after AND id <= :until"
    return _page(
        connection,
        f"{one.format(COLUMNS, 'contact')} UNION ALL {one.format(COLUMNS, 'other_contact')} "
        "ORDER BY id LIMIT :most",
        {"after": after, "until": until, "most": most, "contact": contact},
    )


def _page(connection: sqlite3.Connection, query: str, values: dict[str, Any]) -> Page:
    found = connection.execute(query, values).fetchall()
    rows = readable(connection, found)
    unknown = [row for row in rows if not row.is_indexed]
    if unknown:
        # Of a process of an older version. Who passes them over now finds them by this later.
        keys = [(row.id, key_of(row.request)) for row in unknown if row.request is not None]
        in_transaction(connection, lambda: set_keys(connection, keys))
    is_all = len(rows) == len(found) < values["most"]
    return Page(rows, values["until"] if is_all else rows[-1].id)


def read_safe(connection: sqlite3.Connection, *, most: int, after: int = 0) -> list[Row]:
    """Return the first requests that may be applied twice and have to wait for no other one.

    Those are looked at one by one that wait behind the place: 300,000 take a tenth of a second.

    Args:
        connection: The connection.
        most: How many at most.
        after: The place behind which to look.
    """
    found = connection.execute(
        f"SELECT {COLUMNS} FROM pending AS safe WHERE id > :after AND is_safe = 1 "  # noqa: S608 - ours
        # It is not known whom such a one is about, so whatever is behind it may have to wait.
        "AND id < (SELECT coalesce(min(id), 1 << 62) FROM pending WHERE contact IS NULL) "
        "AND NOT EXISTS "
        "(SELECT 1 FROM pending WHERE contact = safe.contact AND id < safe.id) AND NOT EXISTS "
        "(SELECT 1 FROM pending WHERE other_contact = safe.contact AND id < safe.id) "
        "ORDER BY id LIMIT :most",
        {"after": after, "most": most},
    ).fetchall()
    return [row for row in readable(connection, found) if row.request is not None]


def _json(places: Collection[int]) -> str:
    return json.dumps(list(places))
