"""What tools collect of streams, outboxes, the command and the web framework."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fastapi
import pytest
from fastapi.testclient import TestClient

from sendx_async import (
    AsyncOutcomeStream,
    AsyncTrackingClient,
    InvalidRequestError,
    OutboxError,
    OutboxFullError,
    RetryPolicy,
    SendXError,
    TrackingClient,
)
from sendx_async._cli import main
from sendx_async.fastapi import add_sendx_error_handlers
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

from .held import account, address, event, mapping, said, shown_in
from .tools import assert_masked


@pytest.fixture
def server() -> Iterator[FakeSendX]:
    fake = FakeSendX(api_key=account()["api_key"])
    with fake.serving():
        yield fake


def client_of(server: FakeSendX) -> AsyncTrackingClient:
    return AsyncTrackingClient(**account(), base_url=server.url, retry=RetryPolicy(0))


def breaking() -> Iterator[Any]:
    yield mapping()
    raise LookupError("the caller's own")


async def breaking_later() -> AsyncIterator[Any]:
    yield mapping()
    raise LookupError("the caller's own")


async def read(stream: AsyncOutcomeStream) -> None:
    async with stream as outcomes:
        async for _ in outcomes:
            pass


@pytest.mark.parametrize("source", [breaking, breaking_later])
@pytest.mark.asyncio
async def test_a_stream_whose_source_fails(server: FakeSendX, source: Any) -> None:
    async with client_of(server) as client:
        with pytest.raises(LookupError) as caught:
            await read(client.send_many(source()))
    assert_masked(caught.value)


def test_a_synchronous_stream_whose_source_fails(server: FakeSendX) -> None:
    client = TrackingClient(**account(), base_url=server.url)
    with client, pytest.raises(LookupError) as caught, client.send_many(breaking()) as outcomes:
        list(outcomes)
    assert_masked(caught.value)


@pytest.mark.asyncio
async def test_a_stream_that_ends_in_an_error(server: FakeSendX) -> None:
    server.respond(401, message=address(), times=None)
    async with client_of(server) as client:
        with pytest.raises(SendXError) as caught:
            await read(client.send_many([mapping()] * 3))
    assert_masked(caught.value)


@pytest.mark.parametrize("problem", ["full", "closed", "refused", "id", "broken"])
@pytest.mark.asyncio
async def test_a_put_that_fails(tmp_path: Path, problem: str) -> None:
    path = tmp_path / "o.db"
    outbox = Outbox(path, synchronous="NORMAL", max_pending=1)
    given, delivery_id = event(), None
    if problem == "full":
        outbox.put_sync(event())
    elif problem == "closed":
        outbox.close()
    elif problem == "refused":
        given["time"] = "now"
    elif problem == "id":
        delivery_id = ""
    else:
        path.write_bytes(b"no database" * 1000)
    errors: list[BaseException] = []
    try:
        await outbox.put(given, delivery_id=delivery_id)
    except (InvalidRequestError, OutboxError) as error:
        errors.append(error)
    try:
        outbox.put_sync(given, delivery_id=delivery_id)
    except (InvalidRequestError, OutboxError) as error:
        errors.append(error)
    del given
    assert len(errors) == 2
    assert isinstance(errors[0], OutboxFullError) is (problem == "full")
    for each in errors:
        assert_masked(each)
    outbox.close()


@pytest.mark.asyncio
async def test_draining_that_ends_in_an_error(server: FakeSendX, tmp_path: Path) -> None:
    server.respond(401, message=address(), times=None)
    async with client_of(server) as client:
        with Outbox(tmp_path / "o.db", synchronous="NORMAL") as outbox:
            await outbox.put(mapping())
            with pytest.raises(SendXError) as caught:
                await outbox.drain(client)
    assert_masked(caught.value)


@pytest.mark.asyncio
async def test_draining_that_finds_what_only_a_later_version_can_read(
    server: FakeSendX, tmp_path: Path
) -> None:
    path = tmp_path / "o.db"
    async with client_of(server) as client:
        with Outbox(path, synchronous="NORMAL") as outbox:
            await outbox.put(mapping())
            later = "UPDATE pending SET payload = replace(payload, 'version\":1', 'version\":9')"
            outbox._database.write(lambda connection: connection.execute(later))
            with pytest.raises(OutboxError, match="form 9") as caught:
                await outbox.drain(client)
    assert_masked(caught.value)


def test_an_import_of_a_bad_row(
    server: FakeSendX,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENDX_API_KEY", account()["api_key"])
    server.respond(422, message=address(), times=None)
    Path("c.csv").write_text(f"email,Phone\n{address()},{mapping()['custom_fields']['Phone']}\n")
    Path("c.csv").write_text(Path("c.csv").read_text() + f"{address()}@,1\n")
    # What may be done with a column is asked before; and why a row is refused is said by a dry run.
    for more in ([], ["--ignore-rest"], ["--ignore-rest", "--dry-run"]):
        main(["import", "c.csv", "--base-url", server.url, *more])
        said_by_it = capfd.readouterr()
        assert shown_in(said_by_it.err) == []
        # A preview is there to show what stands in the file.
        assert shown_in(said_by_it.out) == [] or "--dry-run" in more


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503])
def test_what_a_visitor_is_answered(server: FakeSendX, status: int) -> None:
    app = fastapi.FastAPI()
    add_sendx_error_handlers(app)

    @app.post("/")
    async def signup() -> None:
        async with client_of(server) as client:
            await client.identify_contact(mapping())

    @app.post("/bad")
    async def bad() -> None:
        async with client_of(server) as client:
            await client.identify_contact(mapping(email=address() + "@", **{address(): 1}))

    server.respond(status, message=said().decode(), times=None)
    with TestClient(app) as visitor:
        for path in ("/", "/bad"):
            answer = visitor.post(path)
            assert answer.status_code >= 400
            assert shown_in(answer.text + repr(answer.headers)) == []


@pytest.mark.asyncio
async def test_a_call_that_takes_longer_than_its_caller_waits(server: FakeSendX) -> None:
    server.black_hole(times=None)
    async with client_of(server) as client:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.2):
                await client.send(event())
    assert_masked(caught.value)
