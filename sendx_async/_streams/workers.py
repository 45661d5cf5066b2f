"""Sends what waits in the queue, side by side, and draws the conclusions from each answer."""

import copy
import math
import random
from collections.abc import Sequence
from typing import Any, Protocol, cast

import anyio.abc

from sendx_async._calls.call import Call
from sendx_async._core.errors import DeadlineExceeded, OutageError, SendXError
from sendx_async._policy.failures import retry_after_of
from sendx_async._policy.ordering import PROBE, Message, OrderedQueue
from sendx_async._policy.recovery import Decision, NextStep, Recovery
from sendx_async._runtime.clock import Clock
from sendx_async._streams.ending import Ending
from sendx_async._streams.outcomes import Outcome, OutcomeQueue
from sendx_async._streams.report import StreamReport
from sendx_async._streams.rules import DispatchRules


class BeginCall(Protocol):
    """Makes the call that sends messages once, and waits for its moment.

    It waits however long that takes for the client's rate, but for no pause of the client that
    ends later than `pauses_end`, by the client's clock.
    """

    def __call__(self, messages: Sequence[Message], pauses_end: float) -> Call[Any]: ...


class Workers:
    """Tasks that each send one request after the other, as many as may be under way.

    Args:
        begin_call: Makes the call for messages that share a request.
        queue: What is to be sent.
        outcomes: Takes what became of it.
        rules: How it is sent.
        report: Tells when everything pauses.
        ending: Told when nothing can be sent any more.
        clock: The time.
    """

    def __init__(
        self,
        begin_call: BeginCall,
        queue: OrderedQueue,
        outcomes: OutcomeQueue,
        *,
        rules: DispatchRules,
        report: StreamReport,
        ending: Ending,
        clock: Clock,
    ) -> None:
        self._begin_call = begin_call
        self._queue = queue
        self._outcomes = outcomes
        self._rules = rules
        self._report = report
        self._ending = ending
        self._clock = clock
        self._recovery = Recovery(
            queue,
            rules.retry,
            patience=rules.patience,
            most_at_once=rules.concurrency,
            now=clock.monotonic(),
            is_outbox=rules.is_outbox,
        )
        self._recovery.note_uncertain(clock.monotonic() - rules.seconds_since_uncertain)
        self._count = self._starting = 0
        self._is_resuming = False
        self._tasks: anyio.abc.TaskGroup | None = None

    @property
    def are_idle(self) -> bool:
        """Whether nothing is under way, or about to be."""
        return not self._count

    def watch(self, tasks: anyio.abc.TaskGroup) -> None:
        """Note where workers are to run."""
        self._tasks = tasks

    def dispatch(self) -> None:
        """Start as many workers as may be under way and will find something to send."""
        while (
            self._queue.ready > self._starting * self._queue.batch_size
            and self._count < self._allowed()
        ):
            self._count += 1
            self._starting += 1
            # It takes its messages when it comes to run: until then more of them may be read.
            self._group.start_soon(self._work)

    @property
    def _group(self) -> anyio.abc.TaskGroup:
        return cast("anyio.abc.TaskGroup", self._tasks)

    def _allowed(self) -> int:
        return 0 if self._ending.has_begun else self._recovery.allows(self._clock.monotonic())

    async def _work(self) -> None:
        may_send = await self._wait_for_its_turn()
        self._starting -= 1
        while may_send and (messages := await self._take()):
            self.dispatch()
            await self._send(messages)
            self._outcomes.tell()
            may_send = await self._wait_for_its_turn()
        self._count -= 1
        if self.are_idle:
            self._ending.note_idle()

    async def _wait_for_its_turn(self) -> bool:
        """Wait until a worker may send; tells whether it is not one too many by then."""
        while self._count <= self._allowed():
            if (wait := self._recovery.wait(self._clock.monotonic())) <= 0:
                return True
            await self._clock.sleep(wait)
        return False

    async def _take(self) -> list[Message]:
        """Return the messages of the next request; none if there is nothing to be sent now."""
        messages = self._recovery.take(self._clock.monotonic())
        if messages or not self._recovery.lacks_probe:
            return messages
        try:
            found = await self._rules.find_probe()
        except Exception as error:  # noqa: BLE001 - the outbox's file can't be used
            self._end(error)
            return []
        now = self._clock.monotonic()
        # There may be one worker too many by now, or something may have come.
        if self._count > self._allowed() or (messages := self._recovery.take(now)):
            return messages
        if found is not None:
            return [Message.of(PROBE, found)]
        messages = self._recovery.take_event(now)
        if not messages and self._recovery.resumes_at > now:
            self._resume_later()
        return messages

    async def _send(self, messages: list[Message]) -> None:
        self._report.attempts += 1
        for message in messages:
            message.attempts += 1
        begun = self._clock.monotonic()
        call: Call[Any] | None = None
        try:
            call = self._begin_call(messages, self._recovery.patience_ends(begun))
            answer = await call.run()
        except SendXError as error:
            # The frames hold the call with its body, and nobody needs them any more.
            self._after_failure(messages, error.with_traceback(None), begun)
        except Exception as error:  # noqa: BLE001 - an extension of the application's httpx client
            _note_interruption(messages, call)
            self._end(error)
        except BaseException:
            _note_interruption(messages, call)
            raise
        else:
            if self._recovery.note_answer(messages, begun=begun, now=self._clock.monotonic()):
                self._report.tell("resumed")
            for message in _of_the_source(messages):
                self._queue.finish(message)
                self._outcomes.put(Outcome(message.index, message.request, answer.data))

    def _after_failure(self, messages: list[Message], error: SendXError, begun: float) -> None:
        for message in messages:
            message.maybe_delivered = message.maybe_delivered or error.maybe_delivered
        decision = self._recovery.after_failure(
            messages,
            error,
            jitter=random.random(),  # noqa: S311 - jitter is no secret
            begun=begun,
            now=self._clock.monotonic(),
        )
        if decision.ends_outage:
            self._report.tell("resumed")
        if own := _of_the_source(messages):
            self._go_on_with(own, decision, error)
        if decision.step is NextStep.STOP:
            self._end(error)
        if decision.pause is not None:
            self._after_pause_began(decision.pause, error)

    def _go_on_with(self, messages: list[Message], decision: Decision, error: SendXError) -> None:
        if decision.step is NextStep.FINISH:
            for message in messages:
                self._finish(message, error)
            return
        self._note_unsent(messages)
        if decision.step is NextStep.LATER:
            self._queue.set_aside(messages[0])
            self._group.start_soon(self._give_back_later, messages[0], decision.wait)
            return
        for message in messages:
            message.is_alone = message.is_alone or decision.step is NextStep.APART
        self._queue.give_back(messages)

    def _finish(self, message: Message, error: SendXError) -> None:
        self._queue.finish(message)
        error = copy.copy(error)  # contacts may share one, and each tells of its own attempts
        error.attempts = message.attempts
        error.maybe_delivered = message.maybe_delivered
        error.replay_safe = message.replay_safe
        self._outcomes.put(Outcome(message.index, message.request, error=error))

    def _note_unsent(self, messages: list[Message]) -> None:
        if not messages[0].maybe_delivered:
            self._rules.note_unsent(messages)

    async def _give_back_later(self, message: Message, delay: float) -> None:
        await self._clock.sleep(delay)
        self._queue.give_back([message])
        self.dispatch()

    def _after_pause_began(self, pause: float, error: SendXError) -> None:
        if pause == math.inf:
            self._end(self._outage(error))
            return
        self._report.tell("paused", error, delay=pause)
        self._resume_later()

    def _resume_later(self) -> None:
        if not self._is_resuming:
            self._is_resuming = True
            self._group.start_soon(self._resume)

    async def _resume(self) -> None:
        """Wait until an outage may be tried again, however often that is put off."""
        # For ever, if patience has ended meanwhile.
        while 0 < (left := self._recovery.resumes_at - self._clock.monotonic()) < math.inf:
            await self._clock.sleep(left)
        self._is_resuming = False
        self.dispatch()

    def _outage(self, error: SendXError) -> OutageError:
        """Return the error of an outage that lasts too long, this being the last of its errors."""
        if isinstance(error, DeadlineExceeded) and error.last is not None:
            error = error.last  # another call has met it
        patience = self._rules.patience
        retry_after = retry_after_of(error)
        text = f"SendX failed for longer than the patience of {patience:g} s"
        if retry_after is not None:
            text = (
                f"SendX asks to wait {retry_after:g} s, longer than what is left of the patience "
                f"of {patience:g} s"
            )
        return OutageError(f"{text}: {error}", last=error)

    def _end(self, failure: Exception) -> None:
        self._ending.begin(failure, self._rules.seconds_to_finish)


def _of_the_source(messages: list[Message]) -> list[Message]:
    """Return the messages without a probe that is no part of the source."""
    return [] if messages[0].index == PROBE else messages


def _note_interruption(messages: list[Message], call: Call[Any] | None) -> None:
    if call is not None and call.maybe_delivered:
        for message in messages:
            message.maybe_delivered = True
