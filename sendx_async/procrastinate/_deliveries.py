"""`Deliveries`: puts requests into the queue, and makes the tasks that workers run."""

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, cast

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core import options
from sendx_async._core.errors import ConfigurationError, InvalidRequestError, OutboxError
from sendx_async._core.models import AnyRequest
from sendx_async._core.options import RetryPolicy
from sendx_async._core.wrong_types import type_name
from sendx_async.procrastinate import _statements as sql
from sendx_async.procrastinate._delivery_job import Stored, store, task_name
from sendx_async.procrastinate._job_manager import Jobs
from sendx_async.procrastinate._tasks import DeliverySenders, make_tasks

_RETRY = RetryPolicy(12, base=4.0, cap=3600.0)
_LONGEST_QUEUE = 40  # characters; it becomes a part of the name of a channel, which may have 63


class Deliveries:
    """Puts requests into a queue of Procrastinate, from where its workers deliver them.

    Make it in the module of your app, so that workers find its tasks::

        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=...))
        sendx = Deliveries(app)

        async with connection.transaction():
            await connection.execute("INSERT INTO users ...")
            await sendx.put({"email": "jane@example.com"}, connection=connection)

    and start workers with ``procrastinate --app=my_module.app worker --queues=sendx``, where that
    module can be imported. A request
    that was put in a transaction that commits is delivered, others are not. Requests about one
    contact are delivered one at a time, in the order in which they were put.

    A request that SendX refuses, or that fails again and again while others succeed, becomes a job
    with the status ``failed``; its ``args`` hold a ``failure`` that says why. So does one that was
    under way when its worker died and that must not be sent twice. While SendX is in trouble, or
    refuses the key, workers wait and nothing fails.

    Args:
        app: Your app, with a connector to PostgreSQL. In Django Procrastinate has one for you,
            ``procrastinate.contrib.django.app``, that can be given once Django is set up.
        client: Called in a worker when the first job comes, and anew whenever the key was refused:
            gives the client, which is closed with the worker. Its ``retry`` and ``deadline`` don't
            matter. Default: `AsyncTrackingClient`, set up by the environment.
        queue: The queue, which also names the tasks; another one for another SendX account.
            Default "sendx".
        retry: ``max_retries`` says how often a delivery may fail by its own fault before it is
            given up, ``base`` and ``cap`` how many seconds it waits in between; ``budget`` and the
            rest don't matter. Default ``RetryPolicy(12, base=4, cap=3600)``, an hour and a half.
        rescue_after: Seconds without a sign of life after which a worker counts as dead, and
            others take over what it had. Each of them looks when it starts and whenever it gives a
            sign of life itself, by default every 10 seconds. It is never less than three of those.
            Default 60.

    Attributes:
        INDEX_SQL: Makes the index that keeps workers fast while many deliveries wait for others of
            their contact; for a migration. It does nothing if there is one of its name, and can't
            run inside a transaction.

    Raises:
        ConfigurationError: An option is wrong, or the app has a job manager of another kind.
        procrastinate.exceptions.TaskAlreadyRegistered: The app has this queue already.
    """

    __module__ = "sendx_async.procrastinate"

    INDEX_SQL: Final = sql.INDEX_SQL

    def __init__(
        self,
        app: procrastinate.App,
        *,
        client: Callable[[], AsyncTrackingClient] = AsyncTrackingClient,
        queue: str = "sendx",
        retry: RetryPolicy = _RETRY,
        rescue_after: float = 60.0,
    ) -> None:
        app = _app_behind(app)
        if not callable(client):
            raise ConfigurationError("client must be a function that makes an AsyncTrackingClient")
        _check_queue(queue)
        rescue_after = options.make_seconds("rescue_after", rescue_after)
        if rescue_after < 1:
            raise ConfigurationError("rescue_after must be at least 1 second")
        retry = options.make_retry(retry)
        self._app = app
        self._queue = queue
        self._jobs = _careful_manager_of(app)
        senders = DeliverySenders(self._jobs, queue, client, retry)
        app.add_tasks_from(make_tasks(queue, senders), namespace=queue)
        self._jobs.delivering[task_name(queue)] = rescue_after

    async def put(
        self,
        request: AnyRequest | Mapping[str, Any],
        *,
        connection: "psycopg.AsyncConnection[Any] | None" = None,
        key: str | None = None,
    ) -> int:
        """Put a request into the queue; it is delivered once the transaction has committed.

        An event without a time gets that of this call. There is no id of the caller's own against
        putting twice: Procrastinate knows such ids of jobs that still wait only, so one would
        promise more than it holds. The transaction is what makes a request put exactly once.

        Transactions that overlap and put requests about the same contact come in no certain order.

        Args:
            request: A model, or a mapping like one, as `AsyncTrackingClient.send` takes.
            connection: Your connection, in whose transaction the request is put. Default: one of
                the app's, in a transaction of its own; the app has to be open. With Django's app:
                Django's own, in the transaction that it is in; there is nothing to open.
            key: What has to be kept in order with this request, if not what is about the same
                address: for all requests with the same key the order holds. Needed to rename a
                contact, which is about two addresses; your own id of the user is a good one.
                Default: the address, in any case.

        Returns:
            The delivery's id: the id of the job.

        Raises:
            InvalidRequestError: It can't be sent, or PostgreSQL can't store it; nothing was put.
            OutboxError: The connection is not an asynchronous one of psycopg.
            procrastinate.exceptions.ProcrastinateException: The app isn't open, or the database
                refuses; nothing was put.
        """
        try:
            stored = self._store(request, key)
        finally:
            del request  # tracebacks show the variables of a frame
        manager: JobManager = self._jobs
        if isinstance(connection, psycopg.Connection):
            raise OutboxError("put needs an asynchronous connection, use put_sync with this one")
        if connection is not None:
            _check_connection(connection, psycopg.AsyncConnection)
            # It needs no pool, so it does not matter how the app was opened.
            manager = JobManager(procrastinate.PsycopgConnector())
        with _naming_search_path():
            try:
                job = await manager.defer_job_async(self._job(stored), connection=connection)
            except BaseException as error:
                _cut_frames_below(error)
                raise
        return cast("int", job.id)

    def put_sync(
        self,
        request: AnyRequest | Mapping[str, Any],
        *,
        connection: "psycopg.Connection[Any] | None" = None,
        key: str | None = None,
    ) -> int:
        """Put a request into the queue, without ``await``; as `put`, with a synchronous connection.

        Args:
            request: As for `put`.
            connection: Your connection. Default: one of the app's, which has to be open
                synchronously. With Django's app: Django's own, so a put inside of
                ``transaction.atomic()`` is part of that transaction.
            key: As for `put`.

        Returns:
            The id of the job.

        Raises:
            InvalidRequestError: As `put`.
            OutboxError: The connection is an asynchronous one, or none of psycopg.
            procrastinate.exceptions.ProcrastinateException: As `put`.
        """
        try:
            stored = self._store(request, key)
        finally:
            del request
        manager: JobManager = self._jobs
        if isinstance(connection, psycopg.AsyncConnection):
            raise OutboxError("put_sync needs a synchronous connection, use put with this one")
        if connection is not None:
            _check_connection(connection, psycopg.Connection)
            manager = JobManager(procrastinate.SyncPsycopgConnector())
        with _naming_search_path():
            try:
                job = manager.defer_job(self._job(stored), connection=connection)
            except BaseException as error:
                _cut_frames_below(error)
                raise
        return cast("int", job.id)

    async def create_index(self) -> None:
        """Create the index of `INDEX_SQL`, unless there is one; nobody has to wait meanwhile.

        Without it a worker takes ever longer to find its next job while many jobs wait for others
        of their contact. A migration that runs `INDEX_SQL` outside of a transaction does the same.

        Raises:
            OutboxError: The app's connector is not a `procrastinate.PsycopgConnector`.
            procrastinate.exceptions.AppNotOpen: The app isn't open.
        """
        connector = self._app.connector
        if not isinstance(connector, procrastinate.PsycopgConnector):
            raise OutboxError(
                "create_index needs an app with a PsycopgConnector: run INDEX_SQL in a migration"
            )
        async with connector.pool.connection() as connection:
            before = connection.autocommit
            await connection.set_autocommit(True)
            try:
                found = await connection.execute(sql.IS_INDEX_BROKEN, [sql.INDEX_NAME])
                if await found.fetchone() is not None:
                    # Making it was broken off. It would be kept up to date, and never be used.
                    await connection.execute(sql.DROP_INDEX)
                await connection.execute(sql.INDEX_SQL)
                await connection.execute(sql.DROP_FORMER_INDEX)
            finally:
                await connection.set_autocommit(before)

    def _store(self, request: object, key: str | None) -> Stored:
        try:
            return store(request, queue=self._queue, key=key)
        except InvalidRequestError as error:
            # The frames that were left hold the request, and so would the traceback.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        finally:
            del request

    def _job(self, stored: Stored) -> Job:
        # Not by the task, which would log whom it is about.
        return Job(
            queue=self._queue,
            lock=stored.lock,
            queueing_lock=None,
            task_name=task_name(self._queue),
            task_kwargs=stored.args,
        )


def _app_behind(app: object) -> procrastinate.App:
    """Return the app that was given, or that Procrastinate's proxy for Django stands for."""
    django = sys.modules.get("procrastinate.contrib.django.procrastinate_app")
    if django is not None and isinstance(app, django.ProxyApp):
        app = django.current_app
        if not isinstance(app, procrastinate.App):
            raise ConfigurationError(
                "Django isn't set up yet: make Deliveries in a module that is imported later, and "
                "name that in the setting PROCRASTINATE_IMPORT_PATHS; or make it with the app that "
                "is given to the function of PROCRASTINATE_ON_APP_READY"
            )
    if not isinstance(app, procrastinate.App):
        raise ConfigurationError(f"app must be a procrastinate.App, got {type_name(app)}")
    return app


def _cut_frames_below(error: BaseException) -> None:
    """Cut out of an error the frames of Procrastinate and psycopg: they hold the request.

    So may what PostgreSQL says behind the first line, the row. It stays in psycopg's ``diag``.
    """
    here: Any = error.__traceback__
    here.tb_next = None
    cause = error.__cause__ or error.__context__
    while isinstance(cause, psycopg.Error):  # and not what the caller is handling
        cause.__traceback__ = None
        cause.args = (str(cause).partition("\n")[0],)
        cause = cause.__cause__ or cause.__context__


@contextlib.contextmanager
def _naming_search_path() -> Generator[None]:
    """Say what to do where PostgreSQL only says that there is no such type."""
    try:
        yield
    except ConnectorException as error:
        if not isinstance(error.__cause__, psycopg.errors.UndefinedObject):
            raise
        raise ConnectorException(
            "the connection doesn't find Procrastinate's tables: make them with `procrastinate "
            "schema --apply`, or name the schema that they are in in the connection's search_path"
        ) from error.__cause__


def _check_connection(connection: object, kind: type) -> None:
    if not isinstance(connection, kind):
        raise OutboxError(
            f"connection must be a psycopg.{kind.__name__}, got {type_name(connection)}: give "
            "the connection of psycopg that your library has underneath, or none with "
            "Procrastinate's app for Django"
        )


def _check_queue(queue: object) -> None:
    if not isinstance(queue, str) or not (queue.isascii() and queue.isidentifier()):
        raise ConfigurationError("queue must be a name of letters, digits and underscores")
    if len(queue) > _LONGEST_QUEUE:
        raise ConfigurationError(f"queue must have at most {_LONGEST_QUEUE} letters")


def _careful_manager_of(app: procrastinate.App) -> Jobs:
    manager = app.job_manager
    if isinstance(manager, Jobs):
        return manager  # of another queue
    if type(manager) is not JobManager:
        raise ConfigurationError(
            f"the app has a job manager of its own, {type(manager).__name__}, which Deliveries "
            "would have to replace"
        )
    app.job_manager = careful = Jobs(app.connector)
    return careful
