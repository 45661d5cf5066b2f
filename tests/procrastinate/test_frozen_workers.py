"""Worker processes that are frozen, hindered by a dead session, or lose their database."""

import itertools
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from sendx_async.testing import FakeSendX
from tests.faults.frozen_workers.run import CONTACTS, Run, steps_back
from tests.postgresql import server_in
from tests.procrastinate.conftest import (
    MakeApp,
    StartWorker,
    Table,
    WorkerProcess,
    give,
    worker_of,
)

RESCUE_AFTER = 1.0  # seconds

logger = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows can't freeze a process"),
    pytest.mark.timeout(45 * 60),
]


@pytest.fixture
def run(  # noqa: PLR0917 - fixtures
    make_app: MakeApp,
    database: str,
    table: Table,
    fake_sendx: FakeSendX,
    start_worker: StartWorker,
    seed: int,
) -> Iterator[Run]:
    """Two workers, and what freezes them."""
    _, sendx = make_app()
    workers: dict[int, WorkerProcess] = {}

    def put(email: str, state: int) -> None:
        sendx.put_sync({"email": email, "first_name": str(state)}, connection=connection)

    def start() -> int:
        worker = start_worker(RESCUE_AFTER=str(RESCUE_AFTER))
        workers[worker.process.pid] = worker
        return worker.process.pid

    fake_sendx.latency = 0.01
    with psycopg.connect(database, autocommit=True) as connection:
        yield Run(table, fake_sendx, put, start, lambda pid: workers.pop(pid).close(), Random(seed))


def tell(run: Run) -> None:
    takeovers = sorted(run.takeovers)
    logger.info(
        "%d takeovers, after %.1f s in the middle and %.1f s at most",
        len(takeovers), takeovers[len(takeovers) // 2], takeovers[-1],
    )  # fmt: skip


LONG = pytest.param(100, id="long", marks=pytest.mark.chaos)


@pytest.mark.parametrize("freezes", [pytest.param(2, id="briefly"), LONG])
def test_a_worker_that_thaws_sends_nothing_old(
    run: Run, fake_sendx: FakeSendX, freezes: int
) -> None:
    run.carry_out(freezes, thaw=True)
    tell(run)
    assert steps_back(fake_sendx) == []
    assert len(fake_sendx.contacts) == CONTACTS
    assert max(run.takeovers) < RESCUE_AFTER + 10


@pytest.mark.chaos
def test_whenever_a_worker_is_frozen_others_take_over_in_time(
    run: Run, fake_sendx: FakeSendX
) -> None:
    run.carry_out(50, thaw=False)
    tell(run)
    assert steps_back(fake_sendx) == []
    assert max(run.takeovers) < RESCUE_AFTER + 10


@pytest.mark.chaos
def test_a_row_that_a_dead_session_keeps_locked_holds_up_no_other_contact(
    run: Run, database: str, table: Table, start_worker: StartWorker
) -> None:
    dead = worker_of(table, 100)
    for number in range(11):
        run.put(f"old{number}@example.com", number)
    for row in table.rows():
        give(table, row["id"], dead)
    locked = table.rows()[0]["id"]
    with psycopg.connect(database) as dead_session:
        dead_session.execute("SELECT FROM procrastinate_jobs WHERE id = %s FOR UPDATE", [locked])
        for _ in range(2):
            start_worker(RESCUE_AFTER=str(RESCUE_AFTER))
        for number in range(10):
            began = time.monotonic()
            for contact in range(50):
                run.put(f"c{number}.{contact}@example.com", number)
            table.wait("status = 'succeeded'", 10 + 50 * (number + 1))
            logger.info("50 of 50 after %.1f s", time.monotonic() - began)
        assert [row["id"] for row in table.rows("status <> 'succeeded'")] == [locked]
    table.wait("status = 'succeeded'", 11 + 500)


@pytest.mark.chaos
def test_workers_that_are_started_again_deliver_all_however_often_the_database_restarts(
    database: str, make_app: MakeApp, fake_sendx: FakeSendX, start_worker: StartWorker
) -> None:
    def look(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database) as connection:
            return connection.execute(statement.encode()).fetchall()

    postgres = server_in(Path(str(psycopg.conninfo.conninfo_to_dict(database)["host"])))
    _, sendx = make_app()
    fake_sendx.latency = 0.01
    workers: list[WorkerProcess] = []
    ends = 0
    contacts = [f"c{number}@example.com" for number in range(CONTACTS)]
    for state in range(10):
        with psycopg.connect(database) as connection:
            for number, contact in itertools.product(range(5), contacts):
                request = {"email": contact, "first_name": str(5 * state + number)}
                sendx.put_sync(request, connection=connection)
        before = len(fake_sendx.requests)
        while True:  # as a supervisor does
            ends += sum(worker.process.poll() is not None for worker in workers)
            workers = [worker for worker in workers if worker.process.poll() is None]
            while len(workers) < 2:
                workers.append(start_worker(RESCUE_AFTER="2"))
            if state < 9 and len(fake_sendx.requests) > before + 10 * state:
                break
            if not look("SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"):
                break
        postgres.stop()
        postgres.start()
    logger.info("%d requests for 400, %d ends of workers", len(fake_sendx.requests), ends)
    assert look("SELECT DISTINCT status::text FROM procrastinate_jobs") == [("succeeded",)]
    assert steps_back(fake_sendx) == []
    assert {fake_sendx.contact(contact).first_name for contact in contacts} == {"49"}
