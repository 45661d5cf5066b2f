"""Files of the form 1: they are brought up to date when opened, and older processes go on."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    RetryPolicy,
    RevenueEventRequest,
    TrackRequest,
)
from sendx_async._core.models import AnyRequest
from sendx_async._core.stored import to_stored
from sendx_async.outbox import Outbox, _schema
from sendx_async.outbox import _backlog as backlog
from sendx_async.outbox._contact_index import hash_of, key_of, key_of_stored
from sendx_async.testing import FakeSendX

from .waiting import drain

# Made by the last version that made files of this form: requests of every kind wait, one of them
# damaged; one is dead, one uncertain, and one was delivered.
FORM_1 = Path(__file__).parent / "files" / "form_1.sql"
OLD_PUT = "INSERT INTO pending(put_at, payload, given_id, digest) VALUES(?, ?, ?, ?)"
OLD_FAIL = (
    "INSERT INTO failed "
    "SELECT id, ?, put_at, ?, ?, ?, payload, given_id, digest FROM pending WHERE id = ?"
)
QUICK = RetryPolicy(2, base=0.001, cap=0.01)
MakeClient = Callable[..., AsyncTrackingClient]


@pytest.fixture
def old(path: Path) -> Iterator[sqlite3.Connection]:
    """The connection of an older process to a file that it has made."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(FORM_1.read_text())
    yield connection
    connection.close()


def form_of(connection: sqlite3.Connection) -> object:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def put(connection: sqlite3.Connection, request: AnyRequest) -> None:
    """Put as the older version does."""
    connection.execute(OLD_PUT, (0.0, json.dumps(to_stored(request)), None, None))


def sent(fake: FakeSendX) -> list[tuple[str, str]]:
    """What was sent about whom, each contact's in order."""
    found = [
        (request.path.rpartition("/")[2], each.get("email", each.get("identifier", "")).casefold())
        for request in fake.requests
        for each in (request.json if isinstance(request.json, list) else [request.json])
    ]
    single = [(kind.replace("bulk", "identify"), contact) for kind, contact in found]
    return sorted(single, key=lambda each: each[1])


class TestOpening:
    def test_everything_in_it_is_indexed(self, path: Path, old: sqlite3.Connection) -> None:
        with Outbox(path):
            pass
        assert form_of(old) == 2
        rows = old.execute(
            "SELECT id, payload, contact, other_contact, is_safe FROM pending"
        ).fetchall()
        assert len(rows) == 10
        jane, smith = hash_of("jane@example.com"), hash_of("jane.smith@example.com")
        keys = {place: (*key,) for place, _, *key in rows}
        assert keys == {
            3: (jane, None, 1),
            4: (jane, None, 1),
            5: (jane, None, 0),
            6: (jane, None, 0),
            7: (jane, smith, 0),
            8: (smith, None, 1),
            9: (hash_of("müller@example.com"), None, 0),
            10: (hash_of(""), None, 1),
            11: (None, None, None),
            12: (hash_of("joe@example.com"), None, 1),
        }
        assert old.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    def test_it_has_the_form_of_a_new_file(self, path: Path, old: sqlite3.Connection) -> None:
        new = path.with_name("new.db")
        for each in (path, new):
            with Outbox(each):
                pass
        with sqlite3.connect(new) as connection:
            schema = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
            assert old.execute(schema).fetchall() == connection.execute(schema).fetchall()
        connection.close()

    def test_two_may_open_it_at_once(
        self, path: Path, old: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upgrade = _schema._upgrade

        def let_another_be_first(connection: sqlite3.Connection) -> None:
            connection.execute("ROLLBACK")
            monkeypatch.setattr(_schema, "_upgrade", upgrade)
            with Outbox(path):
                pass
            connection.execute("BEGIN IMMEDIATE")
            upgrade(connection)

        monkeypatch.setattr(_schema, "_upgrade", let_another_be_first)
        with Outbox(path) as outbox:
            assert outbox.stats().pending == 10

    @pytest.mark.slow
    def test_a_process_that_is_killed_meanwhile_leaves_the_form_1(
        self, path: Path, old: sqlite3.Connection
    ) -> None:
        before = old.execute("SELECT * FROM pending").fetchall()
        script = (
            "import os, signal, sys\n"
            "from sendx_async.outbox import Outbox, _contact_index\n"
            "set_keys = _contact_index.set_keys\n"
            "def set_and_die(*arguments):\n"
            "    set_keys(*arguments)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "_contact_index.set_keys = set_and_die\n"
            "Outbox(sys.argv[1]).open()\n"
        )
        command = [sys.executable, "-c", script, str(path)]
        done = subprocess.run(command, check=False, timeout=120)
        assert done.returncode == -signal.SIGKILL
        assert form_of(old) == 1
        assert old.execute("SELECT * FROM pending").fetchall() == before
        with Outbox(path):
            pass
        assert form_of(old) == 2


class TestUse:
    pytestmark = pytest.mark.slow

    def test_what_waits_in_it_is_delivered(
        self, path: Path, old: sqlite3.Connection, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        with Outbox(path) as outbox:
            stats = outbox.stats()
            assert (stats.pending, stats.dead, stats.uncertain) == (10, 1, 1)
            drain(outbox, make_client(), retry=QUICK)
            failed = {each.delivery_id: each.kind for each in outbox.failed()}
        assert [each for each in sent(fake_sendx) if each[1].startswith("jane")] == [
            ("track", "jane.smith@example.com"),
            ("identify", "jane@example.com"),
            ("track", "jane@example.com"),
            ("custom", "jane@example.com"),
            ("revenue", "jane@example.com"),
            ("identify", "jane@example.com"),
        ]
        assert {"joe@example.com", "müller@example.com"} <= fake_sendx.contacts.keys()
        assert fake_sendx.contact("jane.smith@example.com").tags == {"new", "vip", "renamed"}
        assert (
            failed.items()
            >= {
                "0a1b2c3d-1": "dead",
                "hook-1": "uncertain",
                "0a1b2c3d-11": "dead",  # it can't be read
            }.items()
        )

    def test_addresses_that_are_refused_today_are_delivered(
        self, path: Path, old: sqlite3.Connection, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        odd = ["jane@example,com", "'joe@example.com'", "mailto:jill@example.com", "jack@a..com"]
        bodies: list[tuple[str, dict[str, Any]]] = [
            ("identify_contact", {"email": email, "firstName": "J"}) for email in odd
        ]
        bodies += [
            ("track_contact", {"email": odd[0], "addTags": ["vip"]}),
            ("track_custom_event", {"identifier": odd[0], "name": "n", "time": 1}),
        ]
        for operation, body in bodies:
            payload = {"version": 1, "operation": operation, "request": body}
            old.execute(OLD_PUT, (0.0, json.dumps(payload), None, None))
        with Outbox(path) as outbox:
            dead = outbox.stats().dead
            drain(outbox, make_client(), retry=QUICK)
            assert outbox.stats().dead == dead + 2  # of what was in it before
        assert {fake_sendx.contact(email).first_name for email in odd} == {"J"}
        assert fake_sendx.contact(odd[0]).tags == {"vip"}
        assert odd[0] in {event.identifier for event in fake_sendx.events}

    def test_its_ids_are_remembered(self, path: Path, old: sqlite3.Connection) -> None:
        with Outbox(path) as outbox:
            again = TrackRequest("Jane@Example.com", add_tags=["vip"])
            assert outbox.put_sync(again, delivery_id="hook-2") == "hook-2"
            assert outbox.put_sync(again) == "0a1b2c3d-13"
            assert outbox.stats().pending == 11

    def test_what_was_put_aside_can_be_sent(
        self, path: Path, old: sqlite3.Connection, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        with Outbox(path) as outbox:
            assert outbox.retry(uncertain=True) == 2
            keys = old.execute("SELECT contact, is_safe FROM pending WHERE id > 12").fetchall()
            assert keys == [
                (hash_of("refused@example.com"), 1),
                (hash_of("uncertain@example.com"), 0),
            ]
            drain(outbox, make_client(), retry=QUICK)
        assert "refused@example.com" in fake_sendx.contacts

    def test_what_cannot_be_read_is_put_aside_again(
        self, path: Path, old: sqlite3.Connection, make_client: MakeClient
    ) -> None:
        with Outbox(path) as outbox:
            drain(outbox, make_client(), retry=QUICK)
            assert outbox.retry(["0a1b2c3d-11"]) == 1
            drain(outbox, make_client(), retry=QUICK)
            assert "0a1b2c3d-11" in {each.delivery_id for each in outbox.failed("dead")}

    def test_all_about_a_contact_is_thrown_away(self, path: Path, old: sqlite3.Connection) -> None:
        with Outbox(path) as outbox:
            assert outbox.purge("Jane@example.com") == 5
            assert outbox.purge("jane.smith@example.com") == 1
            assert outbox.purge("MÜLLER@example.com") == 1
            assert outbox.purge("damaged@example.com") == 1
            assert outbox.purge("refused@example.com") == 1
            assert outbox.purge("UNCERTAIN@example.com") == 1
            assert (outbox.stats().pending, outbox.failed()) == (2, [])


class TestOlderProcess:
    """One that has the file open while a newer one brings it up to date, and goes on with it."""

    def test_what_it_puts_is_found(self, path: Path, old: sqlite3.Connection) -> None:
        with Outbox(path) as outbox:
            outbox.open()
            put(old, IdentifyRequest("new@example.com", new_email="newer@example.com"))
            outbox.put_sync(TrackRequest("newer@example.com"))
            assert backlog.read_safe(old, most=99, after=12) == []  # it may have to wait for that
            page = backlog.read(old, after=12, most=99)
            assert [each.contacts for each in page.rows] == [
                (hash_of("new@example.com"), hash_of("newer@example.com")),
                (hash_of("newer@example.com"),),
            ]
            # Now it is known whom that is about.
            found = backlog.read_contact(
                old, hash_of("newer@example.com"), after=0, until=99, most=9
            )
            assert [each.id for each in found.rows] == [13, 14]
            put(old, IdentifyRequest("Newer@example.com"))
            assert outbox.purge("newer@example.com") == 3

    @pytest.mark.slow
    def test_what_it_puts_keeps_its_order(
        self, path: Path, old: sqlite3.Connection, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        old.execute("DELETE FROM pending")
        with Outbox(path, synchronous="NORMAL") as outbox:
            outbox.open()
            for number in range(0, 100, 2):
                put(old, IdentifyRequest("new@example.com", first_name=str(number)))
                outbox.put_sync(IdentifyRequest("new@example.com", first_name=str(number + 1)))
            drain(outbox, make_client())
        names = [each.json["firstName"] for each in fake_sendx.requests]
        assert names == list(map(str, range(100)))

    def test_it_can_put_requests_aside(self, path: Path, old: sqlite3.Connection) -> None:
        with Outbox(path) as outbox:
            outbox.open()
            old.execute(OLD_FAIL, ("dead", 0.0, 1, "no", 12))
            old.execute("DELETE FROM pending WHERE id = 12")
            assert outbox.stats().dead == 2
            assert outbox.purge("joe@example.com") == 1


emails = st.sampled_from(["jane@example.com", "JÄNE@example.com", "a--b@example.com", "ß@x.de"])
texts = st.sampled_from(["", "x", "++1", " --2", "a++", "-- none --", "newEmail", "é"])
fields = st.dictionaries(st.sampled_from(["x", "++y", "é"]), texts, max_size=2)
requests: st.SearchStrategy[Any] = st.one_of(
    st.builds(IdentifyRequest, emails, first_name=texts, custom_fields=fields, extra=fields),
    st.builds(IdentifyRequest, emails, new_email=emails),
    st.builds(TrackRequest, st.none() | emails, add_tags=st.lists(texts, max_size=2)),
    st.builds(CustomEventRequest, st.sampled_from(["id_7", "Jane@x.de"]), st.just("signup")),
    st.builds(RevenueEventRequest, emails, st.just(1.5)),
)


@settings(deadline=None)
@given(requests)
def test_a_stored_request_has_the_key_of_the_request(request: AnyRequest) -> None:
    assert key_of_stored(json.dumps(to_stored(request))) == key_of(request)


@pytest.mark.parametrize(
    "stored",
    ["", "{", "3", "[]", "{}", '{"version":2}', '{"version":1,"operation":[],"request":{}}',
     '{"version":1,"operation":"track_contact","request":7}',
     '{"version":1,"operation":"identify_contact","request":{"email":7}}'],
)  # fmt: skip
def test_a_request_that_cannot_be_read_has_no_key(stored: str) -> None:
    assert key_of_stored(stored) is None
