"""Backups that are put back: what was delivered since isn't sent again unasked."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from sendx_async import AsyncTrackingClient, IdentifyRequest, OutboxError
from sendx_async.outbox import Outbox, OutboxEvent, _drain, _older_copy
from sendx_async.testing import FakeSendX
from tests.waiting import until

from .waiting import drain, until_empty

pytestmark = pytest.mark.slow

MakeClient = Callable[..., AsyncTrackingClient]
JANE = IdentifyRequest("jane@example.com")
BOB = IdentifyRequest("bob@example.com")


@pytest.fixture
def beside(path: Path) -> Path:
    """What remembers when outcomes were recorded."""
    return path.with_name("outbox.db-recorded")


@pytest.fixture
def backup(path: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup of the file, in which a request waits that was delivered since."""
    monkeypatch.setattr(_older_copy, "_SECONDS_THAT_MAY_BE_LOST", 0.0)
    backup = path.with_name("backup")
    with Outbox(path) as outbox:
        outbox.put_sync(JANE)
        drain(outbox, make_client())
        outbox.put_sync(BOB)
        source, copy = sqlite3.connect(path), sqlite3.connect(backup)
        source.backup(copy)
        source.close()
        copy.close()
        drain(outbox, make_client())
    return backup


def put_back(backup: Path, path: Path) -> None:
    for each in path.parent.glob("outbox.db-[ws]*"):
        each.unlink()
    shutil.copy(backup, path)


def test_a_backup_that_is_put_back_is_told_and_nothing_sent(
    path: Path, backup: Path, beside: Path, fake_sendx: FakeSendX, make_client: MakeClient
) -> None:
    put_back(backup, path)
    with Outbox(path) as outbox:
        for number in range(50):  # as many as may be: it is no matter of how many there are
            outbox.put_sync(IdentifyRequest(f"c{number}@example.com"))
        with pytest.raises(OutboxError, match=r"is an older copy: up to 20.*sent again") as told:
            drain(outbox, make_client())
        assert f"delete {beside}" in str(told.value)
        assert len(fake_sendx.requests) == 2
        assert outbox.stats().pending == 51
        beside.unlink()
        drain(outbox, make_client())
        assert outbox.stats().pending == 0


def test_who_goes_on_draining_tells_it_as_trouble(
    path: Path, backup: Path, beside: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_drain, "_SECONDS_HALTED", 0.01)
    put_back(backup, path)
    events: list[OutboxEvent] = []

    async def main() -> None:
        async with make_client() as client, outbox.draining(client):
            await until(lambda: any(each.kind == "halted" for each in events))
            await until(lambda: "is an older copy" in str(outbox.stats().trouble))
            beside.unlink()  # noqa: ASYNC240 - nobody waits
            await until_empty(outbox)
            await until(lambda: outbox.stats().trouble is None)

    with Outbox(path, on_event=events.append) as outbox:
        anyio.run(main)


def test_a_backup_from_before_the_first_delivery_is_told(
    path: Path, backup: Path, make_client: MakeClient
) -> None:
    copy = sqlite3.connect(backup)
    copy.execute("DELETE FROM about WHERE name = 'recorded_at'")
    copy.commit()
    copy.close()
    put_back(backup, path)
    with Outbox(path) as outbox, pytest.raises(OutboxError, match="what was delivered before"):
        drain(outbox, make_client())


@pytest.mark.parametrize("remembered", ["", "0123abcd 99999999999.000000\n", "x", "\xff y\n"])
def test_what_it_does_not_know_is_passed_over(
    path: Path, backup: Path, beside: Path, make_client: MakeClient, remembered: str
) -> None:
    put_back(backup, path)
    beside.write_text(remembered, encoding="latin-1")  # of another outbox, or cut off
    with Outbox(path) as outbox:
        drain(outbox, make_client())
        assert outbox.stats().pending == 0


def test_what_a_loss_of_power_may_take_back_is_no_reason(
    path: Path, backup: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    put_back(backup, path)
    with Outbox(path) as outbox:
        drain(outbox, make_client())
        assert outbox.stats().pending == 0


def test_that_nothing_can_be_remembered_is_no_reason_to_stop(
    path: Path, beside: Path, make_client: MakeClient
) -> None:
    beside.mkdir()
    with Outbox(path) as outbox:
        outbox.put_sync(JANE)
        drain(outbox, make_client())
        assert outbox.stats().pending == 0
