"""What of the backlog may be sent when only what is safe to repeat may be."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sendx_async import CustomEventRequest, IdentifyRequest, OutboxError, TrackRequest
from sendx_async._core.models import AnyRequest
from sendx_async.outbox import Outbox
from sendx_async.outbox import _backlog as backlog


@pytest.fixture
def connection(path: Path, outbox: Outbox) -> Iterator[sqlite3.Connection]:
    """A connection to the file of the outbox."""
    outbox.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def track(name: str) -> AnyRequest:
    return TrackRequest(f"{name}@example.com", add_tags=["x"])


def event(name: str) -> AnyRequest:
    return CustomEventRequest(f"{name}@example.com", "signup")


class TestReadSafe:
    def test_the_first_that_are_safe_and_wait_for_nothing(
        self, outbox: Outbox, connection: sqlite3.Connection
    ) -> None:
        rename = IdentifyRequest("old@example.com", new_email="new@example.com")
        for request in (
            event("a"), track("a"), rename, track("old"), track("new"),  # 1 to 5
            IdentifyRequest("c@example.com", custom_fields={"Visits": "++1"}),  # 6
            track("b"), track("C"), track("B"), IdentifyRequest("d@example.com"), track("e"),
        ):  # fmt: skip
            outbox.put_sync(request)

        def found(**options: int | list[int]) -> list[int]:
            return [row.id for row in backlog.read_safe(connection, **{"most": 99, **options})]  # type: ignore[arg-type]

        assert found() == [7, 10, 11]
        assert found(most=2) == [7, 10]
        assert found(after=7) == [10, 11]
        connection.execute("UPDATE pending SET payload = '{' WHERE id = 11")  # it is damaged
        assert found() == [7, 10]
        connection.execute("DELETE FROM pending WHERE id IN (1, 3, 6)")
        assert found() == [2, 4, 5, 7, 8, 10]

    def test_one_that_a_later_version_has_put_is_told(
        self, outbox: Outbox, connection: sqlite3.Connection
    ) -> None:
        outbox.put_sync(track("a"))
        payload = json.dumps({"version": 2})
        connection.execute("UPDATE pending SET payload = ?", (payload,))
        with pytest.raises(OutboxError, match="reads forms up to 1: upgrade it"):
            backlog.read_safe(connection, most=1)


def test_what_only_a_later_version_can_read_ends_a_page(
    outbox: Outbox, connection: sqlite3.Connection
) -> None:
    for name in "abc":
        outbox.put_sync(track(name))
    payload = json.dumps({"version": 2})
    connection.execute("UPDATE pending SET payload = ? WHERE id = 2", (payload,))
    page = backlog.read(connection, after=0, most=99)
    assert ([row.id for row in page.rows], page.last) == ([1], 1)
    with pytest.raises(OutboxError, match="upgrade it"):
        backlog.read(connection, after=1, most=99)


def test_the_index_finds_what_is_to_be_read(connection: sqlite3.Connection) -> None:
    plans: list[str] = []

    def explain(statement: str) -> None:
        if statement.startswith("SELECT id"):
            rows = other.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            plans.append(" / ".join(row[-1] for row in rows))

    (path,) = [row[2] for row in connection.execute("PRAGMA database_list")]
    with closing(sqlite3.connect(path)) as other:
        connection.set_trace_callback(explain)
        backlog.read(connection, after=5, most=9, passing=[1, 2])
        backlog.read_contact(connection, 7, after=5, until=9, most=9)
        backlog.read_safe(connection, most=9)
    onward, of_contact, safe = plans
    assert onward.startswith("SEARCH pending USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
    assert "TEMP B-TREE" not in onward + of_contact + safe
    assert "SEARCH pending USING INDEX pending_contact (contact=? AND rowid>? AND row" in of_contact
    assert "USING INDEX pending_other_contact (other_contact=? AND rowid>? AND" in of_contact
    assert safe.startswith("SEARCH safe USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")
    assert "SEARCH pending USING COVERING INDEX pending_contact (contact=?)" in safe
    assert "USING COVERING INDEX pending_contact (contact=? AND rowid<?)" in safe
    assert "USING COVERING INDEX pending_other_contact (other_contact=? AND rowid<?)" in safe
    assert "SCAN pending" not in onward + of_contact + safe
