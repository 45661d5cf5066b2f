"""What a page's blocks find without showing it: names, a database; and what is seen in the end."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from pathlib import Path

import openpyxl
import psycopg

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.postgresql import PROGRAMS, postgresql

from .pages import CHECKOUT, DOCS, name_of
from .reader import Reader

_EXPORTS = CHECKOUT / "tests" / "cli" / "importing" / "exports"

Surroundings = Callable[[Reader, FakeSendX], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def a_client_and_requests(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """An open client, and requests to send, which arrive."""
    shutil.copy(_EXPORTS / "mailchimp_subscribed.csv", reader.directory / "subscribed_members.csv")
    async with AsyncTrackingClient() as client:
        reader.given["client"] = client
        reader.given["requests"] = [{"email": f"c{number}@example.com"} for number in range(60)]
        yield
    assert "jane@example.com" in fake.contacts
    assert "c59@example.com" in fake.contacts


@asynccontextmanager
async def a_contact(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """Jane, whom SendX knows already."""
    async with AsyncTrackingClient() as client:
        await client.identify_contact({"email": "jane@example.com"})
    yield


@asynccontextmanager
async def a_key_and_an_address(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """The two things that both SDKs need."""
    reader.given |= {"key": fake.api_key, "base_url": fake.url}
    yield
    agents = [request.headers["user-agent"] for request in fake.requests]
    assert len({agent.partition("/")[0] for agent in agents}) == 2, agents  # both were used


_DJANGO_ON_POSTGRESQL = """
import importlib, os
import django, settings
from django.conf import settings as configured
from psycopg.conninfo import conninfo_to_dict

place = conninfo_to_dict(os.environ["DATABASE_URL"])
configured.configure(
    INSTALLED_APPS=settings.INSTALLED_APPS,
    PROCRASTINATE_IMPORT_PATHS=settings.PROCRASTINATE_IMPORT_PATHS,
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": place["dbname"], "USER": place["user"],
        "HOST": place["host"], "PORT": place.get("port", ""),
    }},
)
django.setup()

import views
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import RequestFactory

request = RequestFactory().post("/signup", {"email": "django@example.com"})
assert views.signup(request).status_code == 204
migration = importlib.import_module("0002_sendx").Migration("0002_sendx", "shop")
state = MigrationLoader(connection).project_state()
with connection.schema_editor(atomic=migration.atomic) as editor:
    state = migration.unapply(state, editor)
    migration.apply(state, editor)
assert set(migration.dependencies) <= set(MigrationLoader(connection).disk_migrations)
"""


@asynccontextmanager
async def _postgresql(reader: Reader) -> AsyncIterator[str]:
    """A PostgreSQL of the page's own, with a table of users."""
    with postgresql() as address:
        try:
            with psycopg.connect(address) as connection:
                connection.execute("CREATE TABLE users (email text)")
            reader.environment["DATABASE_URL"] = os.environ["DATABASE_URL"] = address
            yield address
        finally:
            os.environ.pop("DATABASE_URL", None)


@asynccontextmanager
async def a_database(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """A PostgreSQL, which the page's statements are run in."""

    def run_sql(statement: str) -> str:
        with psycopg.connect(address) as connection:
            cursor = connection.execute(statement.encode())
            return "\n".join(map(str, cursor)) if cursor.description else ""

    async with _postgresql(reader) as address:
        reader.given["run_sql"] = run_sql
        yield
        reader.run_python(_DJANGO_ON_POSTGRESQL)
        put = "SELECT count(*) FROM procrastinate_jobs WHERE lock = 'sendx:django@example.com'"
        assert run_sql(put) == "(1,)"
    assert {"jane@example.com", "joe@example.com"} <= set(fake.contacts)


@asynccontextmanager
async def tables(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """A PostgreSQL with users, who arrive, as do the rows of files and frames."""
    async with _postgresql(reader) as address:
        with psycopg.connect(address) as connection:
            connection.execute(
                "INSERT INTO users SELECT 'user' || generate_series(1, 1000) || '@a.b'"
            )
        yield
    assert sum(email.startswith("user") for email in fake.contacts) == 1000
    assert sum(email.startswith("customer") for email in fake.contacts) == 1000
    jane, joe = fake.contact("jane@example.com"), fake.contact("joe@example.com")
    assert jane.custom_fields == {"Seats": "5", "Since": "2026-01-31"}
    assert jane.tags == {"vip", "beta"}
    assert not any([joe.custom_fields, joe.tags, joe.first_name])
    assert {"jack@example.com", "june@example.com"} <= fake.contacts.keys()
    jill = fake.contact("jill@example.com")  # once her address was mended
    assert jill.custom_fields == {"Seats": "3", "Since": "2026-02-28"}
    assert jill.tags == {"beta"}


@asynccontextmanager
async def a_look_at_what_was_delivered(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """Nothing beforehand."""
    yield
    tags = {email: contact.tags for email, contact in fake.contacts.items()}
    assert tags == {"jane@example.com": {"new_user", "vip"}, "joe@example.com": set()}


_DJANGO = """
import asyncio

import django.conf
from django.test import RequestFactory

django.conf.settings.configure()
import views

request = RequestFactory().post("/signup?email=django@example.com")
assert asyncio.run(views.signup(request)).status_code == 204
assert views.signup_sync(request).status_code == 204
"""


@asynccontextmanager
async def visitors(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """Somebody who signs up at the Django views, which need a project around them."""
    yield
    reader.run_python(_DJANGO)
    # The service has ended, perhaps before it delivered what was put.
    async with AsyncTrackingClient() as client, Outbox("sendx.db") as outbox:
        await outbox.drain(client)
    people = ["jane", "joe", "jill", "jack", "django"]
    assert {f"{name}@example.com" for name in people} == set(fake.contacts)


@asynccontextmanager
async def an_import(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """Nothing beforehand; in the end only what was agreed to has arrived."""
    yield
    contacts = {email.partition("@")[0]: contact for email, contact in fake.contacts.items()}
    assert contacts.keys() == {"jane", "ann", "bob", "cid"}
    assert contacts["jane"].tags == {"new", "vip"}
    assert contacts["jane"].custom_fields == {"Plan": "Pro"}
    assert contacts["ann"].custom_fields == {"Plan": "Pro", "Tariff": "premium"}
    # What was given before its log was undone is gone, and what came afterwards has stayed.
    assert [contacts[name].tags for name in ("ann", "bob", "cid")] == [set(), set(), {"spring"}]


@asynccontextmanager
async def a_shop(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """A PostgreSQL with customers, and the programs that come with it."""
    async with _postgresql(reader) as address:
        with psycopg.connect(address) as connection:
            connection.execute(
                "CREATE TABLE customers (email text, first_name text, tags text[], is_active bool, "
                "since date, note text)"
            )
            connection.execute(
                "INSERT INTO customers VALUES "
                "('jane@example.com', 'Jane', '{vip,\"Blog, monthly\"}', true, '2026-01-31', "
                "E'likes\ntea'), ('joe@example.com', 'Joe', '{}', false, NULL, NULL)"
            )
        reader.environment["PATH"] += f"{os.pathsep}{PROGRAMS}"
        yield
    contacts = {email.partition("@")[0]: contact for email, contact in fake.contacts.items()}
    assert contacts.keys() == {"jane", "ann", "bob", "eve", "fay"}
    assert contacts["jane"].tags == {"vip", "Blog, monthly"}
    assert contacts["jane"].custom_fields == {
        "Customer since": "2026-01-31", "since": "2026-01-31", "note": "likes tea"
    }  # fmt: skip
    assert contacts["ann"].custom_fields == {"City": "Rome", "seats": "5"}
    assert contacts["ann"].tags == {"vip", "new"}
    assert contacts["bob"].custom_fields == {"plan": "pro", "since": "2026-01-31", "seats": "3"}
    assert contacts["eve"].custom_fields == {"seats": "5", "since": "2026-01-31"}
    assert contacts["fay"].custom_fields == {}


_KUNDEN = """\
E-Mail;Vorname;PLZ;Kunde seit;Telefon;Kundennummer;Umsatz
jane@example.com;Jürgen;97477;01.03.2024;'+49 151 0000001;1234567890123;12,50
joe@example.com;Zoë;2139;45352;="0151 2345678";1,23457E+12;#NV
ann@example.com;Ann;10115;02.03.2024;;1234567890125;7
"""


@asynccontextmanager
async def spreadsheets(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
    """A workbook, and what Excel saves in Germany; what nobody sees was sent as it was meant."""
    book = openpyxl.Workbook()
    sheet, other = book.worksheets[0], book.create_sheet("Last year")
    sheet.title = "Customers"
    for row in [
        ["Customers, November"],
        ["Email", "Tags", "Postcode", "Customer since", "Discount"],
        ["jane@example.com", "new, vip", "01067", date(2024, 3, 1), 0.15],
        ["joe@example.com", "new", 2139, date(2024, 3, 2), "#N/A"],
    ]:
        sheet.append(row)
    sheet["C4"].number_format, sheet["E3"].number_format = "00000", "0%"
    other.append(["Email"])
    other.append(["jack@example.com"])
    book.save(reader.directory / "people.xlsx")
    (reader.directory / "kunden.csv").write_text(_KUNDEN, encoding="cp1252")
    yield
    contacts = [fake.contact(f"{name}@example.com") for name in ("jane", "joe", "ann")]
    assert len(fake.contacts) == len(contacts)
    assert [contact.first_name for contact in contacts] == ["Jürgen", "Zoë", "Ann"]
    phones = [contact.custom_fields.get("Telefon") for contact in contacts]
    assert phones == ["+49 151 0000001", "0151 2345678", None]
    assert [contact.custom_fields.get("Umsatz") for contact in contacts] == ["12,50", None, "7"]
    assert contacts[1].custom_fields["Postcode"] == "02139"


def exports_of(page: Path) -> Surroundings:
    """Return surroundings in which the exports lie that a page names; all of them must arrive."""
    text = page.read_text("utf-8")
    wanted = [
        expected
        for path in sorted(_EXPORTS.glob("*.expected.json"))
        if (expected := json.loads(path.read_text("utf-8")))["file"] in text
    ]

    @asynccontextmanager
    async def exports(reader: Reader, fake: FakeSendX) -> AsyncIterator[None]:
        for expected in wanted:
            shutil.copy(_EXPORTS / expected["file"], reader.directory)
        yield
        assert set(fake.contacts) == {who for expected in wanted for who in expected["contacts"]}

    return exports


OF_PAGES: dict[str, Surroundings] = {
    "README.md": a_client_and_requests,
    "docs/howto/data-frames.md": tables,
    "docs/howto/import.md": an_import,
    "docs/howto/many-contacts.md": a_client_and_requests,
    "docs/howto/synchronous-code.md": a_contact,
    "docs/howto/databases.md": a_shop,
    "docs/howto/spreadsheets.md": spreadsheets,
    "docs/howto/outbox.md": a_look_at_what_was_delivered,
    "docs/howto/postgresql.md": a_database,
    "docs/howto/web-handlers.md": visitors,
    "docs/migrating.md": a_key_and_an_address,
} | {name_of(page): exports_of(page) for page in sorted((DOCS / "coming-from").glob("*.md"))}
