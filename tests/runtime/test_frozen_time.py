"""Tests of applications freeze the time: what waits for SendX goes on by the real one."""

import asyncio
import contextlib
import datetime as dt
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import anyio
import freezegun
import pytest
import time_machine

from sendx_async import (
    AsyncTrackingClient,
    AttemptTimeout,
    DeadlineExceeded,
    OutboxError,
    RetryPolicy,
    TrackingClient,
)
from sendx_async._runtime.loops import keep_real_time
from sendx_async._runtime.shared_loop import shared_loop
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

FUTURE = dt.datetime(2035, 1, 2, tzinfo=dt.UTC)
JANE = {"email": "jane@example.com"}
QUICK = RetryPolicy(base=0.01, cap=0.01)

Freeze = Callable[[], AbstractContextManager[Any]]


@pytest.fixture(
    params=[
        lambda: freezegun.freeze_time(FUTURE),
        lambda: freezegun.freeze_time("2001-01-02"),
        lambda: freezegun.freeze_time(FUTURE, real_asyncio=True),
        lambda: freezegun.freeze_time(FUTURE, tick=True),
        lambda: time_machine.travel(FUTURE, tick=False),
    ],
    ids=["freezegun", "freezegun-past", "freezegun-real-asyncio", "freezegun-tick", "time-machine"],
)
def freeze(request: pytest.FixtureRequest) -> Freeze:
    """Each way to freeze the time in turn."""
    way: Freeze = request.param
    return way


def client_of(fake: FakeSendX, **options: Any) -> TrackingClient:
    return TrackingClient(fake.api_key, base_url=fake.url, **{"retry": QUICK, **options})


def test_a_synchronous_call_to_a_silent_server_times_out(
    fake_sendx: FakeSendX, freeze: Freeze
) -> None:
    fake_sendx.black_hole(times=None)
    with freeze(), client_of(fake_sendx, timeout=0.1, retry=RetryPolicy(1, base=0)) as client:
        with pytest.raises(AttemptTimeout):
            client.identify_contact(JANE)
        with pytest.raises(DeadlineExceeded):
            client.identify_contact(JANE, timeout=100, deadline=0.1)


def test_a_synchronous_call_is_repeated_and_waits_out_a_pause(
    fake_sendx: FakeSendX, freeze: Freeze
) -> None:
    with freeze(), client_of(fake_sendx) as client:
        for status, retry_after in ((503, None), (429, 0.05), (503, 0.05)):
            fake_sendx.respond(status, retry_after=retry_after)
            info = client.identify_contact_with_http_info(JANE)
            assert info.attempts == 2
            assert info.elapsed >= (retry_after or 0)


def test_a_client_is_the_same_before_in_and_after_frozen_time(
    fake_sendx: FakeSendX, freeze: Freeze
) -> None:
    with client_of(fake_sendx) as client:
        client.identify_contact(JANE)
        with freeze():
            fake_sendx.respond(429, retry_after=0.05)
            client.identify_contact(JANE)
        client.identify_contact(JANE, deadline=10)  # no pause is left over
    assert fake_sendx.connections.accepted == 1  # nor did a connection seem to have expired


def test_a_loop_that_is_first_needed_in_frozen_time_keeps_the_real_one(
    fake_sendx: FakeSendX, freeze: Freeze
) -> None:
    fake_sendx.black_hole(times=None)
    before, shared_loop._thread = shared_loop._thread, None
    with (
        freeze(),
        client_of(fake_sendx, timeout=0.1, retry=RetryPolicy(0)) as client,
        pytest.raises(AttemptTimeout),
    ):
        client.identify_contact(JANE)
    cast("Any", shared_loop._thread).close()
    shared_loop._thread = before


def test_a_loop_of_uvloop_is_left_as_it_is() -> None:
    new_event_loop = pytest.importorskip("uvloop").new_event_loop

    async def wait() -> None:
        keep_real_time(asyncio.get_running_loop())
        await asyncio.sleep(0.001)

    with freezegun.freeze_time(FUTURE), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(wait())


@pytest.mark.slow
def test_the_library_may_be_imported_in_frozen_time(fake_sendx: FakeSendX) -> None:
    fake_sendx.black_hole(times=None)
    program = """
import sys, freezegun
with freezegun.freeze_time("2035-01-02"):
    from sendx_async import AttemptTimeout, RetryPolicy, TrackingClient
    key, url = sys.argv[1:]
    with TrackingClient(key, base_url=url, timeout=0.1, retry=RetryPolicy(0)) as client:
        try:
            client.identify_contact({"email": "jane@example.com"})
        except AttemptTimeout:
            print("timed out")
"""
    arguments = [sys.executable, "-c", program, fake_sendx.api_key, fake_sendx.url]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.strip() == "timed out", done.stderr


def test_an_asynchronous_client_keeps_real_time_where_its_loop_does(
    fake_sendx: FakeSendX,
) -> None:
    async def main() -> None:
        with freezegun.freeze_time(FUTURE, real_asyncio=True):
            async with AsyncTrackingClient(
                fake_sendx.api_key, base_url=fake_sendx.url, retry=QUICK
            ) as client:
                fake_sendx.respond(429, retry_after=0.05)
                await client.identify_contact(JANE)
                fake_sendx.black_hole(times=None)
                with pytest.raises(AttemptTimeout):
                    await client.identify_contact(JANE, timeout=0.1, retry=RetryPolicy(0))
                with pytest.raises(DeadlineExceeded):
                    await client.identify_contact(JANE, deadline=0.1)

    anyio.run(main)


def test_the_fake_server_is_slow_and_waited_for_by_real_time(
    fake_sendx: FakeSendX, freeze: Freeze
) -> None:
    with freeze(), client_of(fake_sendx) as client:
        fake_sendx.latency = 0.05
        client.identify_contact(JANE)
        with pytest.raises(TimeoutError):
            fake_sendx.wait_for(lambda: False, timeout=0.05)


def test_a_date_in_retry_after_goes_by_the_frozen_time(fake_sendx: FakeSendX) -> None:
    with freezegun.freeze_time(FUTURE), client_of(fake_sendx) as client:
        # The fake server's own Date is of the frozen time, too.
        fake_sendx.respond(429, retry_after=FUTURE - dt.timedelta(seconds=10))
        assert client.identify_contact_with_http_info(JANE, deadline=5).attempts == 2


def test_what_is_put_into_an_outbox_has_the_frozen_time_and_is_delivered(
    fake_sendx: FakeSendX, tmp_path: Path
) -> None:
    client = AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, retry=QUICK)

    async def drain() -> None:
        async with client:
            await outbox.drain(client, retry=QUICK)

    with (
        freezegun.freeze_time(FUTURE, real_asyncio=True) as frozen,
        Outbox(tmp_path / "outbox.db") as outbox,
    ):
        outbox.put_sync(JANE)
        outbox.put_sync({"identifier": "jane@example.com", "name": "signup"})
        frozen.tick(60)
        assert outbox.stats().oldest_age == 60
        fake_sendx.respond(503)
        anyio.run(drain)
        assert outbox.stats().pending == 0
    assert [event.time for event in fake_sendx.events] == [FUTURE.timestamp()]


def test_a_file_that_others_keep_locked_is_waited_for_by_real_time(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with freezegun.freeze_time(FUTURE):
            outbox = Outbox(path, timeout=0.1)
            with pytest.raises(OutboxError, match="locked"):
                outbox.put_sync(JANE)
            outbox.close()


def test_a_drainer_that_gives_signs_of_life_is_alive_in_frozen_time_too(
    fake_sendx: FakeSendX, tmp_path: Path
) -> None:
    async def main() -> None:
        async with (
            AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url) as client,
            Outbox(tmp_path / "outbox.db") as outbox,
            outbox.draining(client),
        ):
            while not outbox.stats().is_draining:
                await anyio.lowlevel.checkpoint()
            with freezegun.freeze_time(FUTURE, real_asyncio=True):
                silent_for = outbox.stats().silent_for
                assert silent_for is not None
                assert silent_for < 1e6

    anyio.run(main)
