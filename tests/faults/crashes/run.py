"""Carries a plan out: starts the processes, kills some of them, and notes all that happened.

Nothing waits for time to pass: who is killed, and when, depends on how much has been put and has
arrived by then. Since processes run at their own pace, a seed repeats the plan and not the course.
"""

import asyncio
import collections
import contextlib
import itertools
import sqlite3
from pathlib import Path
from random import Random
from typing import Any, Literal

from sendx_async import AsyncTrackingClient
from sendx_async._core.converter import converter
from sendx_async.outbox import Outbox

from .drainer import RETRY
from .history import Arrival, Aside, Death, History, Stored
from .plan import Plan, Put, is_safe, kind_of, mark_in, request_of
from .processes import Child
from .server import Server, serve

_LAST = "end"  # the name under which the rest is drained
_FIRST_DEED, _LAST_DEED = 0.05, 0.9  # when something is done to a process, as a part of it all
_MOST_ALLOWED = 20  # puts that one producer may have before it
_LAST_PUTS = 40  # that one may begin which is to be killed in the midst of them

Deed = Literal["kill who puts", "kill who drains", "kill who waits to drain", "stop who drains"]
_KILLS: tuple[Deed, ...] = (
    "kill who drains", "kill who puts", "kill who waits to drain", "kill who drains",
    "kill who drains", "kill who puts",
)  # fmt: skip


class Run:
    """A plan that is being carried out.

    Args:
        plan: What is done.
        seed: What chance follows from, as far as the moments of processes allow.
        path: The outbox's file.
    """

    def __init__(self, plan: Plan, seed: int, path: Path) -> None:
        self._plan = plan
        self._seed = seed
        self._path = path
        self._random = Random(seed)
        self._tick = itertools.count().__next__
        self._server = Server(
            self._random, plan.faults, tick=self._tick, arrived=self._arrived, answered=self._act
        )
        self._url = ""
        self._producers = [
            Child(number, "producer", self._producer_job, self._accepted, self._act)
            for number in range(len(plan.producers))
        ]
        self._drainers = [
            Child(number, "drainer", self._drainer_job, self._accepted, self._act)
            for number in range(plan.drainers)
        ]
        self._contacts = [
            producer.contacts(number) for number, producer in enumerate(plan.producers)
        ]
        self._deeds = self._draw_deeds()
        self._stored: dict[str, Stored] = {}
        self._deaths: list[Death] = []
        self._stops = 0
        self._is_over = asyncio.Event()
        self._accepted_puts = 0
        # By contact, the place behind the latest that was put, and that arrived.
        self._put: dict[str, int] = collections.defaultdict(int)
        self._seen: dict[str, int] = collections.defaultdict(int)
        self._doomed: dict[Child, int] = {}  # and after how many more of its puts
        self._accepted_of = dict.fromkeys(self._producers, 0)
        self._allowed = dict.fromkeys(self._producers, 0)

    def _draw_deeds(self) -> list[tuple[float, Deed]]:
        """What is done to processes, the last one first, and after how many puts and arrivals."""
        whole = 2 * self._plan.puts
        deeds = list(itertools.islice(itertools.cycle(_KILLS), self._plan.kills))
        deeds += ["stop who drains"] * self._plan.stops
        self._random.shuffle(deeds)
        moments = [self._random.uniform(_FIRST_DEED, _LAST_DEED) * whole for _ in deeds]
        return list(zip(sorted(moments, reverse=True), deeds, strict=True))

    async def carry_out(self) -> History:
        """Do it all; fail if it comes to no end, or a process ends by itself."""
        listening, self._url = await serve(self._server)
        try:
            async with asyncio.timeout(self._plan.limit), listening:
                await self._run_processes()
                await self._drain_the_rest()
        except TimeoutError:
            raise AssertionError(f"no end after {self._plan.limit:g} s: {self}") from None
        for child in self._producers:
            if child.was_killed:
                self._note_doubts(child)
        with Outbox(self._path) as outbox:
            pending = outbox.stats().pending
            failed = outbox.failed(limit=len(self._stored) + 1)
        with contextlib.closing(sqlite3.connect(self._path)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
        return History(
            stored=self._stored,
            arrivals=tuple(self._server.arrivals),
            deaths=tuple(self._deaths),
            stops=self._stops,
            aside=tuple(
                Aside(
                    mark_in(converter().unstructure(delivery.request)),
                    delivery.delivery_id,
                    delivery.kind,
                )
                for delivery in failed
            ),
            pending=pending,
            integrity="; ".join(text for (text,) in found),
        )

    async def _run_processes(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for child in self._drainers:
                tasks.create_task(child.run())
            async with asyncio.TaskGroup() as putting:
                for child in self._producers:
                    putting.create_task(child.run())
            await self._is_over.wait()
            self._dismiss(self._drainers)

    async def _drain_the_rest(self) -> None:
        # An event that fails alone, or is alone at the start, may wait for five minutes.
        self._server.faults = 0
        safe = next(
            put
            for number in itertools.count()
            if kind_of(self._seed, put := Put(f"{_LAST}{number}", 0)) == "identify"
        )
        client = AsyncTrackingClient("key", base_url=f"{self._url}/{_LAST}")
        with Outbox(self._path) as outbox:
            self._store(safe, outbox.put_sync(request_of(self._seed, safe)))
            async with client:
                await outbox.drain(client, retry=RETRY, **self._draining_options())

    def __str__(self) -> str:
        running = [child.name for child in self._producers + self._drainers if child.is_running]
        waiting = {
            contact: (self._seen[contact], put)
            for contact, put in self._put.items()
            if put > self._seen[contact]
        }
        return (
            f"seed {self._seed}, {self._accepted_puts} puts accepted, "
            f"{len(self._server.arrivals)} requests arrived, still to do: {self._deeds}, "
            f"running: {running}, waiting: {waiting}, the latest: {self._server.arrivals[-3:]}"
        )

    # What the processes are told, and say

    def _producer_job(self, child: Child) -> dict[str, Any]:
        self._allowed[child] = 0
        producer = self._plan.producers[child.number]
        if child.was_killed:
            self._note_doubts(child)
            if producer.form != "own ids":  # with one it is put again
                self._contacts[child.number] = [
                    list(map(self._go_on, contacts)) for contacts in self._contacts[child.number]
                ]
        workers = [
            [(contact, self._put[contact]) for contact in contacts]
            for contacts in self._contacts[child.number]
        ]
        return {
            "path": str(self._path),
            "seed": self._seed,
            "form": producer.form,
            "synchronous": producer.synchronous,
            "workers": workers,
        }

    def _drainer_job(self, child: Child) -> dict[str, Any]:
        return {
            "path": str(self._path),
            "url": self._url,
            "synchronous": "FULL" if child.number % 2 else "NORMAL",
            "options": self._draining_options(),
        }

    def _draining_options(self) -> dict[str, int]:
        return {"concurrency": self._plan.concurrency, "batch_size": self._plan.batch_size}

    def _note_doubts(self, child: Child) -> None:
        """What was being put when a process died is in the outbox, or is not."""
        for contact in itertools.chain(*self._contacts[child.number]):
            self._store(Put(contact, self._put[contact]), None)

    def _go_on(self, contact: str) -> str:
        """Go on behind what is in doubt, with the same contact if it is known to be the same."""
        if kind_of(self._seed, Put(contact, self._put[contact])) == "rename":
            return f"{contact}x"
        self._put[contact] += 1
        return contact

    def _store(self, put: Put, delivery_id: str | None) -> None:
        self._stored[put.mark] = Stored(
            put.contact, put.place, is_safe(self._seed, put), delivery_id
        )

    def _accepted(self, child: Child, line: str) -> None:
        mark, delivery_id = line.split(" ")
        put = Put.of_mark(mark)
        self._store(put, delivery_id)
        self._put[put.contact] = put.place + 1
        self._accepted_puts += 1
        self._accepted_of[child] += 1
        self._allowed[child] -= 1
        if child in self._doomed:
            self._doomed[child] -= 1
            if not self._doomed[child]:
                del self._doomed[child]
                self._kill(child)
        self._act()

    def _arrived(self, arrival: Arrival) -> None:
        for drainer in self._drainers:
            if drainer.name == arrival.drainer:
                drainer.did_something = True
        for mark in arrival.marks:
            put = Put.of_mark(mark)
            self._seen[put.contact] = max(self._seen[put.contact], put.place + 1)
        self._act()

    # What is done to them

    def _act(self) -> None:
        """Whenever something has happened: kill who is due, and let others put."""
        waiting = sum(max(0, put - self._seen[contact]) for contact, put in self._put.items())
        done = 2 * self._accepted_puts - waiting
        while self._deeds and done >= self._deeds[-1][0] and self._do(self._deeds[-1][1]):
            self._deeds.pop()
        if not self._deeds and not self._doomed:
            self._is_over.set()
        if self._accepted_puts >= self._plan.puts:
            self._dismiss(self._producers)
            return
        # Whoever is slower to put goes first, lest the quickest puts nearly all.
        for child in sorted(self._producers, key=self._accepted_of.__getitem__):
            room = self._plan.window - waiting - sum(self._allowed.values())
            puts = min(room, _MOST_ALLOWED - self._allowed[child])
            if child.is_running and puts > 0:
                self._allowed[child] += puts
                child.allow(puts)

    def _dismiss(self, children: list[Child]) -> None:
        for child in children:
            child.is_wanted = False
            if child.is_running and child not in self._doomed:
                child.stop()

    def _do(self, deed: Deed) -> bool:
        """Do it to one of those to whom it can be done; tells whether there was any."""
        running = [child for child in self._drainers if child.is_running]
        draining = [child for child in running if child.did_something]
        waiting = [child for child in running if not child.did_something]
        putting = [child for child in self._producers if child.is_running and child.did_something]
        candidates = draining
        if deed == "kill who puts" and self._accepted_puts < self._plan.puts:
            candidates = [child for child in putting if child not in self._doomed]
        elif deed == "kill who waits to drain" and waiting:
            candidates = waiting
        if not candidates:
            return False  # but soon
        child = self._random.choice(candidates)
        if deed == "stop who drains":
            child.stop()
            self._stops += 1
        elif child in self._producers:
            # It may have been told to wait; and it isn't to die while it does.
            self._allowed[child] += _LAST_PUTS
            child.allow(_LAST_PUTS)
            self._doomed[child] = self._random.randint(1, _LAST_PUTS - _MOST_ALLOWED)
        else:
            self._kill(child)
        return True

    def _kill(self, child: Child) -> None:
        child.kill()
        self._deaths.append(Death(self._tick(), child.name, child in self._drainers))


def carry_out(plan: Plan, seed: int, path: Path) -> History:
    """Carry a plan out with an outbox in a new file."""

    async def run() -> History:
        return await Run(plan, seed, path).carry_out()

    return asyncio.run(run())
