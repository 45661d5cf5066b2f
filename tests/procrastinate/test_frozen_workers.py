"""Frozen workers: others take over in time, and nothing old is sent when they thaw."""

import logging
import sys
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from sendx_async.testing import FakeSendX
from tests.faults.frozen_workers.run import CONTACTS, Run
from tests.procrastinate.conftest import MakeApp, StartWorker, Table, WorkerProcess

RESCUE_AFTER = 1.0  # seconds

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
    logging.getLogger(__name__).info(
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
    assert run.steps_back() == []
    assert len(fake_sendx.contacts) == CONTACTS
    assert max(run.takeovers) < RESCUE_AFTER + 10


@pytest.mark.chaos
def test_whenever_a_worker_is_frozen_others_take_over_in_time(run: Run) -> None:
    run.carry_out(50, thaw=False)
    tell(run)
    assert run.steps_back() == []
    assert max(run.takeovers) < RESCUE_AFTER + 10
