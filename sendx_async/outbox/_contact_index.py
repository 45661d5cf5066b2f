"""The contact index: whom each waiting request is about, to find what is about one at once."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import contacts_of
from sendx_async._core.protocol import is_replay_safe
from sendx_async._core.stored import from_stored

# By adding columns, for a new file as for one of the form 1. `failed` gets none: a process that
# has the form 1 open, and goes on, copies rows to it by their place among the columns.
_COLUMNS = (
    "ALTER TABLE pending ADD COLUMN contact INTEGER",  # NULL: nobody has looked whom it is about
    "ALTER TABLE pending ADD COLUMN other_contact INTEGER",  # the second one of a rename
    "ALTER TABLE pending ADD COLUMN is_safe INTEGER",  # 1 if it may be applied twice
)
_INDEXES = (
    "CREATE INDEX pending_contact ON pending(contact)",
    "CREATE INDEX pending_other_contact ON pending(other_contact) WHERE other_contact IS NOT NULL",
)
_ROWS_AT_A_TIME = 1000
# How the stored form of a request begins, up to its contact, if nothing in that is escaped.
_BEGINNING = re.compile(
    r'\{"version":1,"operation":"'
    r'(?:((?:identify|track)_contact)","request":\{"email'
    r'|(?:track_custom_event|track_revenue_event)","request":\{"identifier)'
    r'":"([^"\\]*)"'
)


class IndexKey(NamedTuple):
    """What a waiting request is found by.

    Attributes:
        contact: The hash of its contact.
        other_contact: That of the second contact of a rename; None if there is none.
        is_safe: Whether it may be applied twice.
    """

    contact: int
    other_contact: int | None
    is_safe: bool


def hash_of(contact: str) -> int:
    """Return what the index knows a contact by.

    It takes a third of an address's room, and is one place less where an address stands. That two
    contacts ever share one of 2**64 isn't to be expected; they would wait for each other.

    Args:
        contact: The address, case-folded.
    """
    digest = hashlib.blake2b(contact.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def key_of(request: AnyRequest) -> IndexKey:
    """Return what a request is found by."""
    contact, *others = map(hash_of, contacts_of(request))
    other = next((each for each in others if each != contact), None)
    return IndexKey(contact, other, is_replay_safe(request))


def key_of_stored(stored: str) -> IndexKey | None:
    """Return what a stored request is found by, or None if it can't be read."""
    beginning = _BEGINNING.match(stored)
    is_plain = '"newEmail"' not in stored and "++" not in stored and "--" not in stored
    if beginning and is_plain and stored.endswith("}}"):
        # A fifth of the time, for a million requests whose file is brought up to date.
        operation, contact = beginning.groups()
        return IndexKey(hash_of(contact.casefold()), None, operation is not None)
    request = request_if_readable(stored)
    return None if request is None else key_of(request)


def request_if_readable(stored: str) -> AnyRequest | None:
    """Return the stored request, or None if it can't be read here."""
    try:
        return from_stored(json.loads(stored))
    except Exception:  # noqa: BLE001 - damaged in whatever way, or of a later form
        return None


def add_index(connection: sqlite3.Connection) -> None:
    """Add the contact index to a file of the form 1; a million requests take ten seconds or more.

    Args:
        connection: In a transaction.
    """
    for statement in _COLUMNS:
        connection.execute(statement)
    last = 0
    while rows := connection.execute(
        "SELECT id, payload FROM pending WHERE id > ? ORDER BY id LIMIT ?", (last, _ROWS_AT_A_TIME)
    ).fetchall():
        keys = ((place, key_of_stored(stored)) for place, stored in rows)
        set_keys(connection, ((place, key) for place, key in keys if key is not None))
        last = rows[-1][0]
    for statement in _INDEXES:  # last, as making one at once is quicker than having it grow
        connection.execute(statement)


def set_keys(connection: sqlite3.Connection, keys: Iterable[tuple[int, IndexKey]]) -> None:
    """Note by what requests are found, that a process of an older version has put.

    Args:
        connection: In a transaction.
        keys: The places and the keys.
    """
    connection.executemany(
        "UPDATE pending SET contact = ?, other_contact = ?, is_safe = ? WHERE id = ?",
        ((*key, place) for place, key in keys),
    )


def find_indexed(connection: sqlite3.Connection, contact: str) -> list[int]:
    """Return the places in ``pending`` of what is about a contact, as far as the index knows it.

    Args:
        connection: The connection.
        contact: The address, case-folded.
    """
    rows = connection.execute(
        "SELECT id FROM pending WHERE contact = :contact UNION "
        "SELECT id FROM pending WHERE other_contact = :contact",
        {"contact": hash_of(contact)},
    )
    return [place for (place,) in rows]


def find_unindexed(
    connection: sqlite3.Connection, table: str, contact: str, *, after: int
) -> tuple[list[int], int]:
    """Look through what no index knows for what is about a contact.

    Args:
        connection: The connection.
        table: ``failed``, or ``pending`` for what a process of an older version has put.
        contact: The address, case-folded.
        after: The place behind which to look.

    Returns:
        The places that were found, and the last place there was.
    """
    (last,) = connection.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608 - ours
    unknown = "contact IS NULL AND " if table == "pending" else ""
    # Most are about others, and SQLite sees that in a twentieth of the time: the contact doesn't
    # stand in their text, and no character of it is written in another way.
    rows = connection.execute(
        f"SELECT id, payload FROM {table} WHERE {unknown}id > ? AND ("  # noqa: S608 - ours
        "instr(lower(payload), ?) OR instr(payload, '\\') "
        "OR length(payload) != length(CAST(payload AS BLOB)))",
        (after, contact),
    )
    places = [place for place, stored in rows if _is_about(stored, contact)]
    return places, last or after


def _is_about(stored: str, contact: str) -> bool:
    request = request_if_readable(stored)
    # In what can't be read, whoever is named in it counts.
    return contact in (contacts_of(request) if request is not None else stored.casefold())
