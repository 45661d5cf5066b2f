"""A process that puts requests until it is told to end, or killed.

It may put one request for each byte that it reads, ends when there are no more to come, and writes
a line for each put as soon as that has returned.
"""

import json
import os
import sys
import threading
import warnings
from random import Random
from typing import Any

import anyio
import anyio.to_thread

from sendx_async.outbox import Outbox

from .plan import Put, request_of

_REPEATED = 0.2  # the part of its puts after which one with an id of its own puts an earlier again

Contacts = list[tuple[str, int]]  # each with the place of its next request


class Worker:
    """Puts the requests of some contacts, one after the other."""

    def __init__(self, job: dict[str, Any], outbox: Outbox, contacts: Contacts) -> None:
        self._seed: int = job["seed"]
        self._has_own_ids: bool = job["form"] == "own ids"
        self._random = Random(f"{self._seed} {contacts}")
        self._outbox = outbox
        self._contacts = contacts

    def _next(self) -> Put:
        number = self._random.randrange(len(self._contacts))
        contact, place = self._contacts[number]
        self._contacts[number] = (contact, place + 1)
        return Put(contact, place)

    def work(self) -> None:
        while self.work_once():
            pass

    def work_once(self) -> bool:
        if not os.read(sys.stdin.fileno(), 1):
            return False
        put = self._next()
        _accept(put, self._put_sync(put))
        if self._has_own_ids and self._random.random() < _REPEATED:
            # Delivered by now or not, it is there already.
            self._put_sync(Put(put.contact, self._random.randint(0, put.place)))
        return True

    def _put_sync(self, put: Put) -> str:
        own_id = put.mark if self._has_own_ids else None
        return self._outbox.put_sync(request_of(self._seed, put), delivery_id=own_id)

    async def work_in_loop(self) -> None:
        while await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1):
            put = self._next()
            _accept(put, await self._outbox.put(request_of(self._seed, put)))


def _accept(put: Put, delivery_id: str) -> None:
    # Short enough to be written as a whole, whoever else writes.
    os.write(sys.stdout.fileno(), f"{put.mark} {delivery_id}\n".encode())


async def put_from_tasks(workers: list[Worker]) -> None:
    async with anyio.create_task_group() as tasks:
        for worker in workers:
            tasks.start_soon(worker.work_in_loop)


def put_from_threads(workers: list[Worker]) -> None:
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def put_from_parent_and_child(workers: list[Worker]) -> None:
    """Fork in the midst of it, with threads that put and the connections that they have open."""
    half = len(workers) // 2
    threads = [threading.Thread(target=worker.work) for worker in workers[:half]]
    for thread in threads:
        thread.start()
    workers[half].work_once()
    with warnings.catch_warnings():
        # Python warns of what is done here on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        status = 1
        try:
            put_from_threads(workers[half:])
            status = 0
        finally:
            os._exit(status)
    for thread in threads:
        thread.join()
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("the forked process failed")


def main() -> None:
    job = json.loads(sys.argv[1])
    outbox = Outbox(job["path"], synchronous=job["synchronous"], timeout=60)
    workers = [
        Worker(job, outbox, [(contact, place) for contact, place in contacts])
        for contacts in job["workers"]
    ]
    if job["form"] == "tasks":
        anyio.run(put_from_tasks, workers, backend=job["backend"])
    elif job["form"] == "fork":
        put_from_parent_and_child(workers)
    else:
        put_from_threads(workers)
    outbox.close()


if __name__ == "__main__":
    main()
