"""The thread that commits for many: what no test can time from outside."""

import os
import threading

import pytest

from sendx_async import OutboxError
from sendx_async._core.locks import Latch
from sendx_async.outbox._group_commit import GroupCommit, ThreadQueue, Waiting


def test_a_thread_that_was_just_given_something_goes_on_though_it_was_idle() -> None:
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    given: ThreadQueue[str, str] = ThreadQueue()
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

    class Interrupted(ThreadQueue[str, str]):
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


def test_who_comes_while_a_thread_starts_is_no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As greenlets of the same thread do under gevent, which patches what starts threads."""
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    first, second = Latch(), Latch()
    one: Waiting[str, str] = Waiting("one", first.open)
    two: Waiting[str, str] = Waiting("two", second.open)
    start = threading.Thread.start

    def switch(thread: threading.Thread) -> None:
        monkeypatch.undo()
        group.submit(two)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", switch)
    group.submit(one)
    assert first.wait(100)
    assert second.wait(100)
    assert (one.outcome(), two.outcome()) == ("one", "two")
    group.close()


def test_a_thread_that_comes_too_late_ends() -> None:
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    group.close()
    assert group._start()
    with pytest.raises(OutboxError, match="is closed"):
        group.submit(Waiting("late", lambda: None))
    names = [thread for thread in threading.enumerate() if thread.name == "sendx_async outbox"]
    for thread in names:
        thread.join(100)
        assert not thread.is_alive()


def test_a_thread_that_was_idle_before_it_could_be_used_is_given_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a machine that was frozen meanwhile."""
    monkeypatch.setattr("sendx_async.outbox._group_commit._SECONDS_IDLE", 0.001)
    group: GroupCommit[str, str] = GroupCommit(lambda items: items, "outbox.db")
    written = Latch()
    start = threading.Thread.start

    def start_and_end(thread: threading.Thread) -> None:
        start(thread)
        thread.join(60)
        monkeypatch.undo()

    monkeypatch.setattr(threading.Thread, "start", start_and_end)
    group.submit(Waiting("item", written.open))
    assert written.wait(60)
    group.close()
