"""One client object over four asyncio.run, one trio.run and six threads with loops of their own.

The work is done in a child process in which every warning is an error.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import threading
from typing import Any

import anyio
import trio
from _measure import Finding, options, report
from _server import running_server

from sendx_async import AsyncTrackingClient, IdentifyRequest

RUNS = 4
THREADS = 6
CALLS_PER_LOOP = 40


def share_one_client(base_url: str) -> list[str]:
    """Make calls from every loop and return what went wrong."""
    errors: list[str] = []
    # A warning turned into an error inside a finalizer can't be raised: Python hands it over here.
    sys.unraisablehook = lambda unraisable: errors.append(repr(unraisable.exc_value))
    client = AsyncTrackingClient("benchmark-key", base_url=base_url)

    async def call() -> None:
        try:
            await client.identify_contact(IdentifyRequest("a@b.co"))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is the result
            errors.append(repr(error))

    async def calls() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLS_PER_LOOP):
                tasks.start_soon(call)

    def loop(run: Any) -> None:
        try:
            run(calls)
        except BaseException as error:  # noqa: BLE001 - likewise
            errors.append(repr(error))

    def asyncio_run(function: Any) -> None:
        asyncio.run(function())

    for _ in range(RUNS):
        loop(asyncio_run)
    loop(trio.run)
    threads = [threading.Thread(target=loop, args=[asyncio_run]) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(client.aclose())
    del client
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
        parser = argparse.ArgumentParser()
        parser.add_argument("--child")
        print(json.dumps(share_one_client(parser.parse_args().child)))
    else:
        main()
