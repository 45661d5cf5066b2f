"""Finds what SendX can be tried with in an outage: a delivery that is safe to repeat."""

from typing import Any

import attrs
from procrastinate.jobs import Status

from sendx_async._core.errors import InvalidRequestError, OutboxError
from sendx_async._core.operations import IDENTIFY, TRACK
from sendx_async._core.protocol import is_replay_safe
from sendx_async._core.stored import from_stored
from sendx_async._policy.admission import SECONDS_BETWEEN_EVENTS, SECONDS_BETWEEN_LOOKS
from sendx_async._runtime.real_time import monotonic
from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._autocommit import execute
from sendx_async.procrastinate._delivery_job import UNCERTAIN, DeliveryJob, task_name
from sendx_async.procrastinate._job_manager import Jobs

_ROWS_AT_A_TIME = 50
_SHORTEST_WAIT = 1.0  # seconds between two looks
_SHARE_OF_THE_TIME = 0.05  # that looking may take


@attrs.frozen
class Probe:
    """What SendX may be tried with.

    Attributes:
        borrowed: A delivery that is safe to repeat, claimed for this worker; None if there is none.
        seconds: Without one: for how long nothing else may be tried; 0 if something may be now.
    """

    borrowed: DeliveryJob | None
    seconds: float = 0.0


class Probes:
    """Finds what a worker may try SendX with, when it has only what must not be sent twice.

    Args:
        jobs: The deliveries.
        queue: Their queue.
    """

    def __init__(self, jobs: Jobs, queue: str) -> None:
        self._jobs = jobs
        self._queue = queue
        self._task_name = task_name(queue)
        self._last = 0  # the id of the last one, so that the next one is another

    async def find(self, worker_id: int, *, wait_for_event: float) -> Probe:
        """Return a delivery that is safe to repeat, if there is any that nobody else has.

        It is claimed for the worker, so that nobody else sends it or what follows it. It has to be
        given back: it counts as not sent.

        Args:
            worker_id: Who asks.
            wait_for_event: Seconds until an event may be tried, as far as the worker itself knows.
        """
        begun = monotonic()
        claimed, is_elsewhere = await self._claim_first(worker_id, after=self._last)
        if claimed is None and self._last:
            claimed, is_elsewhere = await self._claim_first(worker_id, after=0)
        if claimed is not None:
            self._last = claimed.job_id
            return Probe(claimed)
        if is_elsewhere:
            looked = monotonic() - begun
            wait = max(_SHORTEST_WAIT, looked / _SHARE_OF_THE_TIME)
        else:
            others = SECONDS_BETWEEN_EVENTS - await self._seconds_since_uncertain()
            wait = max(0.0, wait_for_event, others)
        return Probe(None, min(SECONDS_BETWEEN_LOOKS, wait))

    async def _claim_first(self, worker_id: int, *, after: int) -> tuple[DeliveryJob | None, bool]:
        """Return the first one that can be claimed, and whether there is any that can't be."""
        is_elsewhere = False
        while rows := await self._read(after):
            for place, status, is_safe in rows:
                after = place
                if not is_safe:
                    continue
                if status == Status.TODO.value:
                    claimed = await self._jobs.claim(after, worker_id)
                    if claimed is not None:
                        return claimed, is_elsewhere
                is_elsewhere = True
        return None, is_elsewhere

    async def _read(self, after: int) -> list[tuple[int, str, bool]]:
        """Return the ids behind one, each with its status and whether it may be applied twice.

        Not the requests themselves: while others are waited for, tracebacks would show them.
        """
        rows = await execute(
            self._jobs.connector,
            sql.FIND_SAFE,
            task=self._task_name,
            operations=[IDENTIFY.name, TRACK.name],
            after=after,
            most=_ROWS_AT_A_TIME,
        )
        return [(row["id"], row["status"], _is_safe(row["args"])) for row in rows]

    async def _seconds_since_uncertain(self) -> float:
        (row,) = await execute(
            self._jobs.connector,
            sql.SECONDS_SINCE_UNCERTAIN,
            queue=self._queue,
            task=self._task_name,
            but_for=UNCERTAIN,
        )
        seconds: float | None = row["seconds"]
        return SECONDS_BETWEEN_EVENTS if seconds is None else seconds


def _is_safe(args: dict[str, Any]) -> bool:
    try:
        request = from_stored(args)
    except (InvalidRequestError, OutboxError):
        return False
    return is_replay_safe(request)
