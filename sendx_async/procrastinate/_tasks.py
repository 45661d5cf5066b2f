"""The tasks that workers run."""

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
from sendx_async.procrastinate._delivery_job import (
    DeliveryJob,
    DeliveryLostError,
    DeliveryState,
)
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.procrastinate._sender import DeliveryFailedError, DeliverySender, LaterError

logger = logging.getLogger("sendx_async")

_WORKER = "sendx_worker"
_SECONDS_AFTER_A_SURPRISE = 60


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

    def of(self, worker: Worker) -> DeliverySender | None:
        """Return a worker's sender, a new one if it has none or runs anew; None if it has stopped.

        A worker that stops may fetch one more job, when its sender has given everything back.
        """
        # Nothing public tells a job in time that its worker has to stop.
        stopping = worker._stop_event  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        sender = self._by_worker.get(worker)
        if sender is not None and sender.is_over and stopping.is_set():
            return None
        if sender is None or sender.is_over:
            sender = self._by_worker[worker] = DeliverySender(
                self._jobs,
                self._queue,
                self._make_client,
                self._retry,
                most_at_once=worker.concurrency,
                stopping=stopping,
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
        if isinstance(exception, (DeliveryFailedError, DeliveryLostError)):
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


def make_tasks(queue: str, senders: DeliverySenders) -> procrastinate.Blueprint:
    """Make the tasks.

    Args:
        queue: Where their jobs wait.
        senders: Who delivers.
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
        sender = senders.of(_worker_of(context))
        if sender is None:
            delivery.excuse()
            raise LaterError("the worker has stopped")
        await sender.deliver(delivery)

    # Earlier versions looked for dead workers with jobs of this name, and may have left some.
    @blueprint.task(name="rescue", queue=queue)
    async def rescue(**_: object) -> None:
        pass

    return blueprint


async def _introduce_worker(
    call_next: Callable[[], Awaitable[Any]], context: procrastinate.JobContext, worker: Worker
) -> Any:
    _more_of(context)[_WORKER] = worker
    return await call_next()


def _worker_of(context: procrastinate.JobContext) -> Worker:
    return cast("Worker", _more_of(context)[_WORKER])


def _more_of(context: procrastinate.JobContext) -> dict[str, object]:
    return cast("dict[str, object]", context.additional_context)  # pyright: ignore[reportUnknownMemberType]
