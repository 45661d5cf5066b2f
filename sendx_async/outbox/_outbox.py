"""The outbox: what applications put requests into, and drain.

It is longer than other files because most of it is the documentation of what is public.
"""

import math
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, cast, get_args

import anyio

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core import options
from sendx_async._core.errors import ConfigurationError, InvalidRequestError, OutboxError
from sendx_async._core.models import AnyRequest
from sendx_async._core.operations import MOST_IN_BULK
from sendx_async._core.options import RetryPolicy
from sendx_async._core.settings import make_listener
from sendx_async._core.wrong_types import type_name
from sendx_async._runtime.background import in_background, in_thread
from sendx_async.outbox import _dead_letters as dead_letters
from sendx_async.outbox import _statements as rows
from sendx_async.outbox._capacity import Capacity
from sendx_async.outbox._connection import Database, OutboxFile
from sendx_async.outbox._drain import DrainLoop, DrainPass
from sendx_async.outbox._entry import Entry, make_entry
from sendx_async.outbox._events import OutboxEvent
from sendx_async.outbox._journal import Journal
from sendx_async.outbox._maintenance import OutboxStats, purge, stats_of
from sendx_async.outbox._notes import Notes
from sendx_async.outbox._reader import Arrival
from sendx_async.outbox._schema import Synchronous
from sendx_async.outbox._writer import Writer

_WEEK = 7 * 86400.0
_SECONDS_OF_A_TRY = 0.25  # to write, before it is seen whether there is still time
_SECONDS_OF_A_LOOK = 0.05  # likewise, for whoever only wants to know whether it can be written
_SECONDS_LOCKED = 2.0  # from then on it is trouble
_RETRY = RetryPolicy(5, base=1.0, cap=60.0)


class Outbox:
    """Keeps requests in a file until SendX has them, through outages, restarts and ``kill -9``.

    Put requests from any thread, task and process of one machine; they are on the disk when `put`
    returns. One process at a time drains the file, by `draining` or by the command ``sendx outbox
    drain``. Each contact's requests are sent in the order in which they were put.

    What may safely be applied twice is delivered at least once: twice if a process dies, or an
    answer is lost, at the wrong moment. Anything else (events, renames, arithmetic on fields) is
    sent at most once, and put aside as *uncertain* if nobody knows whether it was applied.

    Args:
        path: The file, on a local disk; it is made when it is first used, readable by its owner
            only. Others are put beside it, whose names begin with the same.
        synchronous: ``"FULL"``, the default: what was put survives a loss of power. ``"NORMAL"``:
            several times as fast; what was put survives the end of the process, however sudden,
            but the last moments before a loss of power may be lost. Draining waits for the disk
            with either.
        max_pending: How many requests may wait; more are refused. Default 1,000,000.
        timeout: Seconds to wait while other processes write. Default 30.
        remember: Seconds for which delivery ids are remembered that callers gave, after the
            delivery. Default a week.
        on_event: Called with an `OutboxEvent` when draining begins, ends, pauses or goes on, and
            when a delivery is put aside. It is called in the event loop, so it must not block.

    Raises:
        ConfigurationError: An option is wrong.
    """

    __module__ = "sendx_async.outbox"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "FULL",
        max_pending: int = 1_000_000,
        timeout: float = 30.0,
        remember: float = _WEEK,
        on_event: Callable[[OutboxEvent], object] | None = None,
    ) -> None:
        self._path = _make_path(path)
        self._synchronous: Synchronous = cast(
            "Synchronous", _one_of("synchronous", synchronous, Synchronous)
        )
        self._remember = options.make_seconds("remember", remember)
        self._on_event = make_listener(on_event)
        capacity = Capacity(options.make_count("max_pending", max_pending))
        self._timeout = options.make_seconds("timeout", timeout)
        self._file = OutboxFile(self._path)
        self._arrival = Arrival()
        self._notes = Notes()
        self._database = self._connect(self._timeout)
        putting = self._connect(self._timeout)
        impatient = None
        if synchronous == "NORMAL":
            impatient = Database(self._file, synchronous="NORMAL", timeout=0, checkpoints=False)
        self._writer = Writer(putting, impatient, capacity, self._arrival.tell)
        # Whether it can be written shows without waiting for the disk.
        self._looking = Database(self._file, synchronous="NORMAL", timeout=_SECONDS_OF_A_LOOK)
        self._databases = list(filter(None, (putting, impatient, self._looking, self._database)))
        self._is_closed = False

    def _connect(self, timeout: float) -> Database:
        return Database(self._file, synchronous=self._synchronous, timeout=timeout)

    async def put(
        self, request: AnyRequest | Mapping[str, Any], *, delivery_id: str | None = None
    ) -> str:
        """Store a request; once this has returned it will be delivered, or put aside visibly.

        If it is cancelled the request may be stored all the same.

        Args:
            request: A model, or a mapping as for `AsyncTrackingClient.send`. An event without a
                ``time`` gets that of this moment.
            delivery_id: An id of your own, of up to 200 characters, such as that of a webhook.
                Putting the same request again with the same id does nothing, also when it was
                delivered already. It shows up in logs, so let it be no address.

        Returns:
            The delivery id: yours, or one that is made up.

        Raises:
            InvalidRequestError: The request can't be sent, or the id was given to another one.
            OutboxFullError: ``max_pending`` requests wait already.
            OutboxError: It can't be stored: the disk is full, others kept the file locked for
                ``timeout`` seconds, the file was removed. Nothing was stored.
        """
        try:
            entry = self._entry(request, delivery_id)
        finally:
            del request  # tracebacks show the variables of a frame
        return await self._writer.put_soon(entry)

    def put_sync(
        self, request: AnyRequest | Mapping[str, Any], *, delivery_id: str | None = None
    ) -> str:
        """As `put`, for code that awaits nothing; in an event loop it would block the loop."""
        try:
            entry = self._entry(request, delivery_id)
        finally:
            del request
        return self._writer.put(entry)

    def _entry(self, given: object, delivery_id: object) -> Entry:
        try:
            self._refuse_if_closed()
            return make_entry(given, delivery_id)
        except (InvalidRequestError, OutboxError) as error:
            # The frames that were left hold the request, and so would the traceback.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        finally:
            del given

    @asynccontextmanager
    async def draining(
        self,
        client: AsyncTrackingClient,
        *,
        concurrency: int = 8,
        batch_size: int = MOST_IN_BULK,
        retry: RetryPolicy = _RETRY,
        grace: float = 5.0,
    ) -> AsyncGenerator[None]:
        """Drain the outbox while this is open: ``async with outbox.draining(client): ...``.

        Any number of processes may do so: one drains, and another one takes over when it ends,
        however it ends. Outages are waited out, for as long as they last, and so are locks of
        others and a full disk: meanwhile nothing new is begun, and no answer is forgotten. Where
        only one or two contacts fail, and nothing else is sent, they are dead after some minutes.
        When the key isn't accepted (401, 403) everything is kept, ``on_event`` is told
        ``"halted"``, and one more attempt is made every minute. Nothing that goes wrong while it is
        open is raised here: see `stats`.

        Args:
            client: What sends; its rate, timeout and connections hold here, too.
            concurrency: How many requests may be under way at once. Default 8; more than
                ``max_connections`` is taken for that.
            batch_size: How many contacts may share a request, 1 to 25. Default 25.
            retry: How often a request may fail while others succeed, or name a contact that SendX
                doesn't know, before it is dead; and the longest waits. Default
                ``RetryPolicy(5, base=1, cap=60)``.
            grace: Seconds that requests under way may take to end when this is left. Default 5.

        Raises:
            ConfigurationError: An option is wrong.
            OutboxError: The outbox is closed.
        """
        grace = options.make_seconds("grace", grace)
        loop = self._drain_loop(client, concurrency, batch_size, retry, until_empty=False)
        async with in_background(loop.run, stop=partial(loop.stop, grace)):
            yield

    async def drain(
        self,
        client: AsyncTrackingClient,
        *,
        concurrency: int = 8,
        batch_size: int = MOST_IN_BULK,
        retry: RetryPolicy = _RETRY,
    ) -> None:
        """Drain the outbox until nothing waits, whoever has sent it; arguments as `draining`.

        It waits for the end of an outage, and takes its turn if another process drains. When the
        file can't be written it tries for ``timeout`` seconds. If this is cancelled, what is under
        way is cut off: it stays in the file, or is *uncertain* if it must not be sent twice.

        Raises:
            AuthenticationError, PermissionDeniedError: The key isn't accepted; all is kept.
            ClientClosedError: The client is closed.
            OutboxError: The file can't be used. What is known by then is written when this outbox
                is drained again.
            ConfigurationError: An option is wrong.
        """
        await self._drain_loop(client, concurrency, batch_size, retry, until_empty=True).run()

    def _drain_loop(
        self,
        client: AsyncTrackingClient,
        concurrency: int,
        batch_size: int = MOST_IN_BULK,
        retry: RetryPolicy = _RETRY,
        *,
        until_empty: bool,
    ) -> DrainLoop:
        self._refuse_if_closed()
        if not isinstance(client, AsyncTrackingClient):
            raise ConfigurationError(
                f"client must be an AsyncTrackingClient, got {type_name(client)}"
            )
        options.make_count("concurrency", concurrency)
        options.make_count("batch_size", batch_size, most=MOST_IN_BULK)
        options.make_retry(retry)
        journal = Journal(
            # What is sent must not be forgotten, whatever the puts wait for.
            Database(self._file, timeout=_SECONDS_OF_A_TRY),
            Database(self._file, timeout=self._timeout),
            self._notes,
            timeout=self._timeout if until_empty else math.inf,
            remember=self._remember,
            on_event=self._on_event,
        )

        def make_pass() -> DrainPass:
            return DrainPass(
                journal,
                client,
                self._arrival,
                retry=retry,
                concurrency=concurrency,
                batch_size=batch_size,
                until_empty=until_empty,
            )

        return DrainLoop(self._path, journal, make_pass, until_empty=until_empty)

    def stats(self) -> OutboxStats:
        """Return how the outbox is; any process may ask, and alert people by it.

        It counts, which takes some tenths of a second where a million requests wait. It tries
        whether the file can be written, for which it waits up to 2 seconds where others write.

        Raises:
            OutboxError: The file can't be used.
        """
        self._refuse_if_closed()
        patience = min(self._timeout, _SECONDS_LOCKED)
        return stats_of(self._database, self._looking, patience=patience)

    def failed(
        self, kind: rows.FailureKind | None = None, *, limit: int = 100
    ) -> list[dead_letters.FailedDelivery]:
        """Return deliveries that were put aside, the latest first.

        Args:
            kind: ``"dead"``, ``"uncertain"``, or None for both.
            limit: How many at most. Default 100.

        Raises:
            ConfigurationError: ``kind`` or ``limit`` is wrong.
            OutboxError: The file can't be used.
        """
        self._refuse_if_closed()
        if kind is not None:
            _one_of("kind", kind, rows.FailureKind)
        most = options.make_count("limit", limit)
        return self._database.read(lambda connection: dead_letters.listed(connection, kind, most))

    def retry(self, delivery_ids: Iterable[str] | None = None, *, uncertain: bool = False) -> int:
        """Put deliveries that were put aside back, behind all that wait; return how many.

        Args:
            delivery_ids: Which ones, of either kind. Default: all that are dead.
            uncertain: Whether to take all that are uncertain as well, though SendX may apply them
                twice. Default False.

        Raises:
            OutboxError: None was put aside under one of the ids, so nothing is done; or the file
                can't be used.
            InvalidRequestError: An id is no str.
        """
        count = self._handle(dead_letters.put_back, delivery_ids, uncertain=uncertain)
        self._arrival.tell()
        return count

    def discard(self, delivery_ids: Iterable[str] | None = None, *, uncertain: bool = False) -> int:
        """Throw deliveries away that were put aside; arguments, result and errors as `retry`."""
        return self._handle(
            lambda connection, places: rows.delete(connection, "failed", places),
            delivery_ids,
            uncertain=uncertain,
        )

    def _handle(
        self,
        do: Callable[[sqlite3.Connection, Sequence[int]], object],
        delivery_ids: Iterable[str] | None,
        *,
        uncertain: bool,
    ) -> int:
        self._refuse_if_closed()
        ids = _ids(delivery_ids)

        def handle(connection: sqlite3.Connection) -> int:
            places = dead_letters.find(connection, ids, _kinds(uncertain))
            do(connection, places)
            return len(places)

        return self._database.write(handle)

    def purge(self, address: str) -> int:
        """Throw away all that is about a contact, as an erasure request asks; return how many.

        What is in the file about it is overwritten, what was delivered before too. What is being
        sent at this moment may still arrive, and what names the contact only in the data of an
        event about another one is not found.

        Args:
            address: The contact's address, or the id that events name it by; in any case.

        Raises:
            OutboxError: The file can't be used, or somebody reads it for so long that it can't be
                overwritten.
            InvalidRequestError: It is no address.
        """
        self._refuse_if_closed()
        contact: object = address
        if not isinstance(contact, str) or not contact:
            problem = f"address must be a str that isn't empty, got {type_name(address)}"
            raise InvalidRequestError.of("purge", [problem])
        return purge(self._database, contact.casefold())

    def close(self) -> None:
        """Close the file; what was put stays in it. Closing it again does nothing."""
        self._is_closed = True
        self._writer.close()
        for database in self._databases:
            database.close()

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise OutboxError(f"the outbox {self._path} is closed: make a new one")

    def open(self) -> None:
        """Open the file, so that what is wrong with it shows now; otherwise the first use does.

        Raises:
            OutboxError: The file can't be used.
        """
        self._refuse_if_closed()
        self._database.read(lambda _: None)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await in_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await in_thread(self.close)  # it waits for puts under way

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path!r}{' (closed)' if self._is_closed else ''}>"


def _make_path(path: str | os.PathLike[str]) -> str:
    given: object = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(given, str) or not given or given == ":memory:" or "\0" in given:
        shown = repr(given) if isinstance(given, str) else type_name(given)
        raise ConfigurationError(f"path must be that of a file, as a str or a Path, got {shown}")
    # Without links, or the drainers of one file could have locks of different names.
    return os.path.realpath(given)


def _one_of(name: str, value: object, kind: Any) -> object:
    allowed = get_args(kind)
    if value not in allowed:
        shown = repr(value) if isinstance(value, str) else type_name(value)
        names = " or ".join(map(repr, allowed))
        raise ConfigurationError(f"{name} must be {names}, got {shown}")
    return value


def _ids(delivery_ids: Iterable[str] | None) -> Sequence[str] | None:
    if delivery_ids is None:
        return None
    # One is no list of letters.
    ids = [delivery_ids] if isinstance(delivery_ids, str) else list(delivery_ids)
    for each in ids:
        given: object = each
        if not isinstance(given, str):
            problem = f"delivery_ids must be strings, got {type_name(given)}"
            raise InvalidRequestError.of("outbox", [problem])
    return ids


def _kinds(uncertain: bool) -> list[rows.FailureKind]:  # noqa: FBT001 - by its name is how it is given
    return ["dead", "uncertain"] if uncertain else ["dead"]
