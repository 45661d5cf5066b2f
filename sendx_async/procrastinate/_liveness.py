"""Which workers are alive, and what becomes of the deliveries of those that aren't."""

import contextlib
import logging
from collections.abc import Generator
from typing import Any, LiteralString, cast

import procrastinate.sql
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.testing import InMemoryConnector

from sendx_async.procrastinate import _autocommit
from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._delivery_job import UNCERTAIN, failure_note
from sendx_async.procrastinate._moment import Moment

_HEARTBEATS_MISSED = 3

logger = logging.getLogger("sendx_async")


class Liveness(JobManager):
    """The part of a job manager that has to do with the workers' signs of life.

    Args:
        connector: The app's connector.

    Attributes:
        delivering: The names of the tasks that deliver, and after how many seconds without a sign
            of life a worker that has their jobs counts as dead.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.delivering: dict[str, float] = {}
        self._signs_of_life: dict[int, Moment] = {}  # the latest of each worker of this process

    @property
    def _is_in_memory(self) -> bool:
        """Whether the app has Procrastinate's stand-in for tests: it knows its statements only."""
        return isinstance(self.connector, InMemoryConnector)

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:
        """Take over what dead workers have left, and forget the workers; one that starts does.

        A worker that can't is told of it in the log and starts nevertheless.
        """
        if self._is_in_memory:
            return await super().prune_stalled_workers(seconds_since_heartbeat)
        pruned: list[dict[str, Any]] = []
        await self._rescue_all(least=seconds_since_heartbeat)
        with logging_failures("dead workers could not be removed"):
            pruned = await self._execute(
                sql.PRUNE, seconds=seconds_since_heartbeat, tasks=list(self.delivering)
            )
        return [row["id"] for row in pruned]

    async def register_worker(self) -> int:
        """Add a worker that starts; return its id."""
        if self._is_in_memory:
            return await super().register_worker()
        alive_at = Moment()
        (row,) = await self._execute(procrastinate.sql.queries["register_worker"])
        worker_id = cast("int", row["worker_id"])
        self._signs_of_life[worker_id] = alive_at
        return worker_id

    async def unregister_worker(self, worker_id: int) -> None:
        """Forget a worker that has stopped, unless something that it had is locked."""
        if self._is_in_memory:
            return await super().unregister_worker(worker_id)
        self._signs_of_life.pop(worker_id, None)
        try:
            await self._execute(sql.UNREGISTER, worker=worker_id)
        except ConnectorException as error:
            if not _autocommit.is_locked(error):
                raise
            logger.warning("worker %d: another one has to remove it, it is locked", worker_id)

    async def update_heartbeat(self, worker_id: int) -> None:
        """Give a sign of life, and take over what dead workers have left.

        Nothing that fails here ends the signs of life: Procrastinate would not begin them again.
        """
        if self._is_in_memory:
            await super().update_heartbeat(worker_id)
            return
        alive_at = Moment()
        with logging_failures("no sign of life could be given"):
            for row in await self._execute(sql.HEARTBEAT, worker=worker_id):
                self._signs_of_life[worker_id] = alive_at
                # A worker that seldom gives a sign of life must not be taken for dead, and others
                # are as this one.
                await self._rescue_all(least=_HEARTBEATS_MISSED * row["seconds"])

    async def _rescue_all(self, *, least: float) -> None:
        for task, rescue_after in self.delivering.items():
            with logging_failures("what dead workers have left could not be taken over"):
                await self.rescue(task, seconds_since_heartbeat=max(rescue_after, least))

    async def rescue(self, task: str, *, seconds_since_heartbeat: float) -> None:
        """Take over what dead workers have left, but for what somebody keeps locked.

        Args:
            task: The name of the task that delivers.
            seconds_since_heartbeat: How old the last sign of life of a dead worker is, at least.
        """
        rows = await self._change(
            sql.RESCUE,
            task=task,
            seconds=seconds_since_heartbeat,
            note=failure_note("uncertain", UNCERTAIN),
        )
        for number, status in {row["id"]: row["status"] for row in rows}.items():
            if status == Status.FAILED.value:
                logger.error("delivery %d: %s", number, UNCERTAIN)
            else:
                logger.warning("delivery %d: taken over from a dead worker", number)

    async def _change(self, statement: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        return await self._execute(sql.AND_TELL_WORKERS.format(statement), **arguments)

    async def _execute(self, statement: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        return await _autocommit.execute(self.connector, statement, **arguments)


@contextlib.contextmanager
def logging_failures(text: str) -> Generator[None]:
    """Log it if the database refuses or can't be reached, and go on."""
    try:
        yield
    except ConnectorException as error:
        log_failure(text, error)


def log_failure(text: str, error: ConnectorException) -> None:
    """Log how something that has to do with the database has failed."""
    # The first line: others may quote the statement.
    logger.warning("%s: %s", text, str(error.__cause__ or error).partition("\n")[0])
