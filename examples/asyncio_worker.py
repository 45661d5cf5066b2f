"""Send what an application puts into a queue, and lose nothing when the process has to stop.

    pip install 'sendx-async[sandbox]'
    python examples/asyncio_worker.py              # stops by itself after 400 jobs
    python examples/asyncio_worker.py --jobs inf   # runs until SIGTERM or Ctrl-C

Told to stop, it takes no more jobs, sends those that are queued, and ends. What SendX doesn't take
in the grace period, or because it is down for longer than there is patience, goes into a file and
is sent first at the next start. Only a process that is killed outright has no time for that.

It talks to SENDX_BASE_URL with the key in SENDX_API_KEY, or else to the sandbox, a stand-in for
SendX on this machine. For the real SendX the key is enough.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import attrs

from sendx_async import (
    AsyncTrackingClient,
    IdentifyRequest,
    Outcome,
    SendXError,
    TrackRequest,
)
from sendx_async.testing import FakeSendX

Job = IdentifyRequest | TrackRequest


class Worker:
    """Sends the jobs of its queue, up to a None; `left` is what has to be sent another time."""

    def __init__(self, jobs: list[Job]) -> None:
        self.queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self.left: list[Job] = []
        self.counts: Counter[str] = Counter()
        for job in jobs:
            self.queue.put_nowait(job)

    def accept(self, job: Job) -> None:
        """Queue a job."""
        self.queue.put_nowait(job)
        self.counts["accepted"] += 1

    async def run(self, client: AsyncTrackingClient, patience: float) -> None:
        """Send jobs, up to the last or until SendX is down for too long."""
        outcomes = client.send_many(self._jobs(), patience=patience)
        try:
            async with client, outcomes:
                async for outcome in outcomes:
                    self._note(outcome)
        finally:
            for outcome in outcomes.unclaimed:
                self._note(outcome)

    async def _jobs(self) -> AsyncIterator[Job]:
        while (job := await self.queue.get()) is not None:
            yield job

    def _note(self, outcome: Outcome) -> None:
        if outcome.is_retryable:
            self.left.append(outcome.request)
            return
        self.counts["refused" if outcome.error else "delivered"] += 1
        if outcome.error:
            print(f"  {outcome.request}: {outcome.error}", flush=True)


async def web_application(worker: Worker, most: float) -> None:
    """Stand in for handlers that queue a job and answer their visitor at once."""
    while (number := worker.counts["accepted"]) < most:
        email = f"visitor{number // 2}@example.com"
        is_back = number % 2
        worker.accept(TrackRequest(email, add_tags=["back"]) if is_back else IdentifyRequest(email))
        await asyncio.sleep(0.005)


def read(file: Path) -> list[Job]:
    """Give the jobs that the last run left."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [(TrackRequest if "add_tags" in row else IdentifyRequest)(**row) for row in rows]


def write(file: Path, jobs: list[Job]) -> None:
    """Replace what the file holds, at one stroke; without jobs there is no file."""
    new = file.with_suffix(".new")
    new.write_text("".join(json.dumps(attrs.asdict(job)) + "\n" for job in jobs))
    new.replace(file)
    if not jobs:
        file.unlink()


async def serve(client: AsyncTrackingClient, options: argparse.Namespace) -> None:
    """Run the application and the worker until one of them ends, and keep what is left then."""
    worker = Worker(read(options.file))  # the file stays as it is until they are sent
    work = asyncio.create_task(worker.run(client, options.patience))
    application = asyncio.create_task(web_application(worker, options.jobs))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(application.cancel))
    print(f"Running, {worker.queue.qsize()} jobs taken over. SIGTERM stops it.", flush=True)

    await asyncio.wait([application, work], return_when=asyncio.FIRST_COMPLETED)
    application.cancel()
    await asyncio.wait([application])
    worker.queue.put_nowait(None)  # the last: nobody is there to put another
    await asyncio.wait([work], timeout=options.grace)
    work.cancel()
    await asyncio.wait([work])

    queued = [worker.queue.get_nowait() for _ in range(worker.queue.qsize())]
    left = worker.left + [job for job in queued if job is not None]
    write(options.file, left)
    counts = worker.counts
    print(f"Stopped: {counts['accepted']} accepted, {counts['delivered']} delivered,", end=" ")
    print(f"{counts['refused']} refused, {len(left)} kept.", flush=True)
    for task in (application, work):
        if not task.cancelled():
            task.result()  # raises what ended it


def main() -> None:
    """Read the options, and bring a sandbox if there is no server."""
    parser = argparse.ArgumentParser(description="Send what an application puts into a queue.")
    parser.add_argument("--jobs", type=float, default=400, help="stop after so many, or inf")
    parser.add_argument("--file", type=Path, default="unsent.jsonl", help="what is left")
    parser.add_argument("--patience", type=float, default=300, help="seconds of an outage")
    parser.add_argument("--grace", type=float, default=8, help="seconds to send what is queued")
    options = parser.parse_args()
    logging.basicConfig()  # the client warns of outages
    sandbox = FakeSendX(keep=0)
    with nullcontext() if "SENDX_BASE_URL" in os.environ else sandbox.serving() as url:
        client = AsyncTrackingClient(sandbox.api_key if url else None, base_url=url)
        try:
            asyncio.run(serve(client, options))
        except SendXError as error:
            sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
