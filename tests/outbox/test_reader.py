"""The reader of an outbox, against a model: each row once, each contact's in order, few of one."""

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sendx_async import AsyncTrackingClient, IdentifyRequest, TrackRequest
from sendx_async._core.models import AnyRequest
from sendx_async._core.stored import to_stored
from sendx_async.outbox import Outbox, _reader, _schema
from sendx_async.outbox._backlog import Page
from sendx_async.outbox._contact_index import key_of, set_keys
from sendx_async.outbox._reader import Arrival, RowSource
from sendx_async.outbox._statements import Row
from sendx_async.testing import FakeSendX

from .waiting import drain

MOST = 3  # of a contact in memory
LIMITS = {"_MOST_OF_A_CONTACT": MOST, "_ROWS_IN_A_PAGE": 5, "_MOST_TO_CATCH_UP": 2}

contacts = st.sampled_from("aaabcd")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 12), contacts, contacts),
        st.tuples(st.just("put old"), st.integers(1, 3), contacts, contacts),
        st.tuples(st.just("rename"), st.integers(1, 3), contacts, contacts),
        st.tuples(st.just("take"), st.integers(1, 20)),
        st.tuples(st.just("finish"), st.integers(1, 20)),
        st.tuples(st.just("delete"), st.just(1), contacts),
    ),
    max_size=40,
)


@attrs.define
class Model:
    """What a reader does with a file, and what it must have done."""

    connection: sqlite3.Connection
    source: RowSource
    pending: dict[int, set[str]] = attrs.field(factory=dict)  # that nobody was given
    unfinished: list[int] = attrs.field(factory=list)  # their indexes
    taken: set[int] = attrs.field(factory=set)

    def put(self, request: AnyRequest, names: set[str], *, by_old_version: bool = False) -> None:
        place = self.connection.execute(
            "INSERT INTO pending(put_at, payload) VALUES(0, ?)", (json.dumps(to_stored(request)),)
        ).lastrowid
        assert place is not None
        if not by_old_version:
            set_keys(self.connection, [(place, key_of(request))])
        self.pending[place] = names

    async def step(self, kind: str, count: int, names: list[str], chance: random.Random) -> None:
        if kind == "delete":
            self.delete(names[0])
        chance.shuffle(self.unfinished)
        for _ in range(count):
            if kind == "take":
                await self.take()
            elif kind == "finish":
                self.finish(self.unfinished.pop() if self.unfinished else None)
            elif kind == "rename":
                one, other = map(address, names)
                self.put(IdentifyRequest(one, new_email=other), set(names))
            elif kind.startswith("put"):
                request = TrackRequest(address(names[0]).upper())
                self.put(request, {names[0]}, by_old_version=kind == "put old")

    async def take(self) -> Row | None:
        """Ask for a row; none if that would have to be waited for."""
        with anyio.CancelScope() as scope, contextlib.suppress(StopAsyncIteration):
            scope.cancel()
            await anext(self.source)
            index = max(self.source.rows)
            row = self.source.rows[index]
            self.check(row)
            self.unfinished.append(index)
            return row
        return None

    def check(self, row: Row) -> None:
        assert row.id not in self.taken
        self.taken.add(row.id)
        names = self.pending.pop(row.id, set[str]())  # it may have been deleted since it was read
        for place, others in self.pending.items():
            assert place > row.id or not others & names, "it has overtaken one of the same contact"
        in_memory = [*self.source.rows.values(), *self.source._queue]
        for contact in row.contacts:
            assert sum(contact in each.contacts for each in in_memory) <= MOST

    def delete(self, name: str) -> None:
        for place in [place for place, names in self.pending.items() if name in names]:
            del self.pending[place]
            self.connection.execute("DELETE FROM pending WHERE id = ?", (place,))

    def finish(self, index: int | None) -> None:
        if index is None:
            return
        row = self.source.take_out(index)
        self.connection.execute("DELETE FROM pending WHERE id = ?", (row.id,))


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    """Have little be much."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LIMITS.items():
            patch.setattr(_reader, name, value)
        yield


def address(name: str) -> str:
    return f"{name}@example.com"


def with_model(do: Callable[[Model], object]) -> None:
    """Have something done in an event loop, with an outbox's tables in memory."""

    async def main() -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        _schema._create(connection, "in memory")

        async def read(query: Callable[[sqlite3.Connection], Page]) -> Page:
            return query(connection)

        model = Model(connection, RowSource(read, Arrival(), ends=True))
        result = do(model)
        if hasattr(result, "__await__"):
            await result
        connection.close()

    anyio.run(main)


READ_AND_DELETED = [("put", 2, "a", "a"), ("take", 1), ("finish", 1), ("delete", 1, "a")]


@settings(deadline=None)
@given(steps=steps, seed=st.integers(0, 1000), most_behind=st.sampled_from([1, 2, 1000]))
@example(steps=READ_AND_DELETED, seed=0, most_behind=1)
def test_each_row_once_each_contacts_in_order_and_few_of_one(
    steps: list[tuple[Any, ...]], seed: int, most_behind: int
) -> None:
    chance = random.Random(seed)

    async def play(model: Model) -> None:
        for kind, count, *names in steps:
            await model.step(kind, count, names, chance)
        await finish_all(model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_reader, "_MOST_BEHIND", most_behind)
        with_model(play)


async def finish_all(model: Model) -> None:
    """Finish everything, and see that nothing is left and that it comes to its end."""
    # What was deleted when it had been read is given all the same.
    while model.pending or model.unfinished or model.source._queue:
        if await model.take() is None:
            assert model.unfinished, "it waits, and nothing is under way"
            model.finish(model.unfinished.pop(0))
    with pytest.raises(StopAsyncIteration):
        await anext(model.source)
    assert model.source.rows == {}
    assert model.connection.execute("SELECT count(*) FROM pending").fetchone() == (0,)


def test_a_rename_that_is_thrown_away_holds_up_nobody() -> None:
    async def play(model: Model) -> None:
        for name in "aaabbbba":
            model.put(TrackRequest(address(name)), {name})
        renaming = IdentifyRequest(address("a"), new_email=address("b"))
        model.put(renaming, {"a", "b"})
        model.put(TrackRequest(address("a")), {"a"})
        for _ in range(6):
            assert await model.take()
        for index in (0, 1, 2):
            model.finish(index)
            model.unfinished.remove(index)
        assert await model.take()  # of a, which now stands at the rename, while b isn't there
        assert await model.take() is None
        rename = max(model.pending) - 1
        del model.pending[rename]
        model.connection.execute("DELETE FROM pending WHERE id = ?", (rename,))
        await finish_all(model)

    with_model(play)


def test_what_is_finished_wakes_the_reader(
    path: Path, fake_sendx: FakeSendX, make_client: Callable[..., AsyncTrackingClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(_reader, "_SECONDS_BETWEEN_LOOKS", 1000.0)
    with Outbox(path, synchronous="NORMAL") as outbox:
        for number in range(20):
            outbox.put_sync(IdentifyRequest("jane@example.com", first_name=str(number)))
        drain(outbox, make_client())
        assert outbox.stats().pending == 0
    names = [each.json["firstName"] for each in fake_sendx.requests]
    assert names == [str(number) for number in range(20)]
