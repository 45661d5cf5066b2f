"""Many threads on one client and one outbox, which a free-threaded Python really runs at once.

It does so here with ``PYTHON_GIL=0``: other modules that a test run imports may ask for a GIL.
"""

import itertools
import random
import subprocess
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from sendx_async import (
    AsyncTrackingClient,
    Event,
    IdentifyRequest,
    Rate,
    RetryPolicy,
    TrackingClient,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

THREADS = 16
EACH = 25
JANE = "jane@example.com"


def in_threads(work: Callable[[int], None]) -> None:
    """Do something in many threads that begin at the same moment, and raise what one raises."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture(autouse=True)
def _threads_that_change_places_often() -> Iterator[None]:
    """Let a GIL, where there is one, change hands as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has a GIL"
)
def test_a_free_threaded_python_gets_no_gil_by_the_library() -> None:
    code = (
        "import sys, sendx_async.outbox\n"
        "from sendx_async import AsyncTrackingClient, TrackingClient\n"
        "sys.exit(sys._is_gil_enabled())"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=150)


def test_nothing_is_lost_and_nothing_comes_twice(fake_sendx: FakeSendX, tmp_path: Path) -> None:
    told: list[str] = []
    ids: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "call_finished":
            told.append(event.call_id)

    options: dict[str, Any] = {
        "base_url": fake_sendx.url,
        "timeout": 50.0,
        "deadline": None,
        "rate": Rate(1_000_000.0, burst=10),
        "retry": RetryPolicy(base=0.0, cap=0.0),
    }
    with (
        TrackingClient(fake_sendx.api_key, on_event=listen, **options) as client,
        Outbox(tmp_path / "outbox.db", synchronous="NORMAL") as outbox,
    ):
        client.identify_contact(IdentifyRequest(JANE))

        def work(number: int) -> None:
            copy = client.with_options(headers={"X-Thread": str(number)})
            for index in range(EACH):
                name = f"{number}-{index}"
                event = {"identifier": JANE, "name": f"called {name}"}
                random.choice([client, copy]).track_custom_event(event)
                ids.append(outbox.put_sync({"identifier": JANE, "name": f"put {name}"}))
                outbox.stats()

        async def drain() -> None:
            async with (
                AsyncTrackingClient(fake_sendx.api_key, **options) as drainer,
                outbox.draining(drainer),
            ):
                await anyio.to_thread.run_sync(in_threads, work)
                while outbox.stats().pending:  # noqa: ASYNC110 - nobody tells
                    await anyio.sleep(0.01)

        anyio.run(drain)
        assert outbox.failed() == []
    numbers = itertools.product(("called", "put"), range(THREADS), range(EACH))
    expected = {f"{what} {thread}-{index}" for what, thread, index in numbers}
    assert Counter(event.name for event in fake_sendx.events) == Counter(expected)
    assert len(set(ids)) == THREADS * EACH
    assert len(set(told)) == THREADS * EACH + 1
