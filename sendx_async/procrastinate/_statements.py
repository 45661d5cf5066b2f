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

# A worker may only touch what is still its own: another one may have taken it over.
_IS_MINE = "id = %(id)s AND status = 'doing' AND (worker_id = %(worker)s OR worker_id IS NULL)"
# Seen with a dead worker, and nothing has happened to it since.
_IS_STALLED = "id = %(id)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker)s"
_CHANGED = "RETURNING id, lock, queue_name, status, scheduled_at"

MARK = f"""
UPDATE procrastinate_jobs SET args = args || '{{"sending": true}}'
WHERE {_IS_MINE} AND NOT args ? 'sending' RETURNING id
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
RESCUE = f"""
UPDATE procrastinate_jobs
SET status = (
        CASE WHEN args ? 'sending' THEN 'failed' WHEN abort_requested THEN 'aborted'
        ELSE 'todo' END
    )::procrastinate_job_status,
    abort_requested = false,
    args = CASE WHEN args ? 'sending' THEN (args - 'sending') || %(note)s ELSE args END
WHERE {_IS_STALLED} {_CHANGED}
"""  # noqa: S608 - likewise
FORGET = f"DELETE FROM procrastinate_jobs WHERE {_IS_STALLED}"  # noqa: S608 - likewise
# What is safe to repeat, and not behind anything else about its contact.
FIND_SAFE = """
SELECT id, status, attempts, args FROM procrastinate_jobs AS job
WHERE task_name = %(task)s AND status IN ('todo', 'doing') AND id > %(after)s
    AND args->>'operation' = ANY(%(operations)s)  -- the request itself has to be looked at, too
    AND NOT EXISTS (
        SELECT FROM procrastinate_jobs AS earlier
        WHERE earlier.lock = job.lock AND earlier.id < job.id
            AND earlier.status IN ('todo', 'doing')
    )
ORDER BY id LIMIT %(most)s
"""
CLAIM = """
UPDATE procrastinate_jobs AS job SET status = 'doing', worker_id = %(worker)s
WHERE id = %(id)s AND status = 'todo' AND NOT EXISTS (
    SELECT FROM procrastinate_jobs AS other
    WHERE other.lock = job.lock
        AND (other.status = 'doing' OR (other.status = 'todo' AND other.id < job.id))
)
RETURNING id
"""
SECONDS_SINCE_UNCERTAIN = """
SELECT extract(epoch FROM now() - max(event.at))::float AS seconds
FROM procrastinate_jobs AS job
JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'failed'
WHERE job.queue_name = %(queue)s AND job.task_name = %(task)s AND job.status = 'failed'
    AND job.args->'failure'->>'kind' = 'uncertain' AND job.args->'failure'->>'error' <> %(but_for)s
"""
UNCOUNT = """
UPDATE procrastinate_jobs AS job SET attempts = job.attempts - counted.attempts
FROM unnest(%(ids)s::bigint[], %(counts)s::integer[]) AS counted(id, attempts)
WHERE job.id = counted.id AND job.status IN ('todo', 'doing')
"""
# Procrastinate tells workers of new jobs only. They would find the others when they look for
# themselves, every five seconds.
AND_TELL_WORKERS = """
WITH changed AS ({})
SELECT changed.id, changed.status,
    CASE WHEN channel IS NOT NULL THEN pg_notify(channel, %(message)s) END
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
