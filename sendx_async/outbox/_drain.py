"""Drains an outbox when no other process does, and goes on after whatever was in the way."""

import logging
import sqlite3
from collections.abc import Callable

import anyio
import anyio.to_thread

from sendx_async._core.errors import OutboxError, SendXError
from sendx_async.outbox._journal import ChangedError, Ledger, described
from sendx_async.outbox._leader import Candidate
from sendx_async.outbox._round import Round

logger = logging.getLogger("sendx_async")

_SECONDS_BETWEEN_CANDIDACIES = 0.2
_SECONDS_HALTED = 60.0  # then a request is tried, in case somebody has acted


class Drainer:
    """Drains an outbox whenever no other process does, until it is stopped.

    Args:
        path: The outbox's file.
        ledger: What the drainer sees of it.
        make_round: Gives a new pass over it.
        until_empty: Whether to end when nothing is left, or nothing can be sent.
    """

    def __init__(
        self,
        path: str,
        ledger: Ledger,
        make_round: Callable[[], Round],
        *,
        until_empty: bool,
    ) -> None:
        self._candidate = Candidate(path)
        self._ledger = ledger
        self._make_round = make_round
        self._until_empty = until_empty
        self._stopping = anyio.Event()
        self._grace = 0.0

    def stop(self, grace: float) -> None:
        """Begin nothing more; what is under way may take so many seconds to end."""
        self._grace = grace
        self._ledger.hurry(grace)
        self._stopping.set()

    async def run(self) -> None:
        """Wait to become the drainer, and drain.

        Raises:
            SendXError: Nothing can be sent, or the file can't be used; only if it is to end then.
        """
        try:
            while not self._stopping.is_set():
                if await self._stand():
                    self._ledger.tell("draining")
                    is_done = await self._drain()
                    self._candidate.resign()
                    self._ledger.tell("stopped")
                elif self._until_empty:
                    is_done = await self._ledger.is_empty()  # another one has done it all
                else:
                    is_done = False
                if is_done:
                    return
                await self._pause(_SECONDS_BETWEEN_CANDIDACIES)
        finally:
            self._candidate.resign()
            with anyio.CancelScope(shield=True):
                await self._ledger.close()

    async def _stand(self) -> bool:
        is_elected = False
        try:
            is_elected = await anyio.to_thread.run_sync(self._candidate.stand)
        except (sqlite3.Error, OSError) as error:
            await self._after(OutboxError(f"the outbox's lock can't be used: {error}"))
        return is_elected

    async def _drain(self) -> bool:
        """Drain; tells whether that is done, or somebody has interfered."""
        while not self._stopping.is_set():
            try:
                await self._ledger.begin()
                await self._make_round().run(self._stopping, lambda: self._grace)
            except ChangedError:
                return False
            except SendXError as error:
                await self._after(error)
            except Exception as error:
                logger.exception("draining the outbox failed in a way that was not foreseen")
                await self._after(error)
            else:
                if self._until_empty:
                    break
        return True

    async def _after(self, error: Exception) -> None:
        if self._until_empty:
            raise error
        await self._ledger.note_trouble(f"halted: {described(error)}")
        self._ledger.tell("halted", error=described(error), delay=_SECONDS_HALTED)
        await self._pause(_SECONDS_HALTED)

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopping.wait()
