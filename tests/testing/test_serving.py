"""FakeSendX on a real port: starting, stopping, outages, connections, and what it leaves behind."""

import contextlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from sendx_async.testing import Connections, FakeSendX

JANE = "jane@example.com"


@pytest.fixture
def fake() -> Iterator[FakeSendX]:
    fake = FakeSendX()
    yield fake
    fake.stop()


def identify(fake: FakeSendX, client: httpx.Client) -> httpx.Response:
    return client.post(
        f"{fake.url}/contact/identify",
        json={"email": JANE},
        headers={"X-Team-ApiKey": fake.api_key},
    )


def address(fake: FakeSendX) -> tuple[str, int]:
    url = httpx.URL(fake.url)
    assert url.port is not None
    return url.host, url.port


def test_serving_yields_the_base_url_and_frees_the_port(fake: FakeSendX) -> None:
    with fake.serving() as url, httpx.Client() as client:
        assert url == fake.url
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/api/v1/rest")
        assert identify(fake, client).is_success
        assert repr(fake) == f"<FakeSendX {url}, 1 contacts, 1 requests>"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address(fake), timeout=20)
    assert fake.contact(JANE).email == JANE


def test_there_is_no_url_before_the_first_start(fake: FakeSendX) -> None:
    with pytest.raises(RuntimeError, match="no URL yet"):
        _ = fake.url
    fake.stop()


def test_starting_twice_is_refused(fake: FakeSendX) -> None:
    url = fake.start()
    with pytest.raises(RuntimeError, match=f"already serving at {url}"):
        fake.start()


def test_an_outage_ends_on_the_same_port(fake: FakeSendX) -> None:
    with fake.serving() as url, httpx.Client() as client:
        assert identify(fake, client).is_success
        fake.respond(503)
        fake.stop()
        assert fake.url == url
        with pytest.raises(httpx.TransportError):
            identify(fake, client)
        assert fake.start() == url
        assert identify(fake, client).status_code == 503
        assert identify(fake, client).is_success


def test_a_port_can_be_asked_for(fake: FakeSendX) -> None:
    with fake.serving() as first:
        pass
    port = address(fake)[1]
    with fake.serving(port=port) as again:
        assert again == first
        with pytest.raises(OSError, match=r"[Aa]ddress already in use|Only one usage"):
            FakeSendX().start(port=port)


def test_ipv6(fake: FakeSendX) -> None:
    try:
        url = fake.start(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    assert url.startswith("http://[::1]:")
    with httpx.Client() as client:
        assert identify(fake, client).is_success


def test_connections_are_counted(fake: FakeSendX) -> None:
    assert fake.connections == Connections(accepted=0, open=0)
    fake.start()
    with httpx.Client() as client:
        identify(fake, client)
        identify(fake, client)
        assert fake.connections == Connections(accepted=1, open=1)
        with httpx.Client() as other:
            identify(fake, other)
            assert fake.connections == Connections(accepted=2, open=2)
    fake.wait_for(lambda: fake.connections.open == 0)
    assert fake.connections.accepted == 2


def test_close_connections_closes_idle_ones_and_goes_on_serving(fake: FakeSendX) -> None:
    fake.start()
    with socket.create_connection(address(fake), timeout=20) as idle:
        fake.wait_for(lambda: fake.connections.open == 1)
        fake.close_connections()
        assert fake.connections == Connections(accepted=1, open=0)
        assert idle.recv(1) == b""
    with httpx.Client() as client:
        assert identify(fake, client).is_success


def test_close_connections_of_a_server_that_is_off(fake: FakeSendX) -> None:
    fake.close_connections()
    assert fake.connections == Connections()


def test_stop_does_not_wait_for_clients(fake: FakeSendX, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    fake.start()
    fake.black_hole()
    fake.drip(path="track")
    failures: list[httpx.TransportError] = []

    def post(path: str) -> None:
        with httpx.Client(timeout=120) as client:
            try:
                client.post(
                    f"{fake.url}/contact/{path}",
                    json={"email": JANE},
                    headers={"X-Team-ApiKey": fake.api_key},
                )
            except httpx.TransportError as error:
                failures.append(error)

    threads = [threading.Thread(target=post, args=(path,)) for path in ("identify", "track")]
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_connection(address(fake), timeout=20))
        half = stack.enter_context(socket.create_connection(address(fake), timeout=20))
        half.sendall(b"POST /contact/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        threads[0].start()
        fake.wait_for(lambda: len(fake.requests) == 1)
        threads[1].start()
        fake.wait_for(lambda: len(fake.requests) == 2 and fake.connections.open == 4)
        fake.stop()
        for thread in threads:
            thread.join()
    assert len(failures) == 2
    assert not any(isinstance(failure, httpx.TimeoutException) for failure in failures)
    assert all(request.disconnected for request in fake.requests)
    assert fake.connections.open == 0
    assert caplog.records == []


def test_stop_while_clients_keep_coming(fake: FakeSendX) -> None:
    fake.start()
    for _ in range(20):
        with contextlib.ExitStack() as clients:
            for _ in range(20):
                clients.enter_context(socket.create_connection(address(fake), timeout=20))
            fake.stop()
            assert fake.connections.open == 0
            fake.start()


def test_waiting_ends_as_soon_as_a_request_has_arrived(fake: FakeSendX) -> None:
    fake.start()
    fake.black_hole()

    def post() -> None:
        with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=60) as client:
            identify(fake, client)

    thread = threading.Thread(target=post)

    def arrived() -> int:
        if thread.ident is None:
            thread.start()  # Here the fake is locked: the request can't come before the wait.
        return len(fake.requests)

    assert fake.wait_for(arrived, timeout=3600) == 1
    fake.stop()
    thread.join()


def test_stop_says_when_it_cannot(fake: FakeSendX) -> None:
    entered, release = threading.Event(), threading.Event()

    def stuck() -> float:
        entered.set()
        release.wait(30)
        return 0.0

    fake.latency = stuck
    fake.start()
    with socket.create_connection(address(fake), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert entered.wait(20)
        with pytest.raises(TimeoutError, match=r"didn't stop within 0\.01 s"):
            fake.stop(timeout=0.01)
        release.set()
        fake.stop()


def test_a_chunked_request_is_read_whole(fake: FakeSendX) -> None:
    fake.start()
    with httpx.Client() as client:
        answer = client.post(
            f"{fake.url}/contact/identify",
            content=iter([b'{"email":', b'"jane@example.com"}']),
            headers={"X-Team-ApiKey": fake.api_key},
        )
    assert answer.is_success
    assert fake.requests[0].headers["transfer-encoding"] == "chunked"
    assert fake.requests[0].json == {"email": JANE}


def test_what_is_no_http_is_refused_and_the_server_lives_on(fake: FakeSendX) -> None:
    fake.start()
    with socket.create_connection(address(fake), timeout=20) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400")
    with httpx.Client() as client_again:
        assert identify(fake, client_again).is_success


def test_many_clients_at_once(fake: FakeSendX) -> None:
    fake.start()

    def post(number: int) -> None:
        with httpx.Client() as client:
            for _ in range(5):
                client.post(
                    f"{fake.url}/contact/identify",
                    json={"email": JANE, "tags": [str(number)], "customFields": {"n": "++1"}},
                    headers={"X-Team-ApiKey": fake.api_key},
                )

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.contact(JANE).custom_fields == {"n": "40"}
    assert len(fake.contact(JANE).tags) == 8


def test_without_uvicorn_the_extra_is_named(
    fake: FakeSendX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "sendx_async.testing._uvicorn", raising=False)
    monkeypatch.delattr("sendx_async.testing._uvicorn", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn.config", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sendx-async\[sandbox\]'"):
        fake.start()


@pytest.mark.slow
def test_importing_and_building_it_is_light() -> None:
    code = """
import sys
from sendx_async.testing import FakeSendX
FakeSendX()
print([name for name in ("uvicorn", "httpx", "pytest", "anyio", "asyncio") if name in sys.modules])
"""
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=150
    )
    assert out.stdout.strip() == "[]"
