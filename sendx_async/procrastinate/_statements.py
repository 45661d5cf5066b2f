"""Every statement about the rows of deliveries, but for Procrastinate's own."""

INDEX_SQL = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS sendx_jobs_in_turn "
    "ON procrastinate_jobs (lock, priority DESC, id) WHERE status IN ('todo', 'doing')"
)
INDEX_NAME = "sendx_jobs_in_turn"
IS_INDEX_BROKEN = (
    "SELECT indexrelid FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
)
DROP_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS sendx_jobs_in_turn"
DROP_FORMER_INDEX = "DROP INDEX CONCURRENTLY IF EXISTS sendx_jobs_in_order"

# A worker may only touch what is still its own: another one may have taken it over. What nobody has
# was left by a worker that seemed dead: who had it may say what became of it, but not send it.
_IS_MINE = "id = %(id)s AND status = 'doing' AND (worker_id = %(worker)s OR worker_id IS NULL)"
_CHANGED = "RETURNING id, lock, queue_name, status, scheduled_at"

MARK = f"""
UPDATE procrastinate_jobs SET args = args || '{{"sending": true}}'
WHERE {_IS_MINE} AND worker_id IS NOT NULL AND NOT args ? 'sending' RETURNING id
"""  # noqa: S608 - made of constants
UNMARK = f"UPDATE procrastinate_jobs SET args = args - 'sending' WHERE {_IS_MINE} RETURNING id"  # noqa: S608 - likewise
SETTLE = f"""
UPDATE procrastinate_jobs
SET status = (
        CASE WHEN abort_requested AND %(status)s = 'todo' THEN 'aborted' ELSE %(status)s END
    )::procrastinate_job_status,
    abort_requested = false,
    attempts = attempts + %(counts)s,
    scheduled_at = coalesce(%(retry_at)s, scheduled_at),
    args = (args - 'sending' - 'failure') || %(note)s
WHERE {_IS_MINE} {_CHANGED}
"""  # noqa: S608 - likewise
DELETE = f"DELETE FROM procrastinate_jobs WHERE {_IS_MINE} {_CHANGED}"  # noqa: S608 - likewise
UNCOUNT = """
UPDATE procrastinate_jobs AS job SET attempts = job.attempts - counted.attempts
FROM unnest(%(ids)s::bigint[], %(counts)s::integer[]) AS counted(id, attempts)
WHERE job.id = counted.id AND job.status IN ('todo', 'doing') RETURNING job.id
"""

# About workers. What somebody keeps locked waits until it is free, and everything else goes on.
HEARTBEAT = """
UPDATE procrastinate_workers AS worker SET last_heartbeat = now()
FROM (
    SELECT id, last_heartbeat FROM procrastinate_workers WHERE id = %(worker)s
) AS before
WHERE worker.id = before.id
RETURNING extract(epoch FROM now() - before.last_heartbeat)::float8 AS seconds
"""
# A sign of life, too. Whoever takes a delivery over locks its worker's row, so one of the two is
# first. The job is locked after that, and so is read as it is then.
CONFIRM = """
WITH alive AS (
    UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = %(worker)s RETURNING id
)
SELECT job.id FROM alive JOIN procrastinate_jobs AS job ON job.worker_id = alive.id
WHERE job.id = %(id)s AND job.status = 'doing'
FOR NO KEY UPDATE OF job
"""
# The worker's row is locked, so that it can't give a sign of life meanwhile. Its jobs are told by
# an array, which is not made anew when a job is found to have changed.
RESCUE = f"""
WITH dead AS MATERIALIZED (
    SELECT id FROM procrastinate_workers AS worker
    WHERE last_heartbeat < now() - make_interval(secs => %(seconds)s) AND EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE worker_id = worker.id AND status = 'doing' AND task_name = %(task)s
    )
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE procrastinate_jobs
SET status = (
        CASE WHEN args ? 'sending' THEN 'failed' WHEN abort_requested THEN 'aborted'
        ELSE 'todo' END
    )::procrastinate_job_status,
    abort_requested = false,
    args = CASE WHEN args ? 'sending' THEN (args - 'sending') || %(note)s ELSE args END
WHERE id IN (
    SELECT id FROM procrastinate_jobs
    WHERE status = 'doing' AND task_name = %(task)s
    AND (worker_id IS NULL OR worker_id = ANY(ARRAY(SELECT id FROM dead)))
    FOR UPDATE SKIP LOCKED
) {_CHANGED}
"""  # noqa: S608 - likewise
# Not of those that have deliveries, which would be nobody's.
PRUNE = """
DELETE FROM procrastinate_workers WHERE id IN (
    SELECT id FROM procrastinate_workers AS worker
    WHERE last_heartbeat < now() - make_interval(secs => %(seconds)s) AND NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE worker_id = worker.id AND status = 'doing' AND task_name = ANY(%(tasks)s)
    )
    FOR UPDATE SKIP LOCKED
) RETURNING id
"""
# What is safe to repeat, and not behind anything else about its contact: what waits for one that a
# worker has will not be sent before that, and that may be what asks. What somebody keeps locked may
# be so for hours, so it counts for nothing.
FIND_SAFE = """
SELECT id, status, args FROM procrastinate_jobs AS job
WHERE task_name = %(task)s AND status IN ('todo', 'doing') AND id > %(after)s
    AND args->>'operation' = ANY(%(operations)s)  -- the request itself has to be looked at, too
    AND (status = 'doing' OR NOT EXISTS (
        SELECT FROM procrastinate_jobs AS other
        WHERE other.lock = job.lock AND other.status IN ('todo', 'doing')
            AND (other.status = 'doing' OR other.id < job.id)
    ))
ORDER BY id LIMIT %(most)s FOR SHARE SKIP LOCKED
"""
CLAIM = """
UPDATE procrastinate_jobs AS job SET status = 'doing', worker_id = %(worker)s
WHERE id IN (
    SELECT id FROM procrastinate_jobs WHERE id = %(id)s AND status = 'todo'
    FOR NO KEY UPDATE SKIP LOCKED
) AND NOT EXISTS (
    SELECT FROM procrastinate_jobs AS other
    WHERE other.lock = job.lock
        AND (other.status = 'doing' OR (other.status = 'todo' AND other.id < job.id))
)
RETURNING job.*
"""
SECONDS_SINCE_UNCERTAIN = """
SELECT extract(epoch FROM now() - max(event.at))::float AS seconds
FROM procrastinate_jobs AS job
JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'failed'
WHERE job.queue_name = %(queue)s AND job.task_name = %(task)s AND job.status = 'failed'
    AND job.args->'failure'->>'kind' = 'uncertain' AND job.args->'failure'->>'error' <> %(but_for)s
"""
UNREGISTER = "DELETE FROM procrastinate_workers WHERE id = %(worker)s RETURNING id"
# Procrastinate tells workers of new jobs only. They would find the others when they look for
# themselves, every five seconds.
AND_TELL_WORKERS = """
WITH changed AS ({})
SELECT changed.id, changed.status,
    CASE WHEN channel IS NOT NULL THEN pg_notify(
        channel, json_build_object('type', 'job_inserted', 'job_id', changed.id)::text
    ) END
FROM changed LEFT JOIN LATERAL (
    SELECT unnest(ARRAY[
        'procrastinate_any_queue_v1', 'procrastinate_queue_v1#' || changed.queue_name
    ]) AS channel
    WHERE (changed.status = 'todo' AND coalesce(changed.scheduled_at, now()) <= now()) OR EXISTS (
        SELECT FROM procrastinate_jobs AS next
        WHERE next.lock = changed.lock AND next.status = 'todo' AND next.id <> changed.id
    )
) AS channels ON true
"""
