"""The FastAPI integration behind a real server: many visitors, stops, outages, lost visitors."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from sendx_async import AsyncTrackingClient
from sendx_async.fastapi import SendX, SendXOutbox, add_sendx_error_handlers, sendx_lifespan
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

LIMIT = 120.0


class Server(uvicorn.Server):
    """A server in a thread that tells when it is up."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, ws="none"))
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self.run, args=([self._socket],))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._is_up.set()

    def begin(self) -> None:
        self._thread.start()
        assert self._is_up.wait(LIMIT)

    def end(self) -> None:
        self.should_exit = True
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()
        self._socket.close()


Serve = Callable[[FastAPI], AbstractContextManager[Server]]


@pytest.fixture
def serve() -> Serve:
    """Serve an application on a port of its own."""

    @contextlib.contextmanager
    def serve(app: FastAPI) -> Iterator[Server]:
        server = Server(app)
        server.begin()
        try:
            yield server
        finally:
            server.end()

    return serve


@pytest.fixture
def made() -> list[AsyncTrackingClient]:
    """Clients that the application made."""
    return []


@pytest.fixture
def arrivals() -> threading.Semaphore:
    """One for each visitor that the application has let in."""
    return threading.Semaphore(0)


@pytest.fixture
def app(
    fake_sendx: FakeSendX,
    made: list[AsyncTrackingClient],
    arrivals: threading.Semaphore,
    tmp_path: Path,
) -> FastAPI:
    """An application with all that there is, and five connections."""

    def make() -> AsyncTrackingClient:
        made.append(
            AsyncTrackingClient(fake_sendx.api_key, base_url=fake_sendx.url, max_connections=5)
        )
        return made[-1]

    app = FastAPI(lifespan=sendx_lifespan(client=make, outbox=tmp_path / "sendx.db"))
    add_sendx_error_handlers(app)

    @app.post("/signup")
    async def signup(email: str, sendx: SendX) -> None:
        arrivals.release()
        await sendx.identify_contact({"email": email})

    @app.post("/later", status_code=202)
    async def later(email: str, outbox: SendXOutbox) -> None:
        await outbox.put({"email": email})

    return app


def sign_up(url: str, first: int, count: int, path: str = "/signup") -> list[int]:
    """Let so many visitors sign up at once, each over a connection of his own."""

    async def visit() -> list[int]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=LIMIT, limits=limits) as visitors:
            answers = await asyncio.gather(
                *(visitors.post(path, params={"email": email}) for email in emails(first, count))
            )
        return [answer.status_code for answer in answers]

    return anyio.run(visit)


def emails(first: int, count: int) -> list[str]:
    return [f"visitor{number}@example.com" for number in range(first, first + count)]


def test_two_hundred_visitors_share_a_few_connections(
    fake_sendx: FakeSendX, app: FastAPI, made: list[AsyncTrackingClient], serve: Serve
) -> None:
    with serve(app) as server:
        assert sign_up(server.url, 0, 200) == [200] * 200
        assert 1 <= fake_sendx.connections.accepted <= 5
    assert set(fake_sendx.contacts) == set(emails(0, 200))
    assert len(fake_sendx.requests) == 200
    assert [client.is_closed for client in made] == [True]
    fake_sendx.wait_for(lambda: fake_sendx.connections.open == 0, LIMIT)


def test_a_stop_lets_requests_under_way_end(
    fake_sendx: FakeSendX,
    app: FastAPI,
    made: list[AsyncTrackingClient],
    arrivals: threading.Semaphore,
    serve: Serve,
) -> None:
    may_answer = threading.Event()
    fake_sendx.latency = lambda: 0.0 if may_answer.wait(LIMIT) else LIMIT
    statuses: list[int] = []
    with serve(app) as server:
        visitors = threading.Thread(target=lambda: statuses.extend(sign_up(server.url, 0, 20)))
        visitors.start()
        assert all(arrivals.acquire(timeout=LIMIT) for _ in range(20))
        server.should_exit = True
        may_answer.set()
        visitors.join(LIMIT)
    assert statuses == [200] * 20
    assert set(fake_sendx.contacts) == set(emails(0, 20))
    assert [client.is_closed for client in made] == [True]


def test_one_application_is_served_again(
    fake_sendx: FakeSendX, app: FastAPI, made: list[AsyncTrackingClient], serve: Serve
) -> None:
    for start in range(3):
        with serve(app) as server:
            assert sign_up(server.url, start * 10, 10) == [200] * 10
    assert len(made) == 3
    assert len(fake_sendx.contacts) == 30


def test_what_is_put_in_an_outage_is_delivered_after_it(
    fake_sendx: FakeSendX, app: FastAPI, serve: Serve, tmp_path: Path
) -> None:
    with serve(app) as server:
        fake_sendx.stop()
        assert sign_up(server.url, 0, 20, "/later") == [202] * 20
    with Outbox(tmp_path / "sendx.db") as outbox:
        assert outbox.stats().pending == 20
    with serve(app) as server:
        assert sign_up(server.url, 20, 20, "/later") == [202] * 20
        fake_sendx.start()
        fake_sendx.wait_for(lambda: len(fake_sendx.contacts) == 40, LIMIT)
    assert set(fake_sendx.contacts) == set(emails(0, 40))
    with Outbox(tmp_path / "sendx.db") as outbox:
        stats = outbox.stats()
    assert (stats.pending, stats.dead, stats.uncertain) == (0, 0, 0)


def test_visitors_who_leave_do_no_harm(
    fake_sendx: FakeSendX, app: FastAPI, arrivals: threading.Semaphore, serve: Serve
) -> None:
    with serve(app) as server:
        port = int(server.url.rpartition(":")[2])
        for turn in range(3):
            fake_sendx.latency = 0.05
            leavers = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
            for number, leaver in enumerate(leavers):
                path = f"/signup?email=leaver{turn}-{number}@example.com"
                leaver.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            assert all(arrivals.acquire(timeout=LIMIT) for _ in range(10))
            for leaver in leavers:
                leaver.close()
            assert sign_up(server.url, turn * 10, 10) == [200] * 10
            assert all(arrivals.acquire(timeout=LIMIT) for _ in range(10))
        assert fake_sendx.connections.accepted <= 5
    assert set(emails(0, 30)) <= fake_sendx.contacts.keys()
