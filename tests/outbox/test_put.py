"""Putting: what is stored, what is refused, and that nothing is stored in silence or twice."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    OutboxError,
    OutboxFullError,
    RevenueEventRequest,
    TrackRequest,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import drain, until_empty

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com", first_name="Jane")


@pytest.fixture(params=["put", "put_sync"])
def put(request: pytest.FixtureRequest, backend: str) -> Callable[..., str]:
    """Put in either form."""

    def put(outbox: Outbox, given: Any, **options: Any) -> str:
        if request.param == "put_sync":
            return outbox.put_sync(given, **options)

        async def main() -> str:
            return await outbox.put(given, **options)

        return anyio.run(main, backend=backend)

    return put


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_puts_are_delivered_by_another_outbox_on_the_file(
    path: Path,
    put: Callable[..., str],
    synchronous: Any,
    fake_sendx: FakeSendX,
    make_client: MakeClient,
) -> None:
    with Outbox(path, synchronous=synchronous) as outbox:
        ids = [
            put(outbox, JANE),
            put(outbox, {"email": "jane@example.com", "add_tags": ["vip"]}),
            put(outbox, CustomEventRequest("jane@example.com", "signup")),
            put(outbox, RevenueEventRequest("jane@example.com", 9.5)),
        ]
        assert outbox.stats().pending == 4
    assert len(set(ids)) == 4
    with Outbox(path) as another:
        drain(another, make_client())
        assert another.stats().pending == 0
    assert fake_sendx.contact("jane@example.com").tags == {"vip"}
    assert [event.name for event in fake_sendx.events if event.name] == ["signup"]
    assert len(fake_sendx.events) == 2


def test_the_ids_of_two_outboxes_differ(tmp_path: Path) -> None:
    with Outbox(tmp_path / "a.db") as one, Outbox(tmp_path / "b.db") as other:
        assert one.put_sync(JANE) != other.put_sync(JANE)


def test_an_event_gets_the_time_of_the_put(
    outbox: Outbox, put: Callable[..., str], fake_sendx: FakeSendX, make_client: MakeClient
) -> None:
    given = datetime(2020, 1, 2, tzinfo=UTC)
    before = int(time.time())
    put(outbox, JANE)
    put(outbox, CustomEventRequest("jane@example.com", "now"))
    put(outbox, CustomEventRequest("jane@example.com", "then", time=given))
    after = time.time()
    drain(outbox, make_client())
    times = {event.name: event.time or 0 for event in fake_sendx.events}
    assert before <= times["now"] <= after
    assert times["then"] == given.timestamp()


class TestBadInput:
    @pytest.mark.parametrize(
        "given,problem",
        [
            ({"email": "jane"}, "email must"),
            ({"email": "a@b.co", "frist_name": "x"}, "did you mean 'first_name'"),
            ("jane@example.com", 'got str: pass a mapping, such as {"email": address}'),
            (None, "or a mapping, got None"),
        ],
    )
    def test_a_bad_request_is_refused_and_not_stored(
        self, outbox: Outbox, put: Callable[..., str], given: Any, problem: str
    ) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            put(outbox, given)
        assert outbox.stats().pending == 0

    @pytest.mark.parametrize(
        "delivery_id,problem",
        [
            (1, "delivery_id must be a str, got int"),
            ("", "delivery_id must have 1 to 200 printable characters"),
            ("x" * 201, "1 to 200"),
            ("a\nb", "printable"),
        ],
    )
    def test_a_bad_delivery_id_is_refused(
        self, outbox: Outbox, delivery_id: Any, problem: str
    ) -> None:
        with pytest.raises(InvalidRequestError, match=problem):
            outbox.put_sync(JANE, delivery_id=delivery_id)
        assert outbox.stats().pending == 0


class TestGivenIds:
    def test_the_same_request_with_the_same_id_is_stored_once(
        self,
        outbox: Outbox,
        put: Callable[..., str],
        fake_sendx: FakeSendX,
        make_client: MakeClient,
    ) -> None:
        put(outbox, JANE)
        event = CustomEventRequest("jane@example.com", "signup")
        assert put(outbox, event, delivery_id="hook-1") == "hook-1"
        assert put(outbox, event, delivery_id="hook-1") == "hook-1"
        assert outbox.stats().pending == 2
        drain(outbox, make_client())
        assert put(outbox, event, delivery_id="hook-1") == "hook-1"
        assert outbox.stats().pending == 0
        assert len(fake_sendx.events) == 1

    def test_the_id_of_a_dead_letter_is_known(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        outbox.put_sync(JANE, delivery_id="hook-1")
        fake_sendx.respond(400)
        drain(outbox, make_client())
        outbox.put_sync(JANE, delivery_id="hook-1")
        stats = outbox.stats()
        assert (stats.pending, stats.dead) == (0, 1)

    def test_another_request_with_the_same_id_is_refused(
        self, outbox: Outbox, put: Callable[..., str]
    ) -> None:
        outbox.put_sync(JANE, delivery_id="hook-1")
        with pytest.raises(InvalidRequestError, match="given to another request before"):
            put(outbox, IdentifyRequest("bob@example.com"), delivery_id="hook-1")
        assert outbox.stats().pending == 1

    def test_an_id_that_looks_made_up_is_refused(self, outbox: Outbox) -> None:
        made_up = outbox.put_sync(JANE)
        with pytest.raises(InvalidRequestError, match="looks like one that this outbox has made"):
            outbox.put_sync(JANE, delivery_id=made_up)
        assert outbox.stats().pending == 1

    def test_given_ids_are_forgotten_in_time(
        self, path: Path, make_client: MakeClient, fake_sendx: FakeSendX
    ) -> None:
        with Outbox(path, remember=0.001) as outbox:
            outbox.put_sync(JANE, delivery_id="hook-1")
            drain(outbox, make_client())
            outbox.put_sync(IdentifyRequest("bob@example.com"))
            drain(outbox, make_client())  # it forgets what is older
            outbox.put_sync(JANE, delivery_id="hook-1")
            assert outbox.stats().pending == 1

    def test_one_bad_put_among_many_spoils_no_other(
        self, path: Path, outbox: Outbox, backend: str
    ) -> None:
        outbox.put_sync(JANE, delivery_id="hook")
        refused: list[int] = []

        async def put(number: int) -> None:
            request = IdentifyRequest(f"c{number}@example.com")
            try:
                await outbox.put(request, delivery_id="hook" if number % 10 == 3 else None)
            except InvalidRequestError:
                refused.append(number)

        async def main() -> None:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                for number in range(100):
                    tasks.start_soon(put, number)
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()
                other.execute("ROLLBACK")  # now that they all wait
            other.close()

        anyio.run(main, backend=backend)
        assert sorted(refused) == list(range(3, 100, 10))
        assert outbox.stats().pending == 1 + 90


class TestFull:
    def test_no_more_than_max_pending_may_wait(
        self, path: Path, put: Callable[..., str], make_client: MakeClient
    ) -> None:
        with Outbox(path, max_pending=3) as outbox:
            for number in range(3):
                put(outbox, IdentifyRequest(f"c{number}@example.com"))
            for _ in range(2):
                with pytest.raises(OutboxFullError, match="holds 3 requests, and max_pending is 3"):
                    put(outbox, JANE)
            assert outbox.stats().pending == 3
            drain(outbox, make_client())
            put(outbox, JANE)
            assert outbox.stats().pending == 1

    def test_requests_delivered_in_between_make_room(
        self, path: Path, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        fake_sendx.black_hole(path="track", times=2)  # these stay

        async def main() -> None:
            with Outbox(path, max_pending=3) as outbox:
                async with make_client() as client, outbox.draining(client, grace=0.01):
                    # The first one goes alone, as nobody knows yet how SendX is.
                    await outbox.put(IdentifyRequest("first@example.com"))
                    await until_empty(outbox)
                    await outbox.put(TrackRequest("a@example.com"))
                    await outbox.put(IdentifyRequest("jane@example.com"))
                    await outbox.put(TrackRequest("b@example.com"))
                    await until(lambda: outbox.stats().pending == 2)
                    await outbox.put(IdentifyRequest("bob@example.com"))
                    await until(lambda: outbox.stats().pending == 2)

        anyio.run(main)
        assert set(fake_sendx.contacts) == {
            "first@example.com", "jane@example.com", "bob@example.com",
        }  # fmt: skip

    def test_no_more_than_max_pending_may_be_put_in_one_loop(
        self, path: Path, backend: str
    ) -> None:
        async def main() -> None:
            async with Outbox(path, max_pending=3, synchronous="NORMAL") as outbox:
                for _ in range(3):
                    await outbox.put(JANE)
                with pytest.raises(OutboxFullError):
                    await outbox.put(JANE)
                assert outbox.stats().pending == 3

        anyio.run(main, backend=backend)

    def test_a_full_database_is_told(self, outbox: Outbox) -> None:
        outbox._writer._database.read(lambda found: found.execute("PRAGMA max_page_count=30"))
        stored = 0
        problem = ""
        while not problem:
            try:
                outbox.put_sync(IdentifyRequest("jane@example.com", company="x" * 1000))
                stored += 1
            except OutboxError as error:
                problem = str(error)
        assert "database or disk is full': make room on its disk" in problem
        assert outbox.stats().pending == stored
        with pytest.raises(OutboxError, match="database or disk is full"):
            outbox.put_sync(IdentifyRequest("j@example.com", company="x" * 9000), delivery_id="a")
        assert outbox.stats().pending == stored


class TestTogether:
    @pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
    def test_the_puts_of_many_tasks_are_all_stored(
        self, path: Path, backend: str, synchronous: Any
    ) -> None:
        ids: list[str] = []

        async def put(outbox: Outbox, number: int) -> None:
            ids.append(await outbox.put(IdentifyRequest(f"c{number}@example.com")))

        async def main() -> None:
            async with (
                Outbox(path, synchronous=synchronous) as outbox,
                anyio.create_task_group() as tasks,
            ):
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                for number in range(1200):  # more than one commit takes
                    tasks.start_soon(put, outbox, number)
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()
                other.execute("ROLLBACK")  # now that they all wait
                other.close()

        anyio.run(main, backend=backend)
        assert len(set(ids)) == 1200
        with Outbox(path) as outbox:
            assert outbox.stats().pending == 1200

    def test_the_puts_of_many_threads_are_all_stored(self, path: Path) -> None:
        ids: list[str] = []
        with Outbox(path) as outbox:

            def work(number: int) -> None:
                ids.extend(
                    outbox.put_sync(IdentifyRequest(f"c{number}-{index}@example.com"))
                    for index in range(40)
                )

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(set(ids)) == 320
            assert outbox.stats().pending == 320

    def test_each_tasks_puts_are_delivered_in_order(
        self, outbox: Outbox, fake_sendx: FakeSendX, make_client: MakeClient
    ) -> None:
        async def put(name: str) -> None:
            await outbox.put(IdentifyRequest(f"{name}@example.com", first_name="0"))
            for number in range(1, 10):
                await outbox.put(IdentifyRequest(f"{name}@example.com", first_name=str(number)))

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for name in "abcd":
                    tasks.start_soon(put, name)

        anyio.run(main)
        drain(outbox, make_client())
        assert {fake_sendx.contact(f"{name}@example.com").first_name for name in "abcd"} == {"9"}

    def test_a_cancelled_put_breaks_nothing(self, path: Path, backend: str) -> None:
        async def main() -> None:
            async with Outbox(path) as outbox:
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await outbox.put(JANE)
                await outbox.put(IdentifyRequest("bob@example.com"))
                assert outbox.stats().pending in {1, 2}

        anyio.run(main, backend=backend)

    def test_a_loop_that_ended_keeps_nobody_from_putting(self, path: Path) -> None:
        with Outbox(path) as outbox:
            other = sqlite3.connect(path)
            other.execute("BEGIN IMMEDIATE")

            async def main() -> None:
                with anyio.move_on_after(0.01):
                    await outbox.put(JANE)  # the file is locked, so nobody gets to it

            anyio.run(main)
            other.execute("ROLLBACK")
            other.close()
            outbox.put_sync(IdentifyRequest("bob@example.com"))
            assert outbox.stats().pending in {1, 2}


class TestLocked:
    """Another process, or at least another connection, writes and doesn't come to an end."""

    def test_a_put_gives_up_when_the_file_stays_locked(
        self, path: Path, put: Callable[..., str]
    ) -> None:
        with Outbox(path, timeout=0.05, synchronous="NORMAL") as outbox:
            put(outbox, JANE)
            other = sqlite3.connect(path)
            other.execute("BEGIN IMMEDIATE")
            try:
                with pytest.raises(OutboxError, match="another process keeps it locked"):
                    put(outbox, JANE)
            finally:
                other.close()
            put(outbox, JANE)
            assert outbox.stats().pending == 2

    def test_each_task_has_an_error_of_its_own_when_the_file_stays_locked(
        self, path: Path, backend: str
    ) -> None:
        failed: list[OutboxError] = []

        async def put(outbox: Outbox) -> None:
            try:
                await outbox.put(JANE)
            except OutboxError as error:
                failed.append(error)

        async def main() -> None:
            async with Outbox(path, timeout=0.05) as outbox:
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                async with anyio.create_task_group() as tasks:
                    for _ in range(20):
                        tasks.start_soon(put, outbox)
                other.close()
                await outbox.put(JANE)
                assert outbox.stats().pending == 1

        anyio.run(main, backend=backend)
        assert len(failed) == 20
        assert len({id(error) for error in failed}) == 20

    def test_a_loop_goes_on_while_a_put_waits(self, path: Path, backend: str) -> None:
        async def main() -> None:
            async with Outbox(path, synchronous="NORMAL") as outbox:
                await outbox.put(JANE)
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("BEGIN IMMEDIATE")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(outbox.put, JANE)
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                    assert outbox.stats().pending == 1  # and this was reached
                    other.execute("ROLLBACK")
                other.close()
                assert outbox.stats().pending == 2

        anyio.run(main, backend=backend)


FULL_DISK = """
import resource, sys
from sendx_async import IdentifyRequest, OutboxError
from sendx_async.outbox import Outbox

with Outbox(sys.argv[1]) as outbox:
    stored = 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
    try:
        while True:
            outbox.put_sync(IdentifyRequest(f"c{stored}@example.com", company="x" * 1000))
            stored += 1
    except OutboxError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(stored, outbox.stats().pending)
    outbox.put_sync(IdentifyRequest("later@example.com"))
    print(outbox.stats().pending - stored)
"""


@pytest.mark.slow
def test_a_full_disk_is_told_and_loses_nothing(path: Path) -> None:
    pytest.importorskip("resource", reason="Windows has no limit for the size of a file")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(path)],
        capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refusal, counts, later = done.stdout.splitlines()
    assert "can't be used, SQLite says" in refusal
    stored, pending = map(int, counts.split())
    assert stored == pending > 50
    assert later == "1"


class TestClosed:
    def test_a_closed_outbox_refuses_every_use(self, path: Path, put: Callable[..., str]) -> None:
        outbox = Outbox(path)
        put(outbox, JANE)
        outbox.close()
        outbox.close()
        with pytest.raises(OutboxError, match=r"is closed: make a new one"):
            put(outbox, JANE)
        with pytest.raises(OutboxError, match=r"is closed"), outbox:
            pass
        for use in (outbox.stats, outbox.failed, outbox.retry, lambda: outbox.purge("a@b.co")):
            with pytest.raises(OutboxError, match=r"is closed"):
                use()
        assert repr(outbox) == f"<Outbox {str(path)!r} (closed)>"

    def test_a_file_is_not_made_before_it_is_used(self, path: Path) -> None:
        outbox = Outbox(path)
        assert repr(outbox) == f"<Outbox {str(path)!r}>"
        outbox.close()
        assert not path.exists()


def test_no_local_variable_of_a_refused_put_shows_whom_it_is_about(
    outbox: Outbox, put: Callable[..., str]
) -> None:
    put(outbox, JANE, delivery_id="known")
    with pytest.raises(InvalidRequestError) as caught:
        put(outbox, IdentifyRequest("joe@example.com"), delivery_id="known")
    for entry in caught.traceback[1:]:
        assert "joe@" not in repr(entry.frame.f_locals), entry
