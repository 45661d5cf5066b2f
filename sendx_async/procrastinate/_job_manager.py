"""Procrastinate's job manager, more careful with deliveries than with other jobs."""

import asyncio
import datetime as dt
import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._delivery_job import DeliveryJob, DeliveryState, failure_note
from sendx_async.procrastinate._fetching import JobFetcher

_LONGEST_DATABASE_TROUBLE = 60.0  # seconds
_SECONDS_BETWEEN_TRIES = 1.0
_MOST_COLLISIONS = 5
_UNREACHABLE = (psycopg.OperationalError, psycopg.InterfaceError)

logger = logging.getLogger("sendx_async")

UNCERTAIN = (
    "the worker ended while this was being sent: SendX may have applied it, and it must not be "
    "sent twice; look at SendX, then retry it or delete it"
)


class Jobs(JobManager):
    """Hides whom deliveries are about, and lets a worker change only what is still its own.

    Args:
        connector: The app's connector.

    Attributes:
        delivering: The names of the tasks that deliver.
        rescuing: The names of those that take over what dead workers have left.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.delivering: set[str] = set()
        self.rescuing: set[str] = set()
        self._fetchers: dict[tuple[str, ...] | None, JobFetcher] = {}

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Fetch a job; a delivery without personal data in what Procrastinate logs of it."""
        job = await self._fetch(queues, worker_id)
        if job is None or job.task_name not in self.delivering:
            return job
        return DeliveryJob.of(job).hide_in(job)

    async def _fetch(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        for _ in range(_MOST_COLLISIONS):
            try:
                return await self._fetcher_of(queues).fetch(self.connector, worker_id)
            except UniqueViolation:
                # Another worker took a job with the same lock in the same moment. It would be the
                # end of this one, and is over by now.
                continue
        return None

    def _fetcher_of(self, queues: Iterable[str] | None) -> JobFetcher:
        name = None if queues is None else tuple(queues)
        return self._fetchers.setdefault(name, JobFetcher(name))

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - as it is called
        """Note that a job has ended; one that rescues leaves no trace if all went well."""
        delivery = DeliveryJob.hidden_in(job)
        if delivery is None:
            is_rescue = job.task_name in self.rescuing and status is Status.SUCCEEDED
            await super().finish_job(job=job, status=status, delete_job=delete_job or is_rescue)
            return
        if delivery.state is DeliveryState.UNDER_WAY:
            delivery.fail("uncertain", UNCERTAIN)
            status = Status.FAILED
        # What failed is kept even by a worker that deletes all others: nobody else knows of it.
        delete_job = delete_job and status is not Status.FAILED
        await self._settle(delivery, status, retry_at=None, delete_job=delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: dt.datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Put a job back; that costs a delivery an attempt only if it is at fault."""
        delivery = DeliveryJob.hidden_in(job)
        if delivery is None:
            await super().retry_job(job, retry_at, priority, queue, lock)
        else:
            await self._settle(delivery, Status.TODO, retry_at=retry_at, delete_job=False)

    async def mark(self, delivery: DeliveryJob) -> bool:
        """Note that a delivery is about to be sent, and must not be sent twice.

        Returns:
            Whether it is still the worker's own; else it must not be sent.
        """
        rows = await self.connector.execute_query_all_async(
            sql.MARK, id=delivery.job_id, worker=delivery.worker_id
        )
        if rows:
            delivery.begin()
        return bool(rows)

    async def unmark(self, delivery: DeliveryJob) -> None:
        """Note that a delivery was certainly not applied."""
        delivery.end()
        await self.connector.execute_query_all_async(
            sql.UNMARK, id=delivery.job_id, worker=delivery.worker_id
        )

    async def give_back(self, delivery: DeliveryJob) -> None:
        """Put a delivery back that this worker has claimed and doesn't deliver."""
        await self._settle(delivery, Status.TODO, retry_at=None, delete_job=False)

    async def uncount(self, attempts: Mapping[int, int]) -> None:
        """Take attempts back from deliveries that turned out not to be at fault."""
        await self.connector.execute_query_async(
            sql.UNCOUNT, ids=list(attempts), counts=list(attempts.values())
        )

    async def rescue(self, queue: str, *, seconds_since_heartbeat: float) -> None:
        """Take over what dead workers have left; several may do so at once."""
        stalled = await self.get_stalled_jobs(
            queue=queue, seconds_since_heartbeat=seconds_since_heartbeat
        )
        for job in stalled:
            seen = {"id": job.id, "worker": job.worker_id}
            if job.task_name in self.rescuing:
                await self.connector.execute_query_async(sql.FORGET, **seen)
            elif job.task_name in self.delivering:
                note = failure_note("uncertain", UNCERTAIN)
                for row in (await self._change(sql.RESCUE, note=note, **seen))[:1]:
                    if row["status"] == Status.FAILED.value:
                        logger.error("delivery %d: %s", job.id, UNCERTAIN)
                    else:
                        logger.warning("delivery %d: taken over from a dead worker", job.id)

    async def _settle(
        self,
        delivery: DeliveryJob,
        status: Status,
        *,
        retry_at: dt.datetime | None,
        delete_job: bool,
    ) -> None:
        """Write down what became of a delivery, if need be when the database is back."""
        until = time.monotonic() + _LONGEST_DATABASE_TROUBLE
        rows: list[dict[str, Any]] | None = None
        while rows is None:
            try:
                rows = await self._change(
                    sql.DELETE if delete_job else sql.SETTLE,
                    id=delivery.job_id,
                    worker=delivery.worker_id,
                    status=status.value,
                    counts=int(delivery.state is not DeliveryState.EXCUSED),
                    retry_at=retry_at,
                    note=delivery.note,
                )
            except ConnectorException as error:
                # Given up, it would stay this worker's for as long as the worker lives.
                is_unreachable = isinstance(error.__cause__, _UNREACHABLE)
                if not is_unreachable or time.monotonic() > until:
                    raise
                logger.warning("delivery %d: the database can't be reached", delivery.job_id)
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
        if not rows:
            logger.warning("delivery %d: another worker has taken it over", delivery.job_id)

    async def _change(self, statement: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        message = json.dumps({"type": "job_inserted", "job_id": arguments["id"]})
        return await self.connector.execute_query_all_async(
            sql.AND_TELL_WORKERS.format(statement), message=message, **arguments
        )
