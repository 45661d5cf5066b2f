"""Deliveries on Procrastinate: many machines, in your own PostgreSQL, inside your transactions.

Make one `Deliveries` beside your `procrastinate.App`, put requests with it in the transaction they
belong to, and start workers with Procrastinate's own command. Needs Procrastinate, which the extra
``procrastinate`` installs.
"""

try:
    from sendx_async.procrastinate._deliveries import Deliveries
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] not in {"procrastinate", "psycopg"}:
        raise
    raise ModuleNotFoundError(
        "sendx_async.procrastinate needs Procrastinate: pip install 'sendx-async[procrastinate]'"
    ) from error

__all__ = ["Deliveries"]
