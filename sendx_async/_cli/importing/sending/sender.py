"""Sends the rows of a file, however long SendX takes, until all are finished or it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import anyio
import anyio.lowlevel

from sendx_async._cli._exit_codes import call_when_told_to_stop
from sendx_async._cli.importing.checking.rows import Row
from sendx_async._cli.importing.options import EarlyEnd, MostRejects
from sendx_async._cli.importing.sending.import_log import ImportLog
from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import (
    BadRequestError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    SendXError,
    UnprocessableEntityError,
)
from sendx_async._core.events import Event
from sendx_async._core.models import IdentifyRequest, TrackRequest
from sendx_async._core.operations import MOST_IN_BULK
from sendx_async._streams.outcomes import Outcome
from sendx_async._streams.source import ThreadedSource

_READ_AHEAD = 500
_SECONDS_TO_FINISH = 5.0
_TELLING = 100
_OF_A_ROW = (BadRequestError, ConflictError, UnprocessableEntityError)
_UNKNOWN = "SendX doesn't know the contact"


class Sender:
    """Sends rows, and tells the import log what becomes of each.

    It asks the log how many are given away, and not yet written as finished. These are never more
    than can be under way: they are all that may be sent twice if the process is killed.

    Args:
        client: What sends.
        rows: What is to be sent.
        log: Where it is kept what became of them.
        concurrency: How many requests may be under way at once.
        patience: Seconds that an outage may last.
        most_rejects: How many rejected rows end it; None for any number.
        on_progress: Called now and then when there is news.

    Attributes:
        stopped_by: The number of the signal that it was told to stop with, or None.
        ended_early: Why it stops although it could go on, or None.
        waits_for: The error after which SendX is waited for just now, or None.
        position: How many bytes of the file were read.
    """

    def __init__(
        self,
        client: AsyncTrackingClient,
        rows: Iterable[Row],
        log: ImportLog,
        *,
        concurrency: int,
        patience: float,
        most_rejects: MostRejects | None,
        on_progress: Callable[["Sender"], None],
    ) -> None:
        self._client = client.with_options(on_event=self._note_event)
        self._rows = rows
        self._log = log
        self._concurrency = concurrency
        self._patience = patience
        self._most_rejects = most_rejects
        self._on_progress = on_progress
        self._sent: dict[int, Row] = {}  # by their index in the stream, until their outcome
        self._given = 0
        self._room = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._will_write = False
        self._failure: Exception | None = None
        self._has_read_all = False
        self.stopped_by: int | None = None
        self.ended_early: EarlyEnd | None = None
        self.waits_for: str | None = None
        self.position = 0
        self._alike = 0
        self._last_refusal: tuple[type[SendXError], int | None] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is sent, and what is under way comes to its end."""
        return self.stopped_by is not None or self.ended_early is not None

    async def run(self) -> None:
        """Send until all rows are finished, or it is told to stop.

        Raises:
            SendXError: Nothing can be sent, or the file isn't the right one.
            OSError: A file can't be read or written.
        """
        # Before the first row can be among the rejects: whoever resumes knows whose they are.
        self._log.write()
        call_when_told_to_stop(self._stop)
        loop = asyncio.get_running_loop()

        def call_soon(function: Callable[[], object]) -> None:
            loop.call_soon_threadsafe(function)

        source = ThreadedSource(self._rows, call_soon, limit=_READ_AHEAD)
        outcomes = self._client.send_many(
            self._contacts(source), concurrency=self._concurrency, patience=self._patience
        )
        try:
            with self._scope:
                async with outcomes:
                    async for outcome in outcomes:
                        self._note(outcome)
        finally:
            source.stop()
            for outcome in outcomes.unclaimed:
                self._note_unclaimed(outcome)
            self._write()
        if self._failure is not None:
            raise self._failure
        self._log.is_complete = self._has_read_all and self.stopped_by is None
        if self._log.is_complete:
            self.ended_early = None  # it came too late

    async def _contacts(
        self, source: ThreadedSource
    ) -> AsyncIterator[IdentifyRequest | TrackRequest]:
        most = self._concurrency * MOST_IN_BULK
        row: Row
        async for row in source:
            # What is not safe to repeat travels alone: more would be in doubt than need be.
            while self._log.under_way >= most or (
                self._log.in_doubt >= self._concurrency and not row.is_replay_safe
            ):
                self._room.clear()
                await self._room.wait()
            if row.contact is not None and self._log.has_sent_its_share:
                self.ended_early = "limit"
            if self.is_stopping:
                return
            self.position = row.position
            if (contact := self._log.begin(row)) is not None:
                self._sent[self._given] = row
                self._given += 1
                yield contact
            else:
                self._look_for_too_many_rejects()
                self._write_soon()
                await anyio.lowlevel.checkpoint()  # a file may have nothing but such rows
        self._has_read_all = True

    def _note(self, outcome: Outcome) -> None:
        row = self._sent.pop(outcome.index)
        error = outcome.error
        if error is None:
            self._log.deliver(row)
        elif _is_unknown(row, error):
            self._log.pass_over(row, _UNKNOWN)
        else:
            self._log.reject(row, _reason(error), maybe_delivered=error.maybe_delivered)
        self._look_for_too_many_rejects()
        self._look_for_something_general(row, error)
        self._write_soon()

    def _look_for_too_many_rejects(self) -> None:
        """Send nothing more if the options say so; what is under way comes to its end."""
        most = self._most_rejects
        if most is not None and most.is_passed(self._log.rejected_now, self._log.rows_now):
            self.ended_early = "max_rejects"

    def _look_for_something_general(self, row: Row, error: SendXError | None) -> None:
        """Stop if many rows in a row are refused alike, and not because of what they hold."""
        kind = None if error is None else (type(error), getattr(error, "status_code", None))
        self._alike = self._alike + 1 if kind == self._last_refusal else 1
        self._last_refusal = kind
        if error is None or self._alike < _TELLING or self._failure is not None:
            return
        # What a row holds is at fault with some errors, but hardly if no row was ever delivered.
        is_unknown = _is_unknown(row, error)
        if not (is_unknown or isinstance(error, _OF_A_ROW)) or not self._log.delivered:
            way_on = (
                "To take all tags back, delete the progress file and begin anew"
                if is_unknown
                else "These rows are among the rejected ones, and can be imported from there as "
                "they are"
            )
            self._failure = ConfigurationError(
                f"SendX has refused {_TELLING} rows after each other in the same way: "
                f"{str(error).rstrip('.?')}. Are the base URL and the file right? {way_on}"
            )
            self._scope.cancel()

    def _note_event(self, event: Event) -> None:
        if event.operation == "send_many":
            self.waits_for = event.error if event.kind == "paused" else None
            status_code = event.status_code
            # A stream waits until it is SendX again that answers; whoever has mistyped the URL
            # would wait in vain.
            if status_code is not None and status_code < 400 and not self._log.delivered:  # noqa: PLR2004 - the first error
                self._failure = ConfigurationError(
                    f"what answers with HTTP {status_code} can't be SendX: is the base URL right, "
                    "and what is between here and SendX?"
                )
                self._scope.cancel()
            self._on_progress(self)

    def _note_unclaimed(self, outcome: Outcome) -> None:
        if outcome.is_retryable:
            self._log.give_up(self._sent.pop(outcome.index))
        else:
            self._note(outcome)

    def _write_soon(self) -> None:
        # One commit for all outcomes that the loop hands out before it comes to this.
        if not self._will_write:
            self._will_write = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._will_write = False
        try:
            self._log.write()
        except Exception as error:  # noqa: BLE001 - the loop would only log it; run raises it
            self._failure = error
            self._scope.cancel()
            return
        self._room.set()
        self._on_progress(self)
        if self.is_stopping and not self._log.under_way:
            self._scope.cancel()

    def _stop(self, number: int) -> None:
        if self.stopped_by is not None or self.waits_for is not None or not self._log.under_way:
            self._scope.cancel()
        else:
            asyncio.get_running_loop().call_later(_SECONDS_TO_FINISH, self._scope.cancel)
        self.stopped_by = number


def _is_unknown(row: Row, error: SendXError) -> bool:
    """Return whether tags were to be taken from a contact that isn't there any more."""
    return isinstance(error, NotFoundError) and isinstance(row.contact, TrackRequest)


def _reason(error: SendXError) -> str:
    return f"{error}; it may have been applied" if error.maybe_delivered else str(error)
