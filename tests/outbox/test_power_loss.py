"""A loss of power while an outbox is drained: nothing is sent again that must not be."""

import collections
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sendx_async import AsyncTrackingClient
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX
from tests.outbox import power_loss

from .waiting import drain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        power_loss.sqlite_library() is None,
        reason="the functions of the SQLite that this Python uses can't be reached from outside",
    ),
]

EVENTS = 200
CONTACTS = [f"contact{number}@example.com" for number in range(8)]
LIMIT = 120.0  # seconds after which a test that waits has failed


@pytest.mark.parametrize("synchronous,delivered", [("NORMAL", EVENTS), ("FULL", EVENTS // 2)])
def test_a_loss_of_power_lets_no_event_be_sent_again(
    path: Path,
    fake_sendx: FakeSendX,
    make_client: Callable[..., AsyncTrackingClient],
    synchronous: str,
    delivered: int,
) -> None:
    with Outbox(path, synchronous="NORMAL") as outbox:
        for contact in CONTACTS:
            outbox.put_sync({"email": contact})
        for number in range(EVENTS):
            contact = CONTACTS[number % len(CONTACTS)]
            outbox.put_sync({"identifier": contact, "name": f"event {number}"})
    disk = path.parent / "disk"
    disk.mkdir()
    shutil.copy(path, disk)  # as its closing has synchronized it
    with subprocess.Popen(
        [sys.executable, power_loss.__file__, disk, path, synchronous, fake_sendx.api_key,
         fake_sendx.url]
    ) as drainer:  # fmt: skip
        fake_sendx.wait_for(lambda: len(fake_sendx.events) >= delivered, LIMIT)
        drainer.kill()
    with Outbox(disk / path.name) as outbox:
        drain(outbox, make_client())
        assert outbox.failed("dead") == []
        uncertain = len(outbox.failed("uncertain", limit=EVENTS))
    times = collections.Counter(event.name for event in fake_sendx.events)
    assert [name for name, count in times.items() if count > 1] == []
    assert len(times) + uncertain >= EVENTS  # none is lost
