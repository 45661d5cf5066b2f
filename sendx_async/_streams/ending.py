"""How a stream comes to its end, be it an early one, and what it then leaves behind."""

from typing import cast

import anyio
import anyio.abc

from sendx_async._core.errors import NotSentError, SendXError
from sendx_async._policy.ordering import OrderedQueue
from sendx_async._runtime.time_limit import read_what_arrived
from sendx_async._streams.outcomes import Outcome, OutcomeQueue, outcomes_of_the_unfinished
from sendx_async._streams.reader import Reader
from sendx_async._streams.report import StreamReport


class Ending:
    """Lets nothing more begin, what is under way finish, and then cancels the rest.

    Args:
        reader: What reads the source.
        queue: What was read and is not finished.
        outcomes: Closed when all is over.
        report: Completes the error that ended everything.

    Attributes:
        has_begun: Whether nothing more may begin.
    """

    def __init__(
        self, reader: Reader, queue: OrderedQueue, outcomes: OutcomeQueue, report: StreamReport
    ) -> None:
        self._reader = reader
        self._queue = queue
        self._outcomes = outcomes
        self._report = report
        self._tasks: anyio.abc.TaskGroup | None = None
        self._idle: anyio.Event | None = None  # set when nothing is under way any more
        self._finishing: anyio.CancelScope | None = None
        self._failure: Exception | None = None
        self._left: list[Outcome] = []
        self.has_begun = False

    def watch(self, tasks: anyio.abc.TaskGroup) -> None:
        """Note what has to be cancelled in the end; at once if it has come already."""
        self._tasks = tasks
        self._idle = anyio.Event()  # of this loop, which need not be the one this was made in
        if self.has_begun:
            tasks.cancel_scope.cancel()

    def begin(self, failure: Exception | None, seconds: float) -> None:
        """Let nothing more begin; what is under way may take so many seconds to end.

        Args:
            failure: What ends everything, if it is a failure; the first one counts.
            seconds: The limit.
        """
        if self.has_begun:
            return
        self._failure = failure
        self.has_begun = True
        self._finishing = anyio.CancelScope(deadline=anyio.current_time() + seconds)
        tasks = cast("anyio.abc.TaskGroup", self._tasks)
        tasks.start_soon(self._cancel_when_idle, self._finishing)

    def stop(self, seconds: float) -> None:
        """Let nothing more begin, as for no failure; lower the limit if that was so already."""
        if self._finishing is None:
            self.begin(None, seconds)
        else:
            soonest = min(self._finishing.deadline, anyio.current_time() + seconds)
            self._finishing.deadline = soonest

    def fail(self, failure: Exception) -> None:
        """Note what has ended everything, unless something else had."""
        self._failure = self._failure or failure

    def note_idle(self) -> None:
        """Note that nothing is under way."""
        if self.has_begun:
            cast("anyio.Event", self._idle).set()

    async def _cancel_when_idle(self, finishing: anyio.CancelScope) -> None:
        idle = cast("anyio.Event", self._idle)
        with finishing:
            await idle.wait()
        await read_what_arrived(lambda: not idle.is_set())
        self.cancel()

    def cancel(self) -> None:
        """Cancel everything at once."""
        self.has_begun = True
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def close(self) -> None:
        """Tell whoever takes outcomes that there will be no more, and why; all tasks are over."""
        self._reader.stop()
        self._left = outcomes_of_the_unfinished(self._queue.unfinished.values())
        failure = self._failure
        if failure is None and (self._left or not self._reader.is_done):
            if self.has_begun:
                # Only for who looks for more: leaving early is no failure.
                failure = RuntimeError(
                    "the stream was left before its end: take outcomes inside its `with` "
                    "statement; unclaimed holds what is left"
                )
            else:
                failure = NotSentError("the stream was cancelled from outside")
        if isinstance(failure, SendXError):
            self._report.describe(failure, self._outcomes, self._left + self._reader.unread())
        self._outcomes.close(failure or self._reader.error)

    def unclaimed(self) -> list[Outcome]:
        """Return the outcomes of all that was read and not taken, in the source's order.

        Raises:
            RuntimeError: It has not come to its end.
        """
        if not self._outcomes.is_closed:
            raise RuntimeError("the stream has not ended: leave its `with` statement first")
        behind = self._left + self._reader.unread()
        return sorted(self._outcomes.rest() + behind, key=lambda outcome: outcome.index)
