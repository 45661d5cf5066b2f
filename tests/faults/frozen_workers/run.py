"""Round after round: put, freeze a worker, see its jobs taken over, and let it go on or kill it."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol

import attrs

from sendx_async.testing import FakeSendX

CONTACTS = 8
PUTS_PER_CONTACT = 5  # in each round
LIMIT = 120.0  # seconds, for whatever is waited for


class Jobs(Protocol):
    """What a run has to see of the table of jobs."""

    def do(self, statement: str, *values: object) -> list[dict[str, object]]: ...


@attrs.frozen
class Worker:
    """A worker's process, and its number in the database."""

    pid: int
    number: object


def wait_for(predicate: Callable[[], object]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + LIMIT
    while not predicate():
        assert time.monotonic() < end
        time.sleep(0.005)


@attrs.define
class Run:
    """Freezes one of two workers in each round.

    Args:
        table: The jobs.
        fake: What the workers deliver to.
        put: Puts the next state of a contact.
        start: Starts a worker; gives its process's id.
        end: Kills the process of a worker.
        random: Draws which worker is frozen, and when.

    Attributes:
        takeovers: Seconds after which others had all that each frozen worker had.
    """

    table: Jobs
    fake: FakeSendX
    put: Callable[[str, int], object]
    start: Callable[[], int]
    end: Callable[[int], object]
    random: Random
    takeovers: list[float] = attrs.field(factory=list, init=False)
    _states: Iterator[int] = attrs.field(factory=itertools.count, init=False)
    _workers: list[Worker] = attrs.field(factory=list, init=False)

    def carry_out(self, freezes: int, *, thaw: bool) -> None:
        """Freeze workers that have deliveries, so many times.

        Args:
            freezes: How many times.
            thaw: Whether a frozen worker goes on when its jobs were done by others, or is killed.
        """
        while len(self._workers) < 2:
            self._start()
        while len(self.takeovers) < freezes:
            self._round(thaw=thaw)

    def _start(self) -> None:
        known = {row["id"] for row in self._rows()}
        pid = self.start()
        wait_for(lambda: len({row["id"] for row in self._rows()} - known) == 1)
        (number,) = {row["id"] for row in self._rows()} - known
        self._workers.append(Worker(pid, number))

    def _rows(self) -> list[dict[str, object]]:
        return self.table.do("SELECT id FROM procrastinate_workers")

    def _round(self, *, thaw: bool) -> None:
        before = len(self.fake.requests)
        for state, contact in itertools.product(
            itertools.islice(self._states, PUTS_PER_CONTACT), range(CONTACTS)
        ):
            self.put(f"c{contact}@example.com", state)
        seen = self.random.randrange(CONTACTS * PUTS_PER_CONTACT // 2)
        wait_for(lambda: len(self.fake.requests) > before + seen)
        victim = self.random.choice(self._workers)
        os.kill(victim.pid, signal.SIGSTOP)
        frozen_at = time.monotonic()
        held = self._held(victim)
        wait_for(lambda: not self._held(victim))
        if held:
            self.takeovers.append(time.monotonic() - frozen_at)
        wait_for(lambda: not self.table.do(
            "SELECT id FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        ))  # fmt: skip
        if thaw:
            self._thaw(victim)
        else:
            self.end(victim.pid)
            self._workers.remove(victim)
            self._start()

    def _held(self, worker: Worker) -> bool:
        return bool(self.table.do(
            "SELECT id FROM procrastinate_jobs WHERE status = 'doing' AND worker_id = %s",
            worker.number,
        ))  # fmt: skip

    def _thaw(self, worker: Worker) -> None:
        (row,) = self.table.do("SELECT now() AS now")
        os.kill(worker.pid, signal.SIGCONT)
        wait_for(lambda: self.table.do(
            "SELECT id FROM procrastinate_workers WHERE id = %s AND last_heartbeat > %s",
            worker.number, row["now"],
        ))  # fmt: skip


def steps_back(fake: FakeSendX) -> list[str]:
    """Return which contacts were given a state that is older than the one before."""
    states: dict[str, int] = {}
    found: list[str] = []
    for request in fake.requests:
        email, state = request.json["email"], int(request.json["firstName"])
        if state < states.get(email, 0):
            found.append(f"{email}: {state} after {states[email]}")
        states[email] = state
    return found
