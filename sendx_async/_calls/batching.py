"""Lets calls that identify a contact share requests, when there is more than one at a time."""

import asyncio
import contextlib
import contextvars
import copy
import enum
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import attrs

from sendx_async._calls.call import Answer, Call, Earlier
from sendx_async._calls.factory import CallFactory
from sendx_async._core.errors import SendXError
from sendx_async._core.models import IdentifyRequest, IdentifyResponse
from sendx_async._core.operations import (
    IDENTIFY,
    IDENTIFY_BULK,
    MOST_IN_BULK,
    Operation,
    contacts_of,
)
from sendx_async._policy import failures
from sendx_async._runtime.loops import current_loop
from sendx_async._runtime.time_limit import read_what_arrived

_FIRST_GUESS = 0.25  # seconds that an answer usually takes
_SHORTEST_HOLD, _LONGEST_HOLD = 0.05, 1.0
_LOOKED_AT = 2 * MOST_IN_BULK  # of those who wait, to fill a batch with different contacts


class _State(enum.Enum):
    """Where a caller's contact is."""

    WAITING = enum.auto()  # to leave
    SHARING = enum.auto()  # it has left with others
    ALONE = enum.auto()  # it leaves by itself, and counts as a request under way
    GONE = enum.auto()  # the caller has ended


class _Ticket:
    """One caller's contact, from the call until the caller has ended.

    Attributes:
        context: The caller's context variables, such as what it is traced by.
        answered: Set when there is an ``outcome``, or when the caller has to go alone.
        outcome: What became of it, or what was done before the caller went alone.
        call: The call that it shares, once that has begun.
        state: Where it is.
    """

    def __init__(self, request: IdentifyRequest, *, began: float, ends: float) -> None:
        self.request = request
        self.contact = contacts_of(request)[0]
        self.began = began
        self.ends = ends
        self.context = contextvars.copy_context()
        self.answered = anyio.Event()
        self.outcome: Answer[IdentifyResponse] | SendXError | Earlier | None = None
        self.call: Call[IdentifyResponse] | None = None
        self.state = _State.WAITING

    def answer(self, outcome: Answer[IdentifyResponse] | SendXError | Earlier) -> None:
        self.outcome = outcome
        self.answered.set()

    def earlier(self) -> Earlier:
        """Return what was done for it so far."""
        call = self.call
        if call is None:
            return Earlier(self.began, 0, maybe_delivered=False)
        return Earlier(self.began, call.attempts, maybe_delivered=call.maybe_delivered)


class _Line:
    """The callers of one event loop that wait to leave together, and how much is under way."""

    def __init__(self, loop: object) -> None:
        self.loop = loop
        self.waiting: deque[_Ticket] = deque()
        self.under_way = 0
        self.tasks: set[asyncio.Task[None]] = set()  # the loop itself holds them weakly


class Batcher:
    """Sends the contacts of concurrent callers together; each gets its own result or error.

    A call that finds nothing under way leaves at once. Others leave together as soon as a request
    ends or a batch is full. There is no timer, but for one case: an answer that takes far longer
    than usual holds nobody up.

    Args:
        calls: What begins the calls.
    """

    def __init__(self, calls: CallFactory) -> None:
        self._calls = calls
        self._now = calls.shared.now
        self._most_at_once = calls.shared.most_at_once
        self._lines: dict[object, _Line] = {}
        self._usual = _FIRST_GUESS
        self._is_off = False

    async def identify(
        self, request: IdentifyRequest, *, deadline: float
    ) -> Answer[IdentifyResponse]:
        """Identify a contact, together with others if there are any.

        Args:
            request: The contact.
            deadline: Seconds that the call may take.

        Raises:
            SendXError: As for a call of its own.
        """
        if self._is_off:
            return await self._begin_call(IDENTIFY, request, deadline=deadline).run()
        loop = current_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = _Line(loop)
        began = self._now()
        ticket = _Ticket(request, began=began, ends=began + deadline)
        line.waiting.append(ticket)
        self._leave_if_due(line)
        try:
            outcome = await self._wait(line, ticket)
            if isinstance(outcome, Earlier):
                call = self._begin_call(IDENTIFY, request, deadline=deadline, earlier=outcome)
                return await call.run()
        finally:
            self._forget(line, ticket)
        if isinstance(outcome, SendXError):
            try:
                raise outcome
            finally:
                del outcome, ticket  # its traceback holds this frame, which would hold it in turn
        return outcome

    def _begin_call(
        self,
        operation: Operation[Any, IdentifyResponse],
        request: Any,
        *,
        deadline: float,
        earlier: Earlier | None = None,
    ) -> Call[IdentifyResponse]:
        return self._calls.begin(
            operation,
            request,
            settings=attrs.evolve(self._calls.settings, deadline=deadline),
            # What happened to all may be the fault of one, and going alone tells whose.
            replay_safe=operation is IDENTIFY,
            earlier=earlier,
        )

    async def _wait(
        self, line: _Line, ticket: _Ticket
    ) -> Answer[IdentifyResponse] | SendXError | Earlier:
        if ticket.outcome is None:
            hold = min(max(2 * self._usual, _SHORTEST_HOLD), _LONGEST_HOLD)
            await self._until(ticket.answered, min(ticket.began + hold, ticket.ends))
        if ticket.state is _State.WAITING and self._has_room(line):
            self._leave(line)
        if ticket.outcome is None:
            await self._until(ticket.answered, ticket.ends)
        await read_what_arrived(
            lambda: ticket.outcome is None and ticket.earlier().maybe_delivered,
            steps=2,  # the call that it shares has to be over, too
        )
        if ticket.outcome is None:
            earlier = ticket.earlier()
            error = failures.deadline_exceeded(ticket.ends - ticket.began, None)
            error.maybe_delivered = earlier.maybe_delivered
            return self._described(error, ticket, attempts=earlier.attempts)
        return ticket.outcome

    async def _until(self, event: anyio.Event, moment: float) -> None:
        # It waits for something real, so its limit is of the event loop's own clock.
        with anyio.move_on_after(moment - self._now()):
            await event.wait()

    def _forget(self, line: _Line, ticket: _Ticket) -> None:
        """Let others have what a caller that has ended, in whatever way, still holds."""
        state, ticket.state = ticket.state, _State.GONE
        if state is _State.WAITING:
            line.waiting.remove(ticket)
            self._drop_if_idle(line)
        elif state is _State.ALONE:
            self._end(line)

    def _has_room(self, line: _Line) -> bool:
        return line.under_way < self._most_at_once

    def _leave_if_due(self, line: _Line) -> None:
        while (
            line.waiting
            and self._has_room(line)
            and (not line.under_way or len(line.waiting) >= MOST_IN_BULK)
        ):
            self._leave(line)

    def _end(self, line: _Line) -> None:
        """Note that a request has ended, which is when those who wait leave."""
        line.under_way -= 1
        if line.waiting:
            self._leave(line)
        self._leave_if_due(line)
        self._drop_if_idle(line)

    def _drop_if_idle(self, line: _Line) -> None:
        if not line.under_way and not line.waiting:
            self._lines.pop(line.loop, None)

    def _leave(self, line: _Line) -> None:
        """Send off those who have waited longest, each contact once."""
        leaving: dict[str, _Ticket] = {}
        staying: list[_Ticket] = []
        for _ in range(min(len(line.waiting), _LOOKED_AT)):
            ticket = line.waiting.popleft()
            if len(leaving) < MOST_IN_BULK and ticket.contact not in leaving:
                leaving[ticket.contact] = ticket
                ticket.state = _State.SHARING
            else:
                staying.append(ticket)
        line.waiting.extendleft(reversed(staying))
        line.under_way += 1
        tickets = list(leaving.values())
        if len(tickets) == 1:
            tickets[0].state = _State.ALONE
            tickets[0].answer(tickets[0].earlier())
        else:
            # In the context of who has waited longest. In that of whoever runs here, often the
            # request before, all would hand the very first caller's trace on to each other.
            _spawn(line, lambda: self._send_unless_gone(line, tickets), context=tickets[0].context)

    async def _send_unless_gone(self, line: _Line, tickets: list[_Ticket]) -> None:
        # Whoever cancels one of them may cancel all: what nobody waits for is not sent.
        if tickets := [ticket for ticket in tickets if ticket.state is not _State.GONE]:
            await self._send(line, tickets)
        else:
            self._end(line)

    async def _send(self, line: _Line, tickets: list[_Ticket]) -> None:
        began = self._now()
        try:
            call = self._begin_call(
                IDENTIFY_BULK,
                tuple(ticket.request for ticket in tickets),
                deadline=max(ticket.ends for ticket in tickets) - began,
            )
            for ticket in tickets:
                ticket.call = call
            answer = await call.run()
        except SendXError as error:
            self._after_failure(tickets, error.with_traceback(None))
        except Exception:  # noqa: BLE001, S110 - each caller meets it in a call of its own
            pass
        except BaseException:
            # Whoever ends the loop's tasks wants no new ones: those who wait find out themselves.
            self._let_go_alone(tickets)
            line.under_way -= 1
            self._drop_if_idle(line)
            raise
        else:
            self._usual += ((self._now() - began) - self._usual) / 4
            for ticket in tickets:
                ticket.answer(answer)
        self._let_go_alone(tickets)
        self._end(line)

    def _let_go_alone(self, tickets: list[_Ticket]) -> None:
        for ticket in tickets:
            if ticket.outcome is None:
                ticket.answer(ticket.earlier())

    def _after_failure(self, tickets: list[_Ticket], error: SendXError) -> None:
        """Answer each caller, or let each try alone if it may be the fault of one of them."""
        failure_class = failures.classify(error, replay_safe=True)
        if failure_class in {failures.FailureClass.REJECTED, failures.FailureClass.AGAIN}:
            if failures.is_endpoint_missing(error):
                self._is_off = True
            return
        for ticket in tickets:
            ticket.answer(self._described(copy.copy(error), ticket, attempts=error.attempts))

    def _described(self, error: SendXError, ticket: _Ticket, *, attempts: int) -> SendXError:
        error.operation = IDENTIFY.name
        error.call_id = None if ticket.call is None else ticket.call.id
        error.attempts = attempts
        error.elapsed = self._now() - ticket.began
        error.replay_safe = True  # what isn't goes alone
        return error


def _spawn(
    line: _Line,
    function: Callable[[], Coroutine[Any, Any, None]],
    *,
    context: contextvars.Context,
) -> None:
    """Start a task that no caller owns, so that none of them ends it for the others."""
    loop = line.loop
    if isinstance(loop, asyncio.AbstractEventLoop):

        def start() -> None:
            task = loop.create_task(function())
            line.tasks.add(task)
            task.add_done_callback(line.tasks.discard)

        # Later, and so not in a loop that is ending or has ended: it would destroy the task.
        with contextlib.suppress(RuntimeError):
            loop.call_soon(start, context=context)
    else:
        import trio.lowlevel  # noqa: PLC0415 - an optional dependency

        trio.lowlevel.spawn_system_task(function, context=context)
