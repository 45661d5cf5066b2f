"""One client object over four asyncio.run, one trio.run and six threads with loops of their own.

The work is done in a child process in which every warning is an error.
"""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import trio
from _measure import Finding, options, report
from _server import running_server

from sendx_async import AsyncTrackingClient, IdentifyRequest

RUNS = 4
THREADS = 6
CALLS_PER_LOOP = 40


class Sharing:
    """One client, used from many loops, and what went wrong."""

    def __init__(self, base_url: str) -> None:
        self.errors: list[str] = []
        self._client = AsyncTrackingClient("benchmark-key", base_url=base_url)

    async def _call(self) -> None:
        try:
            await self._client.identify_contact(IdentifyRequest("a@b.co"))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is the result
            self.errors.append(repr(error))

    async def _calls(self) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLS_PER_LOOP):
                tasks.start_soon(self._call)

    def _run(self, backend: str, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            if backend == "trio":
                trio.run(function)
            else:
                asyncio.run(function())
        except BaseException as error:  # noqa: BLE001 - likewise
            self.errors.append(repr(error))

    def run_everything(self) -> None:
        for backend in ["asyncio"] * RUNS + ["trio"]:
            self._run(backend, self._calls)
        threads = [
            threading.Thread(target=self._run, args=["asyncio", self._calls])
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._run("asyncio", self._client.aclose)


def share_one_client(base_url: str) -> list[str]:
    """Make calls from every loop and return what went wrong."""
    sharing = Sharing(base_url)
    errors = sharing.errors
    # A warning turned into an error inside a finalizer can't be raised: Python hands it over here.
    sys.unraisablehook = lambda unraisable: errors.append(repr(unraisable.exc_value))
    sharing.run_everything()
    del sharing
    gc.collect()
    return errors


def errors_in_a_child(base_url: str) -> float:
    command = [sys.executable, "-W", "error", __file__, "--child", base_url]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    errors = json.loads(child.stdout)
    for error in errors:
        print(error, file=sys.stderr)
    return len(errors)


def main() -> None:
    arguments = options(__doc__, default_rounds=5)
    with running_server() as server:
        url = server.url("delay-5")
        errors = [errors_in_a_child(url) for _ in range(arguments.rounds)]
    calls = (RUNS + 1 + THREADS) * CALLS_PER_LOOP
    report(
        f"One client over {RUNS} asyncio.run, one trio.run and {THREADS} threads",
        [Finding(f"errors in {calls} calls", errors, goal=("=", 0))],
        json_file=arguments.json,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(share_one_client(sys.argv[2])))
    else:
        main()
