"""Sends the requests of a source: puts together what reads, what sends and what ends it."""

import anyio

from sendx_async._core.errors import NotSentError
from sendx_async._policy.ordering import OrderedQueue
from sendx_async._runtime.clock import Clock
from sendx_async._streams.ending import Ending
from sendx_async._streams.outcomes import Outcome, OutcomeQueue
from sendx_async._streams.reader import Reader
from sendx_async._streams.report import StreamReport
from sendx_async._streams.rules import DispatchRules
from sendx_async._streams.source import Source
from sendx_async._streams.workers import BeginCall, Workers


class Dispatcher:
    """Sends what a source gives, in the order that each contact needs, through any trouble.

    `run` does the work, in a task of its own; what becomes of each request is put into `outcomes`.

    Args:
        source: Where the requests come from: models or mappings.
        begin_call: Makes the call for messages that share a request.
        rules: How they are sent.
        clock: The time.

    Attributes:
        outcomes: Where the outcomes wait to be taken.
    """

    def __init__(
        self, source: Source, begin_call: BeginCall, *, rules: DispatchRules, clock: Clock
    ) -> None:
        queue = OrderedQueue(rules.batch_size)
        report = StreamReport(rules, clock)
        self.outcomes = OutcomeQueue(most=rules.most_read, step=rules.batch_size)
        self._reader = Reader(source, queue, self.outcomes, clock)
        self._ending = Ending(self._reader, queue, self.outcomes, report)
        self._workers = Workers(
            begin_call,
            queue,
            self.outcomes,
            rules=rules,
            report=report,
            ending=self._ending,
            clock=clock,
        )

    async def run(self) -> None:
        """Read and send until the source has ended and all that it gave is finished.

        What fails is raised to whoever takes outcomes, not here.
        """
        try:
            async with anyio.create_task_group() as tasks:
                self._ending.watch(tasks)
                self._workers.watch(tasks)
                tasks.start_soon(self._reader.read, self._workers.dispatch)
        except ExceptionGroup as group:  # the application's own clock
            self._ending.fail(group.exceptions[0])
        finally:
            self._ending.close()

    def stop(self, seconds: float) -> None:
        """Read and begin nothing more; what is under way may take so many seconds to end."""
        if self._workers.are_idle:
            self.leave()
        else:
            self._ending.stop(seconds)

    def leave(self) -> None:
        """Stop reading and sending at once; `unclaimed` tells what that leaves."""
        self._ending.cancel()

    def unclaimed(self) -> list[Outcome]:
        """Return the outcomes of all that was read and not taken, in the source's order.

        Raises:
            RuntimeError: It has not come to its end.
        """
        return self._ending.unclaimed()

    def unsent(self) -> list[Outcome]:
        """Return those of `unclaimed` that were certainly not applied; errors as there."""
        return [each for each in self.unclaimed() if isinstance(each.error, NotSentError)]
