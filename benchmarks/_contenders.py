"""The same call, identify one contact, made by each client that is compared.

Each contender builds the request from plain values and reads the answer, on every call, since that
is what a user's program does.
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from _contacts import mapping, model
from _measure import Cost, Finding, options, report
from _server import server_on_another_core
from sendx_python_sdk.api.tracking_api import TrackingApi
from sendx_python_sdk.api_client import ApiClient
from sendx_python_sdk.configuration import Configuration
from sendx_python_sdk.models import identify_request as official

from sendx_async import AsyncTrackingClient

KEY = "benchmark-key"
_numbers = itertools.count()  # each call is about a contact of its own


Measure = Callable[[int], Cost]  # makes that many calls


def timed(work: Callable[[], object], calls: int) -> Cost:
    """Say what the work cost, which makes that many calls."""
    gc.collect()  # nobody pays for the garbage of the contender before
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(calls, time.perf_counter() - wall, time.process_time() - cpu)


async def repeat(call: Callable[[], Awaitable[object]], calls: int, concurrency: int) -> None:
    """Make `calls` calls, at most `concurrency` at once."""
    left = itertools.repeat(None, calls)

    async def work() -> None:
        for _ in left:
            await call()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(concurrency):
            tasks.create_task(work())


def report_by_concurrency(
    title: str,
    description: str | None,
    concurrencies: Iterable[int],
    measure: Callable[[str, int, int], list[Finding]],
) -> None:
    """Measure with so many calls at once each, so many rounds, and report it all."""
    arguments = options(description)
    findings: list[Finding] = []
    with server_on_another_core() as server:
        for concurrency in concurrencies:
            findings += measure(server.url("ok"), concurrency, arguments.rounds)
    report(title, findings, json_file=arguments.json)


@contextmanager
def measure_async(
    run: Callable[[int], Coroutine[Any, Any, object]],
    close: Callable[[], Coroutine[Any, Any, object]],
    *,
    warm_up: int,
) -> Iterator[Measure]:
    """Measure a coroutine function that makes as many calls as it is told to."""
    with asyncio.Runner() as runner:

        def measure(calls: int) -> Cost:
            # Not timed: opens the connections, which may have expired since the last round.
            runner.run(run(warm_up))
            return timed(lambda: runner.run(run(calls)), calls)

        try:
            yield measure
        finally:
            runner.run(close())


@contextmanager
def ours(
    base_url: str, connections: int, tasks: int | None = None, *, batch_identify: bool = False
) -> Iterator[Measure]:
    """This library, with its settings as they come, but for the size of the pool."""
    concurrency = tasks or connections
    client = AsyncTrackingClient(
        KEY, base_url=base_url, max_connections=connections, batch_identify=batch_identify
    )

    async def call() -> None:
        await client.identify_contact(model(next(_numbers)))

    with measure_async(
        lambda calls: repeat(call, calls, concurrency), client.aclose, warm_up=2 * concurrency
    ) as measure:
        yield measure


@contextmanager
def stock_httpx(base_url: str, connections: int, tasks: int | None = None) -> Iterator[Measure]:
    """A plain httpx client with as many connections, all kept alive."""
    concurrency = tasks or connections
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = httpx.AsyncClient(limits=limits, headers={"X-Team-ApiKey": KEY}, timeout=60)
    url = f"{base_url}/contact/identify"

    async def call() -> None:
        response = await client.post(url, json=mapping(next(_numbers)))
        response.raise_for_status()
        response.json()

    with measure_async(
        lambda calls: repeat(call, calls, concurrency), client.aclose, warm_up=2 * concurrency
    ) as measure:
        yield measure


@contextmanager
def official_sdk(base_url: str, concurrency: int) -> Iterator[Measure]:
    """The official SDK, called from as many threads, each with a connection kept alive."""
    configuration = Configuration(host=base_url, api_key={"TeamApiKey": KEY})
    configuration.connection_pool_maxsize = concurrency
    with ApiClient(configuration) as api_client:
        api = TrackingApi(api_client)

        def work(calls: int) -> None:
            for _ in range(calls):
                api.identify_contact(
                    official.IdentifyRequest(
                        email=f"jane.smith{next(_numbers)}@company.com",
                        firstName="Jane",
                        lastName="Smith",
                        customFields={"Role": "Engineering", "Plan": "Premium"},
                        tags=["new_user", "vip"],
                    )
                )

        with ThreadPoolExecutor(concurrency) as threads:

            def measure(calls: int) -> Cost:
                list(threads.map(work, [2] * concurrency))
                share = [calls // concurrency] * concurrency
                return timed(lambda: list(threads.map(work, share)), sum(share))

            yield measure
        api_client.rest_client.pool_manager.clear()
