"""What `AsyncTrackingClient.send_many` gives: outcomes, one by one, as they come."""

import functools
import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NotRequired, Self, TypedDict, Unpack, cast

import anyio
import anyio.abc
import anyio.lowlevel
import attrs

from sendx_async._calls.call import Call
from sendx_async._calls.factory import CallFactory
from sendx_async._core import options
from sendx_async._core.operations import IDENTIFY_BULK, MOST_IN_BULK
from sendx_async._policy.ordering import Message
from sendx_async._streams.dispatcher import Dispatcher
from sendx_async._streams.outcomes import Outcome
from sendx_async._streams.rules import DeliveryStore, make_rules
from sendx_async._streams.source import Source

_TAKEN_AT_A_TIME = 50


class AsyncOutcomeStream:
    """Outcomes of the requests of a source, in order of completion; made by ``send_many``.

    Requests are sent while the ``async with`` is open, and the source is read only as fast as
    outcomes are taken: iterate to the end, or nothing moves on. Leaving it early stops everything
    at once; `unclaimed` then holds what was read and not handed out.

    Args:
        dispatcher: What reads the source and sends.
    """

    __module__ = "sendx_async"

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._tasks: anyio.abc.TaskGroup | None = None
        self._handed_out = 0

    @property
    def unclaimed(self) -> tuple[Outcome, ...]:
        """What was read from the source and not handed out, in the source's order.

        To be asked for when the stream has ended or was left. The error of each tells what became
        of it: `NotSentError` if it was certainly not applied, `ResponseLost` if it may have been,
        since it was under way or had failed in a way that leaves it open; what was finished already
        has its own response or error.

        Raises:
            RuntimeError: The stream has not ended, or was not opened.
        """
        return tuple(self._dispatcher.unclaimed())

    @property
    def unsent(self) -> tuple[Outcome, ...]:
        """Those of `unclaimed` that were certainly not applied, and had no chance to be.

        What else can be sent again is told by `Outcome.is_retryable`: most requests may be applied
        twice, so to go on later give ``each.request for each in stream.unclaimed if
        each.is_retryable`` to another stream.

        Raises:
            RuntimeError: The stream has not ended, or was not opened.
        """
        return tuple(self._dispatcher.unsent())

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise RuntimeError("a stream can be opened only once: call send_many again")
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._dispatcher.run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._dispatcher.leave()
        # Without the error, which the task group would wrap in a group.
        await cast("anyio.abc.TaskGroup", self._tasks).__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """Return the next outcome, waiting for it.

        Raises:
            StopAsyncIteration: The source has ended, and every outcome was handed out.
            AuthenticationError, PermissionDeniedError: The key isn't accepted.
            OutageError: SendX failed for longer than the stream's ``patience``.
            ConnectError: No host has the name in ``base_url``, or its certificate isn't accepted.
            SendXError: Nothing can be sent for another reason, such as a closed client.
            Exception: What the source raised; all that it gave before is finished.
            RuntimeError: The stream isn't open, or was left before its end.
        """
        if self._tasks is None:
            raise RuntimeError(
                "open the stream first: async with client.send_many(...) as outcomes"
            )
        self._handed_out += 1
        if not self._handed_out % _TAKEN_AT_A_TIME:
            await anyio.lowlevel.checkpoint()  # others want to run, too
        outcomes = self._dispatcher.outcomes
        outcomes.make_room()
        outcome = outcomes.take()
        while outcome is None:
            if not await outcomes.arrival():
                raise StopAsyncIteration
            outcome = outcomes.take()
        return outcome


class DispatchOptions(TypedDict):
    """How a source is sent.

    Attributes:
        concurrency: How many requests may be under way at once.
        batch_size: How many contacts may share a request.
        patience: Seconds that an outage may last, or None.
        outbox: Where the requests are stored, if they are.
    """

    concurrency: int
    batch_size: int
    patience: float | None
    outbox: NotRequired[DeliveryStore]


def make_dispatcher(
    calls: CallFactory, source: Source, **how: Unpack[DispatchOptions]
) -> Dispatcher:
    """Return what sends a source for a client.

    Args:
        calls: What begins the client's calls.
        source: Where the requests come from.
        **how: How it is sent.

    Raises:
        ConfigurationError: An option is out of range.
    """
    outbox = how.get("outbox")
    retry = calls.settings.retry if outbox is None else outbox.retry
    # A stream decides itself what is repeated, and how long it waits.
    once = attrs.evolve(calls.settings, deadline=math.inf, retry=attrs.evolve(retry, max_retries=0))

    def begin_call(messages: Sequence[Message], pauses_end: float) -> Call[Any]:
        operation, request = messages[0].operation, messages[0].request
        if len(messages) > 1:
            operation, request = IDENTIFY_BULK, tuple(each.request for each in messages)
        before = None if outbox is None else functools.partial(outbox.before_attempt, messages)
        return calls.begin(
            operation,
            request,
            settings=once,
            replay_safe=False,
            pauses_end=pauses_end,
            before_attempt=before,
        )

    concurrency = options.make_count("concurrency", how["concurrency"])
    rules = make_rules(
        retry=retry,
        on_event=calls.settings.on_event,
        concurrency=int(min(concurrency, calls.shared.most_at_once)),
        batch_size=options.make_count("batch_size", how["batch_size"], most=MOST_IN_BULK),
        patience=options.make_patience(how["patience"]),
        outbox=outbox,
    )
    return Dispatcher(source, begin_call, rules=rules, clock=calls.shared.clock)
