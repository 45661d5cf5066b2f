"""An application's own client in a second event loop, where its connections can't be used."""

import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import pytest
import uvloop

from sendx_async import AsyncTrackingClient, ConfigurationError, TrackingClient
from sendx_async.testing import FakeSendX

JANE = {"email": "jane@example.com"}
EVENT = {"identifier": "jane@example.com", "name": "seen"}

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

Run = Callable[[Callable[[], Awaitable[Any]]], Any]


def run_asyncio(function: Callable[[], Awaitable[Any]]) -> Any:
    return anyio.run(function)


def run_trio(function: Callable[[], Awaitable[Any]]) -> Any:
    return anyio.run(function, backend="trio")


def run_uvloop(function: Callable[[], Awaitable[Any]]) -> Any:
    return anyio.run(function, backend_options={"loop_factory": uvloop.new_event_loop})


def client_of(fake: FakeSendX, http_client: Any, **options: Any) -> AsyncTrackingClient:
    return AsyncTrackingClient(fake.api_key, base_url=fake.url, http_client=http_client, **options)


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """Let go of what a loop left open, before a warning of it is an error again."""
    yield
    gc.collect()


@pytest.mark.parametrize(
    "first,second",
    [
        (run_asyncio, run_asyncio),
        (run_asyncio, run_uvloop),
        (run_asyncio, run_trio),
        (run_trio, run_asyncio),
        (run_uvloop, run_trio),
    ],
)
def test_in_a_second_loop_nothing_is_sent_and_the_error_says_what_to_do(
    fake_sendx: FakeSendX, library: Any, first: Run, second: Run
) -> None:
    client = client_of(fake_sendx, library.AsyncClient())
    first(lambda: client.identify_contact(JANE))
    with pytest.raises(ConfigurationError, match="in each event loop") as caught:
        second(lambda: client.track_custom_event(EVENT))
    assert not caught.value.maybe_delivered
    assert caught.value.attempts == 1
    assert caught.value.__context__ is None
    assert len(fake_sendx.requests) == 1


@pytest.mark.parametrize("second", [run_asyncio, run_trio])
def test_nobody_knows_of_connections_that_the_application_made(
    fake_sendx: FakeSendX, library: Any, second: Run
) -> None:
    http_client = library.AsyncClient()
    run_asyncio(lambda: http_client.get(fake_sendx.url))
    client = client_of(fake_sendx, http_client)
    with pytest.raises(ConfigurationError, match="in each event loop") as caught:
        second(lambda: client.track_custom_event(EVENT))
    # An idle connection takes the request in, and fails when the answer is to be read.
    assert caught.value.maybe_delivered


def test_a_synchronous_client_runs_in_a_loop_of_its_own(
    fake_sendx: FakeSendX, library: Any
) -> None:
    http_client = library.AsyncClient()
    run_asyncio(lambda: http_client.get(fake_sendx.url))
    client = TrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, http_client=http_client)
    with client, pytest.raises(ConfigurationError, match="in each event loop"):
        client.track_custom_event(EVENT)


def test_what_connects_anew_serves_several_loops(fake_sendx: FakeSendX, library: Any) -> None:
    limits = library.Limits(max_keepalive_connections=0)
    client = client_of(fake_sendx, library.AsyncClient(limits=limits))
    for run in (run_asyncio, run_trio, run_uvloop, run_asyncio):
        run(lambda: client.identify_contact(JANE))
    assert len(fake_sendx.requests) == 4


def test_what_needs_no_connection_serves_several_loops(fake: FakeSendX, library: Any) -> None:
    http_client = library.AsyncClient(transport=library.ASGITransport(app=fake))
    client = AsyncTrackingClient(
        fake.api_key, base_url="https://sendx.test/api/v1/rest", http_client=http_client
    )
    for _ in range(2):
        run_asyncio(lambda: client.identify_contact(JANE))
    assert len(fake.requests) == 2
