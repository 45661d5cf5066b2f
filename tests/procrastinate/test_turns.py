"""Whose turn it is, for deliveries without a database or a network: the clock is the test's."""

import asyncio
import math
from typing import Any

import pytest

from sendx_async import ConnectError, RetryPolicy
from sendx_async._policy.admission import Admission
from sendx_async._policy.circuit_breaker import FailureHistory
from sendx_async._policy.failures import FailureClass
from sendx_async.procrastinate._turns import StoppingError, Turn, Turns

pytestmark = pytest.mark.asyncio


class Worker:
    """Turns, what decides about them, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        # So long a pause that nobody wakes by himself.
        policy = RetryPolicy(base=1e6, cap=1e6)
        self.admission = Admission(policy, patience=math.inf, most_at_once=4, now=self.now)
        self.turns = Turns(self.admission, clock=lambda: self.now)

    async def begin(self, turn: Turn) -> "asyncio.Task[None]":
        """Let a delivery wait for its turn; return its task, which has got as far as it can."""
        task = asyncio.create_task(self.turns.begin(turn))
        await self.settle()
        return task

    @staticmethod
    async def settle() -> None:
        """Let all tasks go as far as they can: nothing but them and the clock is waited for."""
        for _ in range(10):
            await asyncio.sleep(0)

    def fail(self) -> None:
        """Begin an outage, or prolong it."""
        self.admission.fail(
            FailureHistory("jane"), FailureClass.OUTAGE, ConnectError(), jitter=1.0,
            begun=self.now, now=self.now,
        )  # fmt: skip

    def pass_the_pause(self) -> None:
        self.now = self.admission.resumes_at


@pytest.fixture
def worker() -> Worker:
    return Worker()


async def is_begun(worker: Worker, task: "asyncio.Task[Any]") -> bool:
    await worker.settle()
    return task.done()


async def test_when_all_is_well_they_begin_in_the_order_in_which_they_came(worker: Worker) -> None:
    tasks = [
        await worker.begin(worker.turns.hold(replay_safe=number % 2 == 0)) for number in range(6)
    ]
    assert [task.done() for task in tasks] == [True] * 4 + [False] * 2
    worker.turns.end()
    assert await is_begun(worker, tasks[4])
    assert not tasks[5].done()
    worker.turns.end()
    assert await is_begun(worker, tasks[5])


async def test_an_outage_is_tried_with_what_is_safe_to_repeat_though_it_came_later(
    worker: Worker,
) -> None:
    event, safe = (worker.turns.hold(replay_safe=is_safe) for is_safe in (False, True))
    worker.fail()
    trying_event = await worker.begin(event)
    worker.pass_the_pause()
    trying_safe = await worker.begin(safe)
    assert trying_safe.done()
    assert not trying_event.done()
    worker.admission.succeed(begun=safe.begun, now=worker.now)
    worker.turns.end()
    assert await is_begun(worker, trying_event)


async def test_an_event_does_not_try_an_outage_while_something_safe_is_busy_elsewhere(
    worker: Worker,
) -> None:
    event, safe = (worker.turns.hold(replay_safe=is_safe) for is_safe in (False, True))
    await worker.begin(safe)
    worker.fail()
    worker.turns.end()  # and now it awaits the database, perhaps
    worker.pass_the_pause()
    trying_event = await worker.begin(event)
    assert not trying_event.done()
    trying_safe = await worker.begin(safe)
    assert trying_safe.done()
    assert not trying_event.done()
    worker.fail()
    worker.turns.end()
    worker.pass_the_pause()
    assert not await is_begun(worker, trying_event)
    worker.turns.release(safe)
    assert await is_begun(worker, trying_event)


@pytest.mark.parametrize("was_waiting", [False, True])
async def test_an_event_tries_an_outage_when_the_last_that_is_safe_has_left(
    worker: Worker, was_waiting: bool
) -> None:
    event, *others = (worker.turns.hold(replay_safe=is_safe) for is_safe in (False, True, True))
    worker.fail()
    if was_waiting:
        waiting = [await worker.begin(turn) for turn in others]
        for task in waiting:
            task.cancel()
        await worker.settle()
    worker.pass_the_pause()
    trying_event = await worker.begin(event)
    worker.turns.release(others[0])
    assert not await is_begun(worker, trying_event)
    worker.turns.release(others[1])
    assert await is_begun(worker, trying_event)


async def test_events_alone_try_an_outage_one_at_a_time(worker: Worker) -> None:
    turns = [worker.turns.hold(replay_safe=False) for _ in range(2)]
    worker.fail()
    worker.pass_the_pause()
    tasks = [await worker.begin(turn) for turn in turns]
    assert [task.done() for task in tasks] == [True, False]
    worker.turns.end()
    assert await is_begun(worker, tasks[1])


async def test_an_event_that_has_begun_is_not_sent_if_an_outage_begins_first(
    worker: Worker,
) -> None:
    event, safe = (worker.turns.hold(replay_safe=is_safe) for is_safe in (False, True))
    for turn in (event, safe):
        await worker.begin(turn)
        assert worker.turns.may_be_sent(turn)
    worker.fail()
    assert not worker.turns.may_be_sent(event)
    assert worker.turns.may_be_sent(safe)  # which does no harm
    worker.turns.release(safe)
    assert not worker.turns.may_be_sent(event)


async def test_an_event_that_has_begun_to_try_an_outage_is_not_sent_if_something_safe_comes(
    worker: Worker,
) -> None:
    event = worker.turns.hold(replay_safe=False)
    worker.fail()
    worker.pass_the_pause()
    await worker.begin(event)
    assert worker.turns.may_be_sent(event)
    worker.turns.hold(replay_safe=True)
    assert not worker.turns.may_be_sent(event)


async def test_the_one_whose_turn_it_is_begins_by_itself_when_the_pause_is_over() -> None:
    admission = Admission(
        RetryPolicy(base=0.01, cap=0.01),
        patience=math.inf,
        most_at_once=4,
        now=asyncio.get_running_loop().time(),
    )
    turns = Turns(admission)
    now = asyncio.get_running_loop().time()
    admission.fail(
        FailureHistory("jane"), FailureClass.OUTAGE, ConnectError(), jitter=1.0, begun=now, now=now
    )
    turn = turns.hold(replay_safe=True)
    await turns.begin(turn)
    assert turn.begun >= now + 0.01


async def test_a_worker_that_stops_lets_nobody_wait_for_the_end_of_an_outage(
    worker: Worker,
) -> None:
    worker.fail()
    waiting = [
        await worker.begin(worker.turns.hold(replay_safe=is_safe)) for is_safe in (True, False)
    ]
    worker.turns.stop()
    for task in waiting:
        with pytest.raises(StoppingError):
            await task


async def test_a_worker_that_stops_while_all_is_well_sends_what_it_has(worker: Worker) -> None:
    worker.turns.stop()
    assert (await worker.begin(worker.turns.hold(replay_safe=False))).done()


async def test_whose_turn_it_is_by_the_time_alone_is_woken_by_whose_it_was(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five minutes an event may be preferred, and nothing else wakes it."""
    event, safe = (worker.turns.hold(replay_safe=is_safe) for is_safe in (False, True))
    worker.fail()
    trying_event, trying_safe = await worker.begin(event), await worker.begin(safe)
    worker.pass_the_pause()
    monkeypatch.setattr(Admission, "prefers_event", lambda *_: True)
    safe.wake()
    assert await is_begun(worker, trying_event)
    assert not trying_safe.done()
    trying_safe.cancel()
