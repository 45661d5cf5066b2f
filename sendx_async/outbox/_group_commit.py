"""A group commit: one thread writes for all that wait, in one transaction after the other."""

import contextlib
import copy
import os
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from sendx_async._core.errors import InvalidRequestError, OutboxError, OutboxFullError
from sendx_async._core.locks import Lock
from sendx_async._runtime.background import is_exiting
from sendx_async.outbox._connection import in_use_here

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_MOST_IN_A_COMMIT = 500
_SECONDS_IDLE = 10.0


class Waiting(Generic[ItemT, ResultT]):
    """What the group commit writes for someone who waits for it.

    Args:
        item: What is to be written.
        tell: Called in the group commit's thread when its outcome is known.

    Attributes:
        item: What is to be written.
        error: Why it is not written, once that is known.
    """

    __slots__ = ("_is_known", "_result", "_tell", "error", "item")

    def __init__(self, item: ItemT, tell: Callable[[], object]) -> None:
        self.item = item
        self._tell: Callable[[], object] | None = tell
        self._is_known = False
        self._result: ResultT | None = None
        self.error: Exception | None = None

    def outcome(self) -> ResultT:
        """Return what came of it.

        Raises:
            Exception: It is not written.
        """
        if self.error is None:
            return cast("ResultT", self._result)
        try:
            raise self.error
        finally:
            self.error = None  # its traceback leads back to here

    def note(self, result: ResultT | None, error: Exception | None = None) -> None:
        """Note what came of it; the first time counts."""
        if not self._is_known:
            self._is_known, self._result, self.error = True, result, error

    def tell(self) -> None:
        """Wake whoever waits, once."""
        tell, self._tell = self._tell, None
        if tell is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended, so nobody waits
                tell()


class ThreadQueue(queue.SimpleQueue["Waiting[ItemT, ResultT] | None"], Generic[ItemT, ResultT]):
    """What a thread is given to write, and None as the last.

    Attributes:
        is_over: Whether the thread has ended, or is about to: idle, perhaps before it was used.
    """

    is_over = False


class GroupCommit(Generic[ItemT, ResultT]):
    """A thread that writes in one transaction all that has come while it committed the last ones.

    It is begun when it is needed, and ends when it is idle.

    Args:
        commit: Writes some in one transaction, or none of them.
        path: The outbox's file.
    """

    def __init__(self, commit: Callable[[list[ItemT]], list[ResultT]], path: str) -> None:
        self._commit = commit
        self._path = path
        self._queue: ThreadQueue[ItemT, ResultT] = ThreadQueue()
        self._thread: threading.Thread | None = None
        # Its process. Whether a thread is alive can't be asked: up to Python 3.12, Ctrl-C in that
        # makes it look dead for good.
        self._runs_in: int | None = None
        self._is_writing = self._is_closed = False
        self._starting = Lock()

    @property
    def is_busy(self) -> bool:
        """Whether anybody waits for it."""
        return self._is_writing or not self._queue.empty()

    def submit(self, waiting: Waiting[ItemT, ResultT]) -> None:
        """Have something written, behind all that was submitted before.

        Raises:
            OutboxError: The outbox is closed, no thread can be started, or this very thread was
                interrupted here by a signal, whose handler calls this.
        """
        self._refuse_if_interrupted()
        while not self._starting.run(lambda: self._hand_over(waiting)):
            if not self._start():
                self._write([waiting])
                return

    def _hand_over(self, waiting: Waiting[ItemT, ResultT]) -> bool:
        """Give it to the thread, and return whether there is one."""
        if self._is_closed:
            raise OutboxError(f"the outbox {self._path} is closed: make a new one")
        # After a fork the parent's is none of ours, and neither is what it was given.
        if self._runs_in != os.getpid():
            return False
        self._queue.put(waiting)
        return True

    def _refuse_if_interrupted(self) -> None:
        if self._starting.is_mine:
            raise in_use_here(self._path)

    def _start(self) -> bool:
        """Start a thread, and return whether that is possible: not if the interpreter is exiting.

        Not with the lock, which doesn't keep greenlets of one thread apart (gevent). So others may
        start one, too; what is given nothing ends.
        """
        given: ThreadQueue[ItemT, ResultT] = ThreadQueue()
        thread = threading.Thread(
            target=self._work, args=(given,), name="sendx_async outbox", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            if is_exiting():
                return False
            raise OutboxError(
                f"the outbox {self._path} can't start the thread that it needs to store this: "
                f"{error}"
            ) from error
        self._starting.run(lambda: self._use(thread, given))
        return True

    def _use(
        self,
        thread: threading.Thread,
        given: ThreadQueue[ItemT, ResultT],
    ) -> None:
        if self._is_closed or self._runs_in == os.getpid() or given.is_over:
            given.put(None)
            return
        self._queue, self._thread, self._is_writing = given, thread, False
        self._runs_in = os.getpid()

    def close(self) -> None:
        """End the thread, after what it was given.

        Raises:
            OutboxError: As for `submit`, where a signal's handler calls this.
        """
        self._refuse_if_interrupted()
        thread = self._starting.run(self._close)
        if thread is not None:
            thread.join()

    def _close(self) -> threading.Thread | None:
        self._is_closed = True
        thread = self._thread if self._runs_in == os.getpid() else None
        if thread is not None:
            self._queue.put(None)
        return thread

    def _work(self, waiting: ThreadQueue[ItemT, ResultT]) -> None:
        together: list[Waiting[ItemT, ResultT] | None] = []
        try:
            while None not in together[-1:]:
                together.clear()
                self._take(waiting, together)
                self._write([each for each in together if each is not None])
                self._is_writing = False
        finally:
            self._retire(waiting)  # whatever has ended it
            self._refuse(waiting, together)

    def _retire(self, waiting: ThreadQueue[ItemT, ResultT]) -> None:
        """Let who comes from now on begin another thread, with another queue."""
        self._starting.run(lambda: self._retire_here(waiting))

    def _retire_if_idle(self, waiting: ThreadQueue[ItemT, ResultT]) -> None:
        """End the thread, unless it was just given something: another one might overtake that."""
        self._starting.run(lambda: self._retire_here_if_idle(waiting))

    def _retire_here_if_idle(self, waiting: ThreadQueue[ItemT, ResultT]) -> None:
        if waiting.empty():
            self._retire_here(waiting)
            waiting.put(None)

    def _retire_here(self, waiting: ThreadQueue[ItemT, ResultT]) -> None:
        waiting.is_over = True
        if self._queue is waiting:
            self._runs_in = None

    def _refuse(
        self,
        waiting: ThreadQueue[ItemT, ResultT],
        together: list[Waiting[ItemT, ResultT] | None],
    ) -> None:
        """Tell those who still wait, as something unforeseen has ended the thread."""
        while not waiting.empty():
            together.append(waiting.get_nowait())
        for each in together:
            if each is not None:
                each.note(
                    None,
                    OutboxError(
                        f"the outbox {self._path} has not stored this: the thread that should was "
                        "ended by something unforeseen, which the error output tells"
                    ),
                )
                each.tell()

    def _take(
        self,
        waiting: ThreadQueue[ItemT, ResultT],
        together: list[Waiting[ItemT, ResultT] | None],
    ) -> None:
        """Wait for what is to be written; take it and what has come with it, None as the last."""
        try:
            together.append(waiting.get(timeout=_SECONDS_IDLE))
        except queue.Empty:
            # So that an outbox that nobody has closed goes when it is forgotten.
            self._retire_if_idle(waiting)
        self._is_writing = True
        with contextlib.suppress(queue.Empty):
            while len(together) < _MOST_IN_A_COMMIT and None not in together[-1:]:
                together.append(waiting.get_nowait())

    def _write(self, together: list[Waiting[ItemT, ResultT]]) -> None:
        """Write many in one transaction, or all of them that can be."""
        if not together:
            return
        try:
            results = self._commit([each.item for each in together])
        except (InvalidRequestError, OutboxFullError) as error:
            if len(together) > 1:
                for each in together:
                    self._write([each])
                return
            together[0].note(None, error)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for each in together:
                each.note(None, copy.copy(error))
        else:
            for each, result in zip(together, results, strict=True):
                each.note(result)
        for each in together:
            each.tell()
