"""The thread that commits for many: what no test can time from outside."""

import os
import queue

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
