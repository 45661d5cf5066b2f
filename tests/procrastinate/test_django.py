"""With Procrastinate's app for Django: in Django's transactions, and in Django's worker."""

import os
import subprocess
import sys

import procrastinate
import psycopg
import pytest
from procrastinate.contrib.django import app as proxy
from procrastinate.contrib.django import procrastinate_app

from sendx_async import ConfigurationError
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import LIMIT, Table

NOT_READY = "PROCRASTINATE_IMPORT_PATHS.* PROCRASTINATE_ON_APP_READY"

# A process can set Django up only once.
PROJECT = """
import asyncio, os
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["procrastinate.contrib.django"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["NAME"],
        "HOST": os.environ["HOST"], "USER": os.environ["USER"], "PORT": os.environ["PORT"],
    }},
    PROCRASTINATE_ON_APP_READY="__main__.make_early",
)

def make_early(app):
    global early
    early = Deliveries(app, queue="early")

from sendx_async import OutboxError
from sendx_async.procrastinate import Deliveries
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from procrastinate.contrib.django import app

sendx = Deliveries(app)

class Undone(Exception):
    pass

def put_all(name, **options):
    with transaction.atomic():
        sendx.put_sync({"email": f"{name}-kept@example.com"}, **options)
    try:
        with transaction.atomic():
            sendx.put_sync({"email": f"{name}-lost@example.com"}, **options)
            raise Undone
    except Undone:
        pass
    with transaction.atomic():
        sendx.put_sync({"email": f"{name}-outer@example.com"}, **options)
        try:
            with transaction.atomic():
                sendx.put_sync({"email": f"{name}-savepoint@example.com"}, **options)
                raise Undone
        except Undone:
            pass

put_all("own")
with connection.cursor():
    put_all("given", connection=connection.connection)
asyncio.run(sendx.put({"email": "awaited@example.com"}))
early.put_sync({"email": "early@example.com"})
try:
    sendx.put_sync({"email": "refused@example.com"}, connection=connection)
except OutboxError as error:
    print(error)
try:
    asyncio.run(sendx.create_index())
except OutboxError as error:
    print(error)
call_command("procrastinate", "worker", "--queues=sendx,early", "--one-shot")
"""


class TestProxy:
    def test_before_django_is_set_up_the_settings_to_use_are_named(self) -> None:
        with pytest.raises(ConfigurationError, match=NOT_READY):
            Deliveries(proxy)

    def test_after_that_it_is_the_app_it_stands_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        monkeypatch.setattr(procrastinate_app, "current_app", app)
        Deliveries(proxy)
        assert "sendx:deliver" in app.tasks


def test_requests_are_part_of_djangos_transactions_and_djangos_worker_delivers_them(
    database: str, table: Table, fake_sendx: FakeSendX
) -> None:
    place = psycopg.conninfo.conninfo_to_dict(database)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT],
        env=os.environ | {
            "NAME": str(place["dbname"]), "HOST": str(place["host"]), "USER": str(place["user"]),
            "PORT": str(place.get("port", "")),
            "SENDX_API_KEY": fake_sendx.api_key, "SENDX_BASE_URL": fake_sendx.url,
        },
        capture_output=True, text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(fake_sendx.contacts) == [
        "awaited@example.com", "early@example.com", "given-kept@example.com",
        "given-outer@example.com", "own-kept@example.com", "own-outer@example.com",
    ]  # fmt: skip
    assert table.statuses() == ["succeeded"] * 5
    assert "ConnectionProxy: give the connection of psycopg that your library" in done.stdout
    assert "or none with Procrastinate's app for Django" in done.stdout
    assert "run INDEX_SQL in a migration" in done.stdout
