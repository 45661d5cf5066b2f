"""Procrastinate's job manager, more careful with deliveries than with other jobs."""

import asyncio
import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString, cast

import attrs
import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import NotificationCallback

from sendx_async._runtime.real_time import monotonic
from sendx_async.procrastinate import _autocommit
from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._delivery_job import UNCERTAIN, DeliveryJob, DeliveryState
from sendx_async.procrastinate._fetching import JobFetcher
from sendx_async.procrastinate._liveness import Liveness, log_failure, logging_failures
from sendx_async.procrastinate._moment import Moment

_LONGEST_DATABASE_TROUBLE = 60.0  # seconds
_SECONDS_BETWEEN_TRIES = 1.0
_MOST_COLLISIONS = 5
_UNREACHABLE = (psycopg.OperationalError, psycopg.InterfaceError)

logger = logging.getLogger("sendx_async")


@attrs.define(eq=False)
class _Unsettled:
    """What has to be written down of a job, and perhaps is, as the database didn't answer.

    Attributes:
        statement: What writes it.
        arguments: Of the statement.
        is_in_hand: Whether somebody is at it.
    """

    statement: LiteralString
    arguments: dict[str, Any]
    is_in_hand: bool = False

    @classmethod
    def of(
        cls,
        job_id: int,
        worker_id: int,
        status: Status = Status.TODO,
        *,
        counts: bool = False,
        retry_at: dt.datetime | None = None,
        note: Mapping[str, Any] | None = None,
        delete_job: bool = False,
    ) -> "_Unsettled":
        """Return what puts a worker's job into a status; by default back, as it was."""
        arguments: dict[str, Any] = {
            "id": job_id,
            "worker": worker_id,
            "status": status.value,
            "counts": int(counts),
            "retry_at": retry_at,
            "note": dict(note or {}),
        }
        return cls(sql.DELETE if delete_job else sql.SETTLE, arguments)


class Jobs(Liveness):
    """Hides whom deliveries are about, and lets a worker change only what is still its own.

    Args:
        connector: The app's connector.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self._fetchers: dict[tuple[str, ...] | None, JobFetcher] = {}
        self._unsettled: dict[int, _Unsettled] = {}  # by the id of the job

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """Fetch a job; a delivery without personal data in what Procrastinate logs of it."""
        owned_at = self._alive_at(worker_id)
        job = await self._fetch(queues, worker_id)
        if job is None or job.task_name not in self.delivering:
            return job
        self._unsettled.pop(cast("int", job.id), None)  # it was settled, else it would not be ready
        return self._delivery_of(job, owned_at).hide_in(job)

    def _alive_at(self, worker_id: int) -> Moment:
        """Return when a worker has given its latest sign of life, before it fetches a job."""
        return self._signs_of_life.get(worker_id) or Moment()

    def _delivery_of(self, job: Job, owned_at: Moment) -> DeliveryJob:
        # Nobody takes it over for `rescue_after` from then on. Half of it leaves time to send.
        owned_for = self.delivering[job.task_name] / 2
        return DeliveryJob.of(job, owned_at=owned_at, owned_for=owned_for)

    async def claim(self, job_id: int, worker_id: int) -> DeliveryJob | None:
        """Fetch a certain delivery, if it waits and none about its contact comes before it.

        It isn't run as a job: `give_back` has to follow, and counts as no try.

        Args:
            job_id: Which one.
            worker_id: Who wants it.
        """
        owned_at = self._alive_at(worker_id)
        try:
            rows = await self._execute(sql.CLAIM, id=job_id, worker=worker_id)
        except UniqueViolation:
            return None  # another worker has fetched one of its contact in the same moment
        except BaseException:
            # It may have been claimed all the same, and nobody knows that it has to go back.
            self._unsettled[job_id] = _Unsettled.of(job_id, worker_id)
            raise
        if not rows:
            return None
        self._unsettled.pop(job_id, None)  # as above
        return self._delivery_of(Job.from_row(rows[0]), owned_at)

    async def update_heartbeat(self, worker_id: int) -> None:
        """Give a sign of life, and settle what could not be settled in time."""
        await super().update_heartbeat(worker_id)
        for job_id, unsettled in list(self._unsettled.items()):
            if not unsettled.is_in_hand:
                with logging_failures(f"delivery {job_id} could not be settled"):
                    await self._settle_now(unsettled)

    async def _fetch(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        for _ in range(_MOST_COLLISIONS):
            try:
                return await self._fetcher_of(queues).fetch(self.connector, worker_id)
            except UniqueViolation:
                # Another worker took a job with the same lock in the same moment. It would be the
                # end of this one, and is over by now.
                continue
            except ConnectorException as error:
                if not _autocommit.is_locked(error):
                    raise
                break  # it looks again soon
        return None

    def _fetcher_of(self, queues: Iterable[str] | None) -> JobFetcher:
        name = None if queues is None else tuple(queues)
        return self._fetchers.setdefault(name, JobFetcher(name))

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001 - as it is called
        """Note that a job has ended; a delivery that has failed is never deleted."""
        delivery = DeliveryJob.hidden_in(job)
        if delivery is None:
            await super().finish_job(job=job, status=status, delete_job=delete_job)
            return
        if delivery.state is DeliveryState.LOST:
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

    async def confirm(self, delivery: DeliveryJob) -> None:
        """Make sure that a delivery is still the worker's own, which it may be no longer.

        The worker may have been frozen, or have waited, for so long that others took it for dead.

        Raises:
            DeliveryLostError: It isn't, and must not be sent here.
            procrastinate.exceptions.ConnectorException: The database doesn't say, so it must not be
                sent now.
        """
        while not delivery.is_surely_own:
            asked_at = Moment()
            try:
                rows = await self._execute(
                    sql.CONFIRM, id=delivery.job_id, worker=delivery.worker_id
                )
            except ConnectorException:
                delivery.end()
                raise
            if not rows:
                raise delivery.lose()
            delivery.owned_at = self._signs_of_life[delivery.worker_id] = asked_at

    async def mark(self, delivery: DeliveryJob) -> None:
        """Note that a delivery is about to be sent, and must not be sent twice.

        Raises:
            DeliveryLostError: It is no longer the worker's own, and must not be sent here.
        """
        rows = await self._execute(sql.MARK, id=delivery.job_id, worker=delivery.worker_id)
        if not rows:
            raise delivery.lose()
        delivery.begin()

    async def unmark(self, delivery: DeliveryJob) -> None:
        """Note that a delivery was certainly not applied."""
        delivery.end()
        await self._execute(sql.UNMARK, id=delivery.job_id, worker=delivery.worker_id)

    async def give_back(self, delivery: DeliveryJob) -> None:
        """Put a delivery back that this worker has claimed, if it is still its own."""
        if delivery.state is DeliveryState.LOST:
            return
        delivery.excuse()
        await self._settle(delivery, Status.TODO, retry_at=None, delete_job=False)

    async def uncount(self, attempts: Mapping[int, int]) -> None:
        """Take attempts back from deliveries that turned out not to be at fault."""
        await self._execute(sql.UNCOUNT, ids=list(attempts), counts=list(attempts.values()))

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Listen for new jobs, anew if the database couldn't be reached meanwhile.

        Procrastinate would not listen again, and look for jobs every few seconds for ever.
        """
        while True:
            try:
                return await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                log_failure("new jobs can't be listened for", error)
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _settle(
        self,
        delivery: DeliveryJob,
        status: Status,
        *,
        retry_at: dt.datetime | None,
        delete_job: bool,
    ) -> None:
        """Write down what became of a delivery, if need be when the database is back."""
        until = monotonic() + _LONGEST_DATABASE_TROUBLE
        unsettled = _Unsettled.of(
            delivery.job_id,
            delivery.worker_id,
            status,
            counts=delivery.state is not DeliveryState.EXCUSED,
            retry_at=retry_at,
            note=delivery.note,
            delete_job=delete_job,
        )
        self._unsettled[delivery.job_id] = unsettled
        rows: list[dict[str, Any]] | None = None
        # Fetched again meanwhile, it was settled though the database didn't say so.
        while rows is None and self._unsettled.get(delivery.job_id) is unsettled:
            try:
                rows = await self._settle_now(unsettled)
            except ConnectorException as error:
                # Given up, it would stay this worker's for as long as the worker lives.
                is_unreachable = isinstance(error.__cause__, _UNREACHABLE)
                is_too_late = monotonic() > until and not _autocommit.is_locked(error)
                if not is_unreachable:
                    self._unsettled.pop(delivery.job_id, None)
                if not is_unreachable or is_too_late:
                    raise
                log_failure(f"delivery {delivery.job_id}: what became of it can't be noted", error)
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
        if rows == []:
            logger.warning("delivery %d: another worker has taken it over", delivery.job_id)

    async def _settle_now(self, unsettled: _Unsettled) -> list[dict[str, Any]]:
        unsettled.is_in_hand = True
        try:
            rows = await self._change(unsettled.statement, **unsettled.arguments)
        finally:
            unsettled.is_in_hand = False
        # But not what has become of it since.
        self._unsettled = {
            key: each for key, each in self._unsettled.items() if each is not unsettled
        }
        return rows
