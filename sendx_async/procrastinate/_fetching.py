"""Which job a worker gets next, when many at the head of the queue wait for others of their lock.

Procrastinate looks from the head each time, and asks of each job whether another one with its lock
comes first: 100,000 deliveries about one contact take it a second, for each job that it fetches.
So a look that took long is not repeated at once: for ten times as long, looks go on from where it
ended. Jobs with locks of which more wait are looked up by their lock, every fourth time. Nothing is
left over: before a worker is told that there is no job, all are looked at.
"""

from collections.abc import Iterable
from typing import LiteralString, cast

import procrastinate.sql
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.testing import InMemoryConnector

from sendx_async._runtime.real_time import monotonic
from sendx_async.procrastinate import _autocommit

SLOW = 0.02  # seconds; while looks from the head end sooner, there are no others
_TIMES_AS_LONG = 10  # so looks from the head take a tenth of the time
_LONGEST = 30.0  # seconds without one
_MOST_KNOWN = 32  # locks
_ONE_TURN_OF = 4  # is theirs; the others are theirs only if nothing else is ready

_READY = """
    AND (%(queues)s::varchar[] IS NULL OR jobs.queue_name = ANY (%(queues)s::varchar[]))
    AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
    AND NOT EXISTS (
        SELECT FROM procrastinate_jobs AS other
        WHERE other.lock = jobs.lock AND other.status = 'doing'
    )
"""
_TAKE = """
WITH candidate AS ({} LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED)
UPDATE procrastinate_jobs AS taken SET status = 'doing', worker_id = %(worker)s
FROM candidate WHERE taken.id = candidate.id
RETURNING taken.*, EXISTS (
    SELECT FROM procrastinate_jobs AS next
    WHERE next.lock = taken.lock AND next.status = 'todo' AND next.id <> taken.id
) AS has_next
"""
_HAS_NEXT = """
SELECT EXISTS (
    SELECT FROM procrastinate_jobs WHERE lock = %(lock)s AND status = 'todo'
) AS has_next
"""
_WITH_OTHER_LOCK = f"""
    SELECT jobs.id FROM procrastinate_jobs AS jobs
    WHERE jobs.status = 'todo' {_READY}
    AND (jobs.lock IS NULL OR jobs.lock <> ALL (%(known)s::text[]))
    AND NOT EXISTS (
        SELECT FROM procrastinate_jobs AS other
        WHERE other.lock = jobs.lock AND other.status = 'todo' AND (
            other.priority > jobs.priority
            OR other.priority = jobs.priority AND other.id < jobs.id
        )
    )
    {{}}
    ORDER BY jobs.priority DESC, jobs.id
"""  # noqa: S608 - made of constants
_WITH_KNOWN_LOCK = f"""
    SELECT jobs.id FROM unnest(%(known)s::text[]) AS known(lock)
    CROSS JOIN LATERAL (
        SELECT first.id FROM procrastinate_jobs AS first
        WHERE first.lock = known.lock AND first.status = 'todo'
        ORDER BY first.priority DESC, first.id LIMIT 1
    ) AS first
    JOIN procrastinate_jobs AS jobs ON jobs.id = first.id
    WHERE jobs.status = 'todo' {_READY}
    ORDER BY jobs.priority DESC, jobs.id
"""  # noqa: S608 - likewise
_TAKE_FROM_HEAD = _TAKE.format(_WITH_OTHER_LOCK.format(""))
_TAKE_AHEAD = _TAKE.format(
    _WITH_OTHER_LOCK.format("AND jobs.priority = %(priority)s AND jobs.id > %(id)s")
)
_TAKE_KNOWN = _TAKE.format(_WITH_KNOWN_LOCK)


class JobFetcher:
    """Fetches jobs for the workers of a process that have the same queues.

    As Procrastinate's own function does: what is ready, by priority and age, jobs with the same
    lock in their order and one at a time. While that takes long, a job may be fetched although
    another one, with another lock, has a higher priority or is older, for half a minute at most.

    Args:
        queues: The names of the queues; None for all.
    """

    def __init__(self, queues: Iterable[str] | None) -> None:
        self._queues = None if queues is None else list(queues)
        # The priority and id behind which looks go on; None: all are from the head.
        self._reached: tuple[int, int] | None = None
        self._head_looked_at = self._head_due_at = 0.0  # by the monotonic clock
        self._known: dict[str, None] = {}  # locks of which more jobs wait, the latest at the end
        self._turn = 0

    async def fetch(self, connector: BaseConnector, worker_id: int) -> Job | None:
        """Fetch a job for a worker; None if no job is ready.

        Raises:
            procrastinate.exceptions.UniqueViolation: Another worker took a job with the same lock
                in the same moment.
        """
        if isinstance(connector, InMemoryConnector):  # it knows no other statement
            return await JobManager(connector).fetch_job(self._queues, worker_id)
        job = None
        if monotonic() < self._head_due_at:
            job = await self._fetch_ahead(connector, worker_id)
        if job is None:
            job = await self._fetch_from_head(connector, worker_id)
        if job is None:
            # What Procrastinate is told during a look, and this one took long, it forgets.
            job = await self._fetch_ahead(connector, worker_id)
        return job

    async def _fetch_from_head(self, connector: BaseConnector, worker_id: int) -> Job | None:
        begun = monotonic()
        if self._reached is None:
            job = await self._fetch_as_procrastinate_does(connector, worker_id)
        else:
            job = await self._take(connector, worker_id, _TAKE_FROM_HEAD)
        seconds = monotonic() - begun
        self._head_looked_at = self._head_due_at = begun
        if seconds >= SLOW or job is None:
            if job is not None and self._reached is None:
                self._note_lock(job, has_next=await self._has_next(connector, job))
            self._note_scan(job, seconds)
        else:
            self._reached = None
            self._known.clear()
        return job

    async def _fetch_as_procrastinate_does(
        self, connector: BaseConnector, worker_id: int
    ) -> Job | None:
        statement = procrastinate.sql.queries["fetch_job"]
        (row,) = await _autocommit.execute(
            connector, statement, queues=self._queues, worker_id=worker_id
        )
        return None if row["id"] is None else Job.from_row(row)

    async def _has_next(self, connector: BaseConnector, job: Job) -> bool:
        try:
            (found,) = await _autocommit.execute(connector, _HAS_NEXT, lock=job.lock)
        except ConnectorException:
            return False  # the job was fetched, and is nobody's if it isn't given to the worker
        return bool(found["has_next"])

    async def _fetch_ahead(self, connector: BaseConnector, worker_id: int) -> Job | None:
        """Fetch one put later or one with a known lock, by turns: there may be many of each."""
        if self._reached is None:
            return None
        priority, id_ = self._reached
        self._turn = (self._turn + 1) % _ONE_TURN_OF
        is_turn_of_known = self._turn == 0
        for is_known in (is_turn_of_known, not is_turn_of_known):
            if not is_known:
                begun = monotonic()
                job = await self._take(connector, worker_id, _TAKE_AHEAD, priority=priority, id=id_)
                self._note_scan(job, monotonic() - begun)
            elif self._known:
                job = await self._take(connector, worker_id, _TAKE_KNOWN)
            else:
                continue
            if job is not None:
                return job
        return None

    def _note_scan(self, job: Job | None, seconds: float) -> None:
        due = self._head_looked_at + min(_TIMES_AS_LONG * seconds, _LONGEST)
        self._head_due_at = max(self._head_due_at, due)
        if job is not None:
            self._reached = (job.priority, cast("int", job.id))

    def _note_lock(self, job: Job, *, has_next: bool) -> None:
        if job.lock is None:
            return
        self._known.pop(job.lock, None)
        if has_next:
            self._known[job.lock] = None
        if len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    async def _take(
        self, connector: BaseConnector, worker_id: int, statement: LiteralString, **values: object
    ) -> Job | None:
        rows = await _autocommit.execute(
            connector,
            statement,
            queues=self._queues,
            worker=worker_id,
            known=list(self._known),
            **values,
        )
        if not rows:
            return None
        job = Job.from_row(rows[0])
        self._note_lock(job, has_next=rows[0]["has_next"])
        return job
