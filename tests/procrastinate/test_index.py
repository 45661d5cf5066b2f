"""The index for many waiting deliveries, and what an installation without Procrastinate says."""

import subprocess
import sys

import procrastinate
import psycopg
import pytest
from procrastinate.testing import InMemoryConnector

from sendx_async import OutboxError
from sendx_async.procrastinate import Deliveries
from tests.procrastinate.conftest import Table

FIND = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('sendx_jobs_in_turn')"
FORMER = "SELECT to_regclass('sendx_jobs_in_order')::text AS found"
WAITING = (
    "EXPLAIN SELECT id FROM procrastinate_jobs WHERE lock = 'x' AND status IN ('todo', 'doing')"
)


@pytest.mark.asyncio
class TestIndex:
    async def test_the_index_is_made_once_and_used(self, sendx: Deliveries, table: Table) -> None:
        assert table.do(FIND) == []
        for _ in range(2):
            await sendx.create_index()
            assert table.do(FIND) == [{"indisvalid": True}]
        table.do("SET enable_seqscan = off")
        plan = str(table.do(WAITING))
        assert "sendx_jobs_in_turn" in plan

    async def test_an_index_whose_making_was_broken_off_is_made_anew(
        self, sendx: Deliveries, table: Table
    ) -> None:
        table.do(sendx.INDEX_SQL)
        table.do("UPDATE pg_index SET indisvalid = false WHERE indexrelid = "
                 "to_regclass('sendx_jobs_in_turn')")  # fmt: skip
        await sendx.create_index()
        assert table.do(FIND) == [{"indisvalid": True}]

    async def test_the_index_of_an_earlier_version_is_dropped(
        self, sendx: Deliveries, table: Table
    ) -> None:
        table.do("CREATE INDEX sendx_jobs_in_order ON procrastinate_jobs (lock, id)")
        await sendx.create_index()
        assert table.do(FORMER) == [{"found": None}]

    async def test_the_connection_is_given_back_as_it_was(
        self, sendx: Deliveries, table: Table
    ) -> None:
        await sendx.create_index()
        connector = sendx._app.connector
        assert isinstance(connector, procrastinate.PsycopgConnector)
        async with connector.pool.connection() as connection:
            assert not connection.autocommit

    async def test_an_app_without_psycopg_is_told_to_make_the_index_in_a_migration(self) -> None:
        with pytest.raises(OutboxError, match="run INDEX_SQL in a migration"):
            await Deliveries(procrastinate.App(connector=InMemoryConnector())).create_index()

    async def test_the_index_cannot_be_made_in_a_transaction(self, database: str) -> None:
        with (
            psycopg.connect(database) as connection,
            pytest.raises(psycopg.errors.ActiveSqlTransaction),
        ):
            connection.execute(Deliveries.INDEX_SQL)


def import_without(module: str) -> str:
    script = f"import sys; sys.modules[{module!r}] = None; import sendx_async.procrastinate"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.slow
class TestImport:
    @pytest.mark.parametrize("module", ["procrastinate", "procrastinate.jobs", "psycopg"])
    def test_without_procrastinate_it_says_what_to_install(self, module: str) -> None:
        assert "pip install 'sendx-async[procrastinate]'" in import_without(module)

    def test_another_module_that_is_missing_is_named_as_it_is(self) -> None:
        stderr = import_without("sendx_async._core.stored")
        assert "sendx-async[procrastinate]" not in stderr
        assert "import of sendx_async._core.stored halted" in stderr
