"""The tasks that workers run: one delivers, one takes over what dead workers have left."""

import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, cast

import procrastinate
from procrastinate.jobs import Job
from procrastinate.worker import Worker

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import OutboxError
from sendx_async._core.masking import mask_addresses
from sendx_async._core.options import RetryPolicy
from sendx_async.procrastinate._delivery_job import DeliveryJob, DeliveryState
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.procrastinate._sender import DeliveryFailedError, DeliverySender, LaterError

logger = logging.getLogger("sendx_async")

_WORKER = "sendx_worker"
_HEARTBEATS_MISSED = 3
_SECONDS_AFTER_A_SURPRISE = 60
_A_MINUTE = 60
_FIRST = 1000  # priority; who rescues must not wait for what has to be rescued


class DeliverySenders:
    """Gives each worker of this process its sender.

    Args:
        jobs: Where the deliveries are stored.
        queue: Where they wait.
        make_client: Makes the client.
        retry: The waits, and how often a delivery may fail while others succeed.
    """

    def __init__(
        self,
        jobs: Jobs,
        queue: str,
        make_client: Callable[[], AsyncTrackingClient],
        retry: RetryPolicy,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._make_client = make_client
        self._retry = retry
        self._by_worker: weakref.WeakKeyDictionary[Worker, DeliverySender] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, worker: Worker) -> DeliverySender:
        """Return a worker's sender, a new one if it has none or runs anew."""
        sender = self._by_worker.get(worker)
        if sender is None or sender.is_over:
            sender = self._by_worker[worker] = DeliverySender(
                self._jobs,
                self._queue,
                self._make_client,
                self._retry,
                most_at_once=worker.concurrency,
                # Nothing public tells a job in time that its worker has to stop.
                stopping=worker._stop_event,  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            )
        return sender


class WhatFollows(procrastinate.BaseRetryStrategy):
    """Says whether a delivery that has ended with an error goes back to the queue."""

    def get_retry_decision(
        self, *, exception: BaseException, job: Job
    ) -> procrastinate.RetryDecision | None:
        """Decide about a job; None if it has failed."""
        if isinstance(exception, LaterError):
            return procrastinate.RetryDecision(retry_at=exception.at)
        if isinstance(exception, DeliveryFailedError):
            return None
        delivery = DeliveryJob.hidden_in(job)
        if delivery is not None:
            if delivery.state is DeliveryState.UNDER_WAY:
                return None
            delivery.excuse()  # nothing that is left is the delivery's own fault
        if not isinstance(exception, Exception):  # cancelled: the worker stops
            return procrastinate.RetryDecision()
        text = mask_addresses(f"{type(exception).__name__}: {exception}")
        logger.error("delivery %s was not sent and is kept: %s", job.id, text)
        return procrastinate.RetryDecision(retry_in={"seconds": _SECONDS_AFTER_A_SURPRISE})


def make_tasks(
    queue: str, jobs: Jobs, senders: DeliverySenders, *, rescue_after: float
) -> procrastinate.Blueprint:
    """Make the tasks.

    Args:
        queue: Where their jobs wait.
        jobs: How they are stored.
        senders: Who delivers.
        rescue_after: Seconds without a sign of life after which a worker counts as dead.
    """
    blueprint = procrastinate.Blueprint()

    @blueprint.task(
        name="deliver",
        queue=queue,
        pass_context=True,
        retry=WhatFollows(),
        task_middleware=[_introduce_worker],
    )
    async def deliver(context: procrastinate.JobContext, /, **_: object) -> None:
        delivery = DeliveryJob.hidden_in(context.job)
        if delivery is None:
            raise OutboxError(
                "the worker runs another app than the one that Deliveries was made with: this "
                "delivery is kept for later"
            )
        await senders.of(_worker_of(context)).deliver(delivery)

    # Without a lock: one whose worker died would hold it, and nobody be there to rescue it.
    @blueprint.periodic(cron=_schedule(rescue_after))
    @blueprint.task(
        name="rescue",
        queue=queue,
        queueing_lock=f"{queue}:rescue",
        priority=_FIRST,
        pass_context=True,
        task_middleware=[_introduce_worker],
    )
    async def rescue(context: procrastinate.JobContext, timestamp: int) -> None:  # noqa: ARG001 - the schedule's
        # A worker that seldom gives a sign of life must not be taken for dead.
        least = _HEARTBEATS_MISSED * _worker_of(context).update_heartbeat_interval
        await jobs.rescue(queue, seconds_since_heartbeat=max(rescue_after, least))

    return blueprint


def _schedule(rescue_after: float) -> str:
    if rescue_after >= _A_MINUTE:
        return "* * * * *"
    return f"* * * * * */{int(rescue_after)}"  # the sixth is seconds


async def _introduce_worker(
    call_next: Callable[[], Awaitable[Any]], context: procrastinate.JobContext, worker: Worker
) -> Any:
    _more_of(context)[_WORKER] = worker
    return await call_next()


def _worker_of(context: procrastinate.JobContext) -> Worker:
    return cast("Worker", _more_of(context)[_WORKER])


def _more_of(context: procrastinate.JobContext) -> dict[str, object]:
    return cast("dict[str, object]", context.additional_context)  # pyright: ignore[reportUnknownMemberType]
