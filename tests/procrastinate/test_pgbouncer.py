"""A pgbouncer in between that gives each transaction any session: nothing may be left in one."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import procrastinate
import psycopg
import pytest

from sendx_async import AsyncTrackingClient, CustomEventRequest
from sendx_async.procrastinate import Deliveries
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import QUICK, Table, give, until, worker_of, working

PGBOUNCER = shutil.which("pgbouncer")


@pytest.fixture
def pgbouncer(database: str) -> Iterator[str]:
    """Start a pgbouncer with two sessions for all; give how to connect through it."""
    assert PGBOUNCER is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    parts = psycopg.conninfo.conninfo_to_dict(database)
    # Not in pytest's own directory: started by root it runs as another user, as PostgreSQL does.
    with tempfile.TemporaryDirectory(prefix="sendx-pgbouncer-") as directory:
        users, settings = Path(directory, "users.txt"), Path(directory, "pgbouncer.ini")
        users.write_text(f'"{parts["user"]}" ""\n')
        settings.write_text(
            f"[databases]\n{parts['dbname']} = host={parts['host']} user={parts['user']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 2\n"
        )
        Path(directory).chmod(0o755)
        user = ["-u", Path(str(parts["host"])).owner()] if os.geteuid() == 0 else []
        process = subprocess.Popen([PGBOUNCER, "-q", *user, str(settings)])
        try:
            yield f"host=127.0.0.1 port={port} user={parts['user']} dbname={parts['dbname']}"
        finally:
            process.terminate()
            process.wait()


def is_there(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.asyncio
@pytest.mark.skipif(PGBOUNCER is None, reason="there is no pgbouncer")
async def test_everything_goes_through_pgbouncer(
    pgbouncer: str, table: Table, fake_sendx: FakeSendX
) -> None:
    await until(lambda: is_there(pgbouncer))
    connector = procrastinate.PsycopgConnector(
        conninfo=pgbouncer, kwargs={"prepare_threshold": None}
    )
    app = procrastinate.App(connector=connector)
    sendx = Deliveries(
        app,
        client=lambda: AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url),
        retry=QUICK,
        rescue_after=1,
    )
    fake_sendx.respond(500, times=2)
    async with working(app, listen_notify=False, update_heartbeat_interval=0.1):
        # At once, so that statements of one client are run in both sessions.
        puts = (sendx.put({"email": f"c{number}@example.com"}) for number in range(60))
        await asyncio.gather(*puts)
        await sendx.put(CustomEventRequest("c0@example.com", "visit"))
        (row,) = await table.until("id = 1 AND status = 'succeeded'", 1)
        await asyncio.to_thread(give, table, row["id"], worker_of(table, 100))
        await table.until("status = 'succeeded'", 61)
