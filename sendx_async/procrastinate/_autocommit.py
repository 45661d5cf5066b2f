"""Runs a statement in one message, which PostgreSQL begins, ends and commits by itself.

Procrastinate's connector takes three: BEGIN, the statement, COMMIT. What a worker has locked that
is frozen in between, or whose machine is gone, stays locked until TCP gives the connection up,
which may take hours.
"""

from typing import Any, LiteralString, Self

import procrastinate
import psycopg
from procrastinate.connector import BaseConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.sync_psycopg_connector import wrap_exceptions
from psycopg.pq import TransactionStatus

_LIMIT = "SET LOCAL lock_timeout = '10s'; "


class _LimitedCursor(psycopg.AsyncClientCursor[Any]):
    """Puts a limit to waits for locks before each statement, in the same message.

    A client's cursor, since it sends both as text: several statements in one message are one
    transaction, and need neither a prepared statement nor a session of their own.
    """

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> Self:
        await super().execute(_LIMIT + query, *arguments, **options)
        self.nextset()
        return self


async def execute(
    connector: BaseConnector, statement: LiteralString, **arguments: Any
) -> list[dict[str, Any]]:
    """Run a statement by itself, and give the rows that it returns.

    Args:
        connector: The app's. One that isn't Procrastinate's for psycopg does as it always does.
        statement: The statement, which returns rows.
        **arguments: Its parameters.

    Raises:
        procrastinate.exceptions.ConnectorException: The database refuses, can't be reached, or
            what has to be changed stays locked for 10 seconds (`psycopg.errors.LockNotAvailable`).
    """
    if not isinstance(connector, procrastinate.PsycopgConnector):
        return await connector.execute_query_all_async(statement, **arguments)
    with wrap_exceptions():
        async with connector.pool.connection() as connection:
            autocommit, cursor_factory = connection.autocommit, connection.cursor_factory
            await connection.set_autocommit(True)
            connection.cursor_factory = _LimitedCursor
            try:
                rows: list[dict[str, Any]]
                rows = await connector.execute_query_all_async_with_connection(
                    connection, statement, **arguments
                )
            finally:
                connection.cursor_factory = cursor_factory
                await _set_autocommit(connection, autocommit)
    return rows


async def _set_autocommit(connection: psycopg.AsyncConnection[Any], autocommit: bool) -> None:  # noqa: FBT001 - as psycopg
    """Set it, but for a connection that is lost or in the middle of a statement."""
    if connection.info.transaction_status is TransactionStatus.IDLE:
        await connection.set_autocommit(autocommit)


def is_locked(error: ConnectorException) -> bool:
    """Return whether a statement has failed because what it changes stayed locked."""
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
