"""What the tests of the client have in common: a clean environment, and a client in process."""

import contextlib
import gc
import os
from collections.abc import Callable
from random import randrange
from typing import Any

import httpx
import httpx2
import pytest

from sendx_async import AsyncTrackingClient, RetryPolicy
from sendx_async.testing import FakeSendX

from .clocks import StoppedClock
from .raw_server import serve_raw

__all__ = ["serve_raw"]

# What gives a test a process or a database of its own; tests that start some by themselves are
# marked where they stand.
SLOW_FIXTURES = {"bin_directory", "database", "start", "start_worker"}


def pytest_collection_finish() -> None:
    """Keep what was imported out of collections: many tests make one, to see what is left."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let collections see everything again: what is imported late may look for what holds it."""
    gc.unfreeze()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run a single file in this process, and anything larger in three more.

    Two keep two cores busy, and the third has something to do while they wait.
    """
    files = {argument.partition("::")[0] for argument in config.args}
    is_one_file = len(files) == 1 and (config.invocation_params.dir / files.pop()).is_file()
    return 0 if is_one_file else 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="what a test of chaos leaves to chance follows from")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what asks for a slow fixture; leave chaos out unless its mark is asked for."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    if "chaos" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("chaos")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What chance follows from; a test that fails shows how to repeat it."""
    given: int | None = request.config.getoption("--seed")
    seed = randrange(1_000_000) if given is None else given
    node = request.node
    marked = " -m chaos" if node.get_closest_marker("chaos") else ""
    command = f"to repeat it: pytest '{node.nodeid}'{marked} --seed {seed}"
    node.add_report_section("setup", "seed", command)
    return seed


@pytest.fixture
def stopped_clock() -> StoppedClock:
    """A clock by which only waits take time."""
    return StoppedClock()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the keys and proxies of whoever runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("SENDX_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # Children import what is installed, not what lies in the directory they run in.
    monkeypatch.setenv("PYTHONSAFEPATH", "1")


@pytest.fixture
def children_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep coverage out of child processes, for interrupts while Python code runs in them.

    Its tracer takes a lock in Python code for each call: an interrupt in that instant leaves it
    held, and every other thread of the process hangs.
    """
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """What a borrowed client is made with: each of the two that are taken."""
    return request.param


@pytest.fixture(
    params=[contextlib.nullcontext, httpx.AsyncClient, httpx2.AsyncClient],
    ids=["own", "httpx", "httpx2"],
)
def lend(request: pytest.FixtureRequest) -> Any:
    """Make the context of a client to borrow, or of None for the library's own."""

    def make(**options: Any) -> Any:
        return request.param(**({} if request.param is contextlib.nullcontext else options))

    return make


@pytest.fixture
def fake() -> FakeSendX:
    """A fake server that is reached in process, without sockets."""
    return FakeSendX()


@pytest.fixture
def make_client(fake: FakeSendX) -> Callable[..., AsyncTrackingClient]:
    """Make clients of ``fake`` that retry without waiting, with the options given."""

    def make(**options: object) -> AsyncTrackingClient:
        borrowed = httpx.AsyncClient(transport=httpx.ASGITransport(app=fake))
        defaults: dict[str, object] = {
            "api_key": fake.api_key,
            "base_url": "https://sendx.test/api/v1/rest",
            "retry": RetryPolicy(base=0, cap=0),
            "http_client": borrowed,
        }
        return AsyncTrackingClient(**{**defaults, **options})  # type: ignore[arg-type]

    return make
