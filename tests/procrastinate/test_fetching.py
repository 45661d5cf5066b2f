"""Fetching while many jobs wait for others of their contact: as Procrastinate does, but sooner."""

import random
from typing import TYPE_CHECKING

import procrastinate
import pytest
from procrastinate.jobs import Job
from procrastinate.testing import InMemoryConnector

from sendx_async.procrastinate import Deliveries, _fetching
from sendx_async.testing import FakeSendX
from tests.procrastinate.conftest import MakeApp, Table, working

if TYPE_CHECKING:
    from collections.abc import Callable

PUT = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, priority, scheduled_at) "
    "VALUES (%s, 'other', %s, %s, now() + make_interval(hours => %s)) RETURNING id"
)
FETCH = "SELECT id FROM procrastinate_fetch_job_v2(%s::varchar[], %s)"
END = "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s"
RETRY = (
    "UPDATE procrastinate_jobs SET status = 'todo', "
    "scheduled_at = now() + make_interval(hours => %s) WHERE id = %s"
)
DUE = "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE scheduled_at > now()"
CANCEL = "UPDATE procrastinate_jobs SET status = 'cancelled' WHERE id = %s AND status = 'todo'"


class Clock:
    """By which each look takes as long as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step: Callable[[], float] = lambda: 1.0

    def monotonic(self) -> float:
        self.now += self.step()
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_fetching, "monotonic", clock.monotonic)
    return clock


class Queue:
    """Jobs of somebody's own tasks, and a worker that fetches them and ends them."""

    def __init__(self, app: procrastinate.App, table: Table, worker: int) -> None:
        self.app = app
        self.table = table
        self.worker = worker

    def put(
        self, lock: str | None, *, priority: int = 0, hours: int | None = None, queue: str = "sendx"
    ) -> int:
        (row,) = self.table.do(PUT, queue, lock, priority, hours)
        return int(row["id"])

    async def fetch(self, queues: list[str] | None = None) -> Job | None:
        return await self.app.job_manager.fetch_job(queues, self.worker)

    async def fetch_lock(self) -> str | None:
        job = await self.fetch()
        return None if job is None else job.lock

    async def work(self, count: int) -> list[str | None]:
        """Fetch so many, one after the other; give their locks."""
        locks = []
        for _ in range(count):
            job = await self.fetch()
            assert job is not None
            self.table.do(END, job.id)
            locks.append(job.lock)
        return locks

    def ready(self, queues: list[str] | None) -> set[int]:
        """Give what Procrastinate would fetch, if it could choose among contacts."""
        found: set[int] = set()
        with self.table.connection.transaction(force_rollback=True):
            while (row := self.table.do(FETCH, queues, self.worker)[0])["id"] is not None:
                found.add(row["id"])
        return found


@pytest.fixture
def queue(make_app: MakeApp, table: Table) -> Queue:
    """A queue whose app is open, in the event loop of the test."""
    app, _ = make_app()
    (row,) = table.do("SELECT * FROM procrastinate_register_worker_v1()")
    return Queue(app, table, row["worker_id"])


@pytest.mark.asyncio
class TestFetching:
    @pytest.mark.parametrize("indexed", [False, True])
    async def test_what_is_fetched_is_always_what_procrastinate_might_fetch(
        self, make_app: MakeApp, table: Table, clock: Clock, seed: int, indexed: bool
    ) -> None:
        """Two processes fetch, while jobs are put, end, are retried, put off and cancelled."""
        chance = random.Random(seed)
        clock.step = lambda: chance.choice([0.001, 0.001, 0.5])
        if indexed:
            table.do(Deliveries.INDEX_SQL)
        apps = [make_app()[0], make_app()[0]]
        async with apps[0].open_async(), apps[1].open_async():
            queues = [Queue(app, table, await app.job_manager.register_worker()) for app in apps]
            doing: list[int] = []
            fetched = 0
            for _ in range(200):
                queue = chance.choice(queues)
                action = chance.random()
                if action < 0.4:
                    queue.put(
                        chance.choice([None, "a", "a", "a", "b", "b", "c", "d", "e"]),
                        priority=chance.choice([0, 0, 0, 7]),
                        hours=chance.choice([None, None, None, 1, -1]),
                        queue=chance.choice(["sendx", "sendx", "other"]),
                    )
                elif action < 0.6 and doing:
                    table.do(END, doing.pop(chance.randrange(len(doing))))
                elif action < 0.65 and doing:
                    hours = chance.choice([0, 1])
                    table.do(RETRY, hours, doing.pop(chance.randrange(len(doing))))
                elif action < 0.68:
                    table.do(DUE)
                elif action < 0.7:
                    table.do(CANCEL, chance.randrange(1, 100))
                else:
                    names = chance.choice([None, ["sendx"], ["sendx"], ["sendx", "other"]])
                    ready = queue.ready(names)
                    job = await queue.fetch(names)
                    if job is None:
                        assert ready == set()
                    else:
                        assert job.id in ready
                        assert (job.status, job.worker_id) == ("doing", queue.worker)
                        doing.append(job.id)
                        fetched += 1
        assert fetched > 10

    async def test_one_contact_with_much_to_say_and_all_others_go_on_by_turns(
        self, queue: Queue, clock: Clock
    ) -> None:
        for _ in range(30):
            queue.put("much")
        for number in range(30):
            queue.put(f"c{number}")
        async with queue.app.open_async():
            locks = await queue.work(40)
            assert locks[:8].count("much") >= 2
            assert 5 <= locks[:28].count("much") <= 12
            others = [lock for lock in locks if lock != "much"]
            assert others == [f"c{number}" for number in range(len(others))]
            assert "much" in await queue.work(20)
            assert await queue.fetch() is None

    async def test_while_looks_are_quick_all_is_fetched_as_by_procrastinate(
        self, queue: Queue, clock: Clock
    ) -> None:
        clock.step = lambda: 0.001
        for lock in ("a", "a", "a", "b", "c"):
            queue.put(lock)
        async with queue.app.open_async():
            assert await queue.work(5) == ["a", "a", "a", "b", "c"]

    async def test_when_looks_are_quick_again_the_oldest_comes_first_again(
        self, queue: Queue, clock: Clock
    ) -> None:
        for lock in ("a", "a", "b", "c", "d"):
            queue.put(lock)
        async with queue.app.open_async():
            assert await queue.work(2) == ["a", "b"]  # the worker doesn't look back at once
            clock.now += 60
            clock.step = lambda: 0.001
            assert await queue.work(3) == ["c", "a", "d"]

    async def test_a_higher_priority_waits_for_half_a_minute_at_most(
        self, queue: Queue, clock: Clock
    ) -> None:
        clock.step = lambda: 5.0  # seconds, for each look
        for number in range(100):
            queue.put(f"c{number}")
        async with queue.app.open_async():
            await queue.fetch()
            queue.put("urgent", priority=1)
            before = clock.now
            while await queue.fetch_lock() != "urgent":
                assert clock.now < before + 30 + 15

    async def test_many_contacts_with_much_to_say_keep_their_order(
        self, queue: Queue, clock: Clock
    ) -> None:
        put = [(queue.put(f"c{number % 50}"), f"c{number % 50}") for number in range(150)]
        async with queue.app.open_async():
            got = []
            while (job := await queue.fetch()) is not None:
                queue.table.do(END, job.id)
                got.append((job.id, job.lock))
        assert set(got) == set(put)
        for number in range(50):
            of_one = [pair for pair in put if pair[1] == f"c{number}"]
            assert [pair for pair in got if pair[1] == f"c{number}"] == of_one

    @pytest.mark.parametrize("seconds", [0.001, 1.0])
    async def test_what_becomes_free_during_a_look_is_found_after_it(
        self, queue: Queue, clock: Clock, seconds: float
    ) -> None:
        for _ in range(2):
            queue.put("much")
        async with queue.app.open_async():
            first = await queue.fetch()
            assert first is not None
            clock.now += 60

            def end_first() -> float:
                queue.table.do(END, first.id)
                return seconds

            clock.step = end_first
            assert await queue.fetch_lock() == "much"

    async def test_two_workers_deliver_all_in_order(
        self, make_app: MakeApp, table: Table, fake_sendx: FakeSendX, clock: Clock
    ) -> None:
        apps = [make_app() for _ in range(2)]
        app, sendx = apps[0]
        expected: dict[str, list[str]] = {}
        async with app.open_async():
            for number in range(90):
                email = "much@example.com" if number < 30 else f"c{number % 20}@example.com"
                expected.setdefault(email, []).append(str(number))
                await sendx.put({"email": email, "first_name": str(number)})
        async with working(apps[0][0]), working(apps[1][0]):
            await table.until("status = 'succeeded'", 90)
        got: dict[str, list[str]] = {}
        for request in fake_sendx.requests:
            got.setdefault(request.json["email"], []).append(request.json["firstName"])
        assert {email: names for email, names in got.items() if names != expected[email]} == {}
        assert got.keys() == expected.keys()

    async def test_tasks_run_in_memory_beside_deliveries(self) -> None:
        """As tests of an application run theirs."""
        app = procrastinate.App(connector=InMemoryConnector())
        Deliveries(app)
        ran = []

        @app.task(name="own")
        async def own() -> None:
            ran.append(1)

        async with app.open_async():
            await own.defer_async()
            await app.run_worker_async(wait=False, install_signal_handlers=False)
        assert ran == [1]
