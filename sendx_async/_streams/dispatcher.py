"""Reads requests from a source, sends them side by side and collects what became of them."""

import copy
import math
import random
import time
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any, Protocol, cast

import anyio
import anyio.abc
import anyio.lowlevel

from sendx_async._calls.call import Call
from sendx_async._core.errors import (
    ApiError,
    InvalidRequestError,
    NotSentError,
    OutageError,
    SendXError,
)
from sendx_async._core.events import Event, EventKind, tell
from sendx_async._core.options import RetryPolicy
from sendx_async._policy.ordering import Message, OrderedQueue
from sendx_async._policy.recovery import NextStep, Recovery
from sendx_async._streams.leftovers import describe, of_the_unfinished, of_the_unread
from sendx_async._streams.outcomes import Outcome, OutcomeQueue
from sendx_async._streams.source import Source, ThreadedSource
from sendx_async._streams.store import DeliveryStore

_SECONDS_TO_FINISH = 1.0
_SECONDS_TO_FINISH_AN_OUTBOX = 30.0  # a request that is cut off may have to be put aside
_MOST_READ_FROM_AN_OUTBOX = 2000
_SECONDS_TO_READ = 0.005  # at a stretch, then others may run


class BeginCall(Protocol):
    """Makes the call that sends messages once, however long it has to wait for its moment."""

    def __call__(self, messages: Sequence[Message]) -> Call[Any]: ...


class Dispatcher:
    """Sends what a source gives, in the order that each contact needs, through any trouble.

    `run` does the work, in a task of its own; what becomes of each request is put into `outcomes`.

    Args:
        source: Where the requests come from: models or mappings.
        begin_call: Makes the call for messages that share a request.
        retry: The longest waits, and how often one request may fail while others succeed.
        on_event: Called when everything pauses, and when it goes on.
        concurrency: How many requests may be under way at once.
        batch_size: How many contacts may share a request.
        patience: Seconds that an outage may last.
        outbox: Where the requests are stored, if they are.

    Attributes:
        outcomes: Where the outcomes wait to be taken.
    """

    def __init__(
        self,
        source: Source,
        begin_call: BeginCall,
        *,
        retry: RetryPolicy,
        on_event: Callable[[Event], object] | None,
        concurrency: int,
        batch_size: int,
        patience: float,
        outbox: DeliveryStore | None,
    ) -> None:
        self._source = source
        self._begin_call = begin_call
        self._on_event = on_event
        self._patience = patience
        self._queue = OrderedQueue(batch_size)
        self._began = time.monotonic()
        self._recovery = Recovery(
            self._queue, retry, patience=patience, most_at_once=concurrency, now=self._began,
            is_outbox=outbox is not None,
        )  # fmt: skip
        self._name = "send_many" if outbox is None else "outbox"
        self._outbox = outbox
        self._workers = self._starting = self._attempts = 0
        self._idle: anyio.Event | None = None  # set when all is ending and nobody sends any more
        self._finishing: anyio.CancelScope | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._is_resuming = False
        self._is_ending = False
        self._has_read_all = False
        self._failure: Exception | None = None
        self._source_error: Exception | None = None
        self._left: list[Outcome] = []
        self._id = f"{random.getrandbits(64):016x}"
        # Enough to fill every request while the one before it is under way.
        most = 2 * concurrency * batch_size
        if outbox is not None:
            # Its outcomes are always taken: more room keeps a contact with much to be sent, one
            # after the other, from filling it and so holding up all others.
            most = max(most, _MOST_READ_FROM_AN_OUTBOX)
        self.outcomes = OutcomeQueue(most=most, step=batch_size)

    async def run(self) -> None:
        """Read and send until the source has ended and all that it gave is finished."""
        self._idle = anyio.Event()  # of this loop, which need not be the one it was made in
        try:
            async with anyio.create_task_group() as self._tasks:
                if self._is_ending:
                    self._tasks.cancel_scope.cancel()
                self._tasks.start_soon(self._read_source)
        finally:
            if isinstance(self._source, ThreadedSource):
                self._source.stop()
            self._left = of_the_unfinished(self._queue.unfinished.values())
            is_complete = self._has_read_all and not self._left
            if self._failure is None and not is_complete and not self._is_ending:
                self._failure = NotSentError("the stream was cancelled from outside")
            if self._failure is None and not is_complete:
                # Only for who looks for more: leaving early is no failure.
                self._source_error = RuntimeError(
                    "the stream was left before its end: take outcomes inside its `with` "
                    "statement; unclaimed holds what is left"
                )
            if isinstance(self._failure, SendXError):
                unread = of_the_unread(self._read_ahead(), first_index=self.outcomes.read)
                describe(self._failure, self.outcomes, self._left + unread)
                if isinstance(self._failure, OutageError):
                    self._failure.operation, self._failure.call_id = self._name, self._id
                    self._failure.attempts = self._attempts
                    self._failure.elapsed = time.monotonic() - self._began
            self.outcomes.close(self._failure or self._source_error)

    def stop(self, seconds: float) -> None:
        """Read and begin nothing more; what is under way may take so many seconds to end."""
        if self._finishing is None:
            self._end(None, seconds)
        else:
            soonest = min(self._finishing.deadline, anyio.current_time() + seconds)
            self._finishing.deadline = soonest

    def leave(self) -> None:
        """Stop reading and sending at once; `unclaimed` tells what that leaves."""
        self._is_ending = True
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def unclaimed(self) -> list[Outcome]:
        """Return the outcomes of all that was read and not taken, in the source's order.

        Raises:
            RuntimeError: It has not come to its end.
        """
        if not self.outcomes.is_closed:
            raise RuntimeError("the stream has not ended: leave its `with` statement first")
        behind = self._left + of_the_unread(self._read_ahead(), first_index=self.outcomes.read)
        return sorted(self.outcomes.rest() + behind, key=lambda outcome: outcome.index)

    def unsent(self) -> list[Outcome]:
        """Return those of `unclaimed` that were certainly not applied; errors as there."""
        return [each for each in self.unclaimed() if isinstance(each.error, NotSentError)]

    def _read_ahead(self) -> list[Any]:
        """Return what a thread has read from the source, and nobody from the thread."""
        return self._source.rest() if isinstance(self._source, ThreadedSource) else []

    async def _read_source(self) -> None:
        try:
            if isinstance(self._source, AsyncIterable):
                async for request in self._source:
                    self._accept(request)
                    await self._send_what_was_read()
            else:
                until = time.monotonic() + _SECONDS_TO_READ
                for request in self._source:
                    self._accept(request)
                    if self.outcomes.is_full or time.monotonic() > until:
                        await self._send_what_was_read()
                        await anyio.lowlevel.checkpoint()
                        until = time.monotonic() + _SECONDS_TO_READ
        except Exception as error:  # noqa: BLE001 - whoever takes the outcomes gets it
            self._source_error = error
        self._has_read_all = True
        self._dispatch()

    async def _send_what_was_read(self) -> None:
        self._dispatch()
        if self.outcomes.is_full:
            await self.outcomes.wait_for_room()

    def _accept(self, given: object) -> None:
        index = self.outcomes.read
        self.outcomes.read += 1
        try:
            message = Message.of(index, given)
        except InvalidRequestError as error:
            self.outcomes.put(Outcome(index, given, error=error.with_traceback(None)))
            self.outcomes.tell()
        else:
            self._queue.add(message)

    def _dispatch(self) -> None:
        """Start as many workers as may be under way and will find something to send."""
        while (
            self._queue.ready > self._starting * self._queue.batch_size
            and self._workers < self._allowed()
        ):
            self._workers += 1
            self._starting += 1
            # It takes its messages when it comes to run: until then more of them may be read.
            self._start(self._work)

    def _allowed(self) -> int:
        return 0 if self._is_ending else self._recovery.allows(time.monotonic())

    async def _work(self) -> None:
        may_send = await self._wait_for_its_turn()
        self._starting -= 1
        while may_send and (messages := self._recovery.take()):
            self._dispatch()
            await self._send(messages)
            self.outcomes.tell()
            may_send = await self._wait_for_its_turn()
        self._workers -= 1
        if self._is_ending and not self._workers:
            cast("anyio.Event", self._idle).set()

    async def _wait_for_its_turn(self) -> bool:
        """Wait until a worker may send; tells whether it is not one too many by then."""
        while self._workers <= self._allowed():
            if (wait := self._recovery.wait(time.monotonic())) <= 0:
                return True
            await anyio.sleep(wait)
        return False

    async def _send(self, messages: list[Message]) -> None:
        self._attempts += 1
        for message in messages:
            message.attempts += 1
        begun = time.monotonic()
        call: Call[Any] | None = None
        try:
            call = self._begin_call(messages)
            answer = await call.run()
        except SendXError as error:
            # The frames hold the call with its body, and nobody needs them any more.
            self._after_failure(messages, error.with_traceback(None), begun)
        except Exception as error:  # noqa: BLE001 - an extension of the application's httpx client
            self._note_interruption(messages, call)
            self._end(error)
        except BaseException:
            self._note_interruption(messages, call)
            raise
        else:
            if self._recovery.note_answer(messages, begun=begun, now=time.monotonic()):
                self._tell("resumed")
            for message in messages:
                self._queue.finish(message)
                self.outcomes.put(Outcome(message.index, message.request, answer.data))

    def _note_interruption(self, messages: list[Message], call: Call[Any] | None) -> None:
        if call is not None and call.maybe_delivered:
            for message in messages:
                message.maybe_delivered = True

    def _after_failure(self, messages: list[Message], error: SendXError, begun: float) -> None:
        for message in messages:
            message.maybe_delivered = message.maybe_delivered or error.maybe_delivered
        decision = self._recovery.after_failure(
            messages,
            error,
            jitter=random.random(),  # noqa: S311 - jitter is no secret
            begun=begun,
            now=time.monotonic(),
        )
        if decision.ends_outage:
            self._tell("resumed")
        if decision.step is NextStep.FINISH:
            for message in messages:
                self._finish(message, error)
        elif decision.step is NextStep.LATER:
            self._note_unsent(messages)
            self._start(self._give_back_later, messages[0], decision.wait)
        else:
            for message in messages:
                message.is_alone = message.is_alone or decision.step is NextStep.APART
            self._note_unsent(messages)
            self._queue.give_back(messages)
        if decision.step is NextStep.STOP:
            self._end(error)
        if decision.pause is not None:
            self._after_pause_began(decision.pause, error)

    def _after_pause_began(self, pause: float, error: SendXError) -> None:
        retry_after = error.retry_after if isinstance(error, ApiError) else None
        if pause == math.inf:
            text = f"SendX failed for longer than the patience of {self._patience:g} s"
            if retry_after is not None:
                text = (
                    f"SendX asks to wait {retry_after:g} s, but the patience is "
                    f"{self._patience:g} s"
                )
            self._end(OutageError(f"{text}: {error}", last=error))
            return
        self._tell("paused", error, delay=pause)
        if not self._is_resuming:
            self._is_resuming = True
            self._start(self._resume)

    def _note_unsent(self, messages: list[Message]) -> None:
        if self._outbox is not None and not messages[0].maybe_delivered:
            self._outbox.note_unsent(messages)

    async def _give_back_later(self, message: Message, delay: float) -> None:
        await anyio.sleep(delay)
        self._queue.give_back([message])
        self._dispatch()

    async def _resume(self) -> None:
        """Wait until an outage may be tried again, however often that is put off."""
        # An event, as the linter would have it, has nobody to set it: time alone passes.
        while (left := self._recovery.resumes_at - time.monotonic()) > 0:  # noqa: ASYNC110
            await anyio.sleep(left)
        self._is_resuming = False
        self._dispatch()

    def _start(self, function: Callable[..., Any], *arguments: object) -> None:
        cast("anyio.abc.TaskGroup", self._tasks).start_soon(function, *arguments)

    def _finish(self, message: Message, error: SendXError) -> None:
        self._queue.finish(message)
        error = copy.copy(error)  # contacts may share one, and each tells of its own attempts
        error.attempts = message.attempts
        error.maybe_delivered = message.maybe_delivered
        self.outcomes.put(Outcome(message.index, message.request, error=error))

    def _end(self, failure: Exception | None, seconds: float | None = None) -> None:
        """Send nothing more; what is under way may come to its end, within a limit."""
        if self._is_ending:
            return
        self._failure = failure
        self._is_ending = True
        if not self._workers:
            self.leave()
            return
        if seconds is None:
            is_stream = self._outbox is None
            seconds = _SECONDS_TO_FINISH if is_stream else _SECONDS_TO_FINISH_AN_OUTBOX
        self._finishing = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        self._start(self._cancel_when_idle, self._finishing)

    async def _cancel_when_idle(self, finishing: anyio.CancelScope) -> None:
        with finishing:
            await cast("anyio.Event", self._idle).wait()
        self.leave()

    def _tell(
        self, kind: EventKind, error: SendXError | None = None, *, delay: float | None = None
    ) -> None:
        event = Event(
            kind=kind,
            operation=self._name,
            call_id=self._id,
            attempt=self._attempts,
            elapsed=time.monotonic() - self._began,
            status_code=error.status_code if isinstance(error, ApiError) else None,
            error=None if error is None else type(error).__name__,
            delay=delay,
        )
        if self._outbox is None:
            tell(self._on_event, event)
        else:
            self._outbox.note_event(event, error)
