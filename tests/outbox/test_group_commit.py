"""The thread that commits for many: what no test can time from outside."""

import os
import queue

import pytest

from sendx_async import OutboxError
from sendx_async.outbox._group_commit import GroupCommit, Waiting


def test_a_thread_that_was_just_given_something_goes_on_though_it_was_idle() -> None:
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    given: queue.SimpleQueue[Waiting[str, str] | None] = queue.SimpleQueue()
    group._queue, group._runs_in = given, os.getpid()
    given.put(None)
    group._retire_if_idle(given)
    assert group._runs_in == os.getpid()
    given.get()
    group._retire_if_idle(given)
    assert group._runs_in is None


def test_a_signal_handler_does_not_wait_for_what_it_has_interrupted() -> None:
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    refused: list[str] = []

    class Interrupted(queue.SimpleQueue["Waiting[str, str] | None"]):
        def put(self, item: "Waiting[str, str] | None", *_: object) -> None:
            """Run a handler here, as a signal may."""
            with pytest.raises(OutboxError, match="in a handler set a flag"):
                group.submit(Waiting("of the handler", lambda: None))
            with pytest.raises(OutboxError, match="in a handler set a flag"):
                group.close()
            refused.append("both")
            super().put(item)

    group._queue, group._runs_in = Interrupted(), os.getpid()
    group.submit(Waiting("put", lambda: None))
    assert refused == ["both"]
    assert group._queue.qsize() == 1
