"""Connecting: which address, from where, for how long, and what is left when it fails."""

import asyncio
import contextlib
import errno
import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpcore
import pytest

from sendx_async import AsyncTrackingClient, ConnectError, RetryPolicy
from sendx_async._transport.sockets import AsyncioBackend
from tests.waiting import until

from .loopback import LIMIT, Run, cancelled, suspended

HOST = "127.0.0.1"
LOOK_UP = "sendx_async look-up"


@contextlib.contextmanager
def listening() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Listen with a full queue: the system leaves further attempts to connect unanswered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(0)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """Bind a port and don't listen, so that nobody else can get it."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        yield bound.getsockname()[1]


Resolve = Callable[..., None]


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Let the system find the given addresses for the name `api.example`."""
    ask_system = socket.getaddrinfo

    def resolve(*addresses: tuple[str, int]) -> None:
        def getaddrinfo(host: str, port: int, *, flags: int = 0, **options: Any) -> Any:
            if host != "api.example" or flags & socket.AI_NUMERICHOST:
                return ask_system(host, port, flags=flags, **options)
            return [
                (
                    socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                    socket.SOCK_STREAM,
                    socket.IPPROTO_TCP,
                    "",
                    address,
                )
                for address in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return resolve


def test_what_a_connection_knows_about_itself(run: Run) -> None:
    async def test() -> None:
        with listening() as port:
            options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
            stream = await AsyncioBackend().connect_tcp(
                HOST, port, timeout=LIMIT, local_address=HOST, socket_options=options
            )
            assert stream.get_extra_info("server_addr") == (HOST, port)
            assert stream.get_extra_info("client_addr")[0] == HOST
            assert stream.get_extra_info("ssl_object") is None
            assert stream.get_extra_info("colour") is None
            sock = stream.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert stream.get_extra_info("is_readable") is False
            await stream.aclose()
            await stream.aclose()
            assert stream.get_extra_info("is_readable") is True
            assert stream.get_extra_info("server_addr") is None

    run(test)


def test_nobody_listens(run: Run) -> None:
    async def test() -> None:
        with refusing() as port:
            message = rf"No connection to 127\.0\.0\.1 port {port}: Connection refused"
            with pytest.raises(httpcore.ConnectError, match=message):
                await AsyncioBackend().connect_tcp(HOST, port)

    run(test)


def test_httpcore_tries_again_after_a_pause(run: Run) -> None:
    async def test() -> None:
        with refusing() as port:
            pool = httpcore.AsyncConnectionPool(network_backend=AsyncioBackend(), retries=1)
            async with pool:
                with pytest.raises(httpcore.ConnectError):
                    await pool.request("GET", f"http://{HOST}:{port}/")

    run(test)


@pytest.mark.parametrize(
    "options, number",
    [
        ({"local_address": "192.0.2.1"}, errno.EADDRNOTAVAIL),
        ({"socket_options": [(socket.SOL_SOCKET, 9999, 1)]}, errno.ENOPROTOOPT),
    ],
)
def test_settings_that_the_system_refuses(run: Run, options: dict[str, Any], number: int) -> None:
    async def test() -> None:
        with listening() as port, pytest.raises(httpcore.ConnectError, match=os.strerror(number)):
            await AsyncioBackend().connect_tcp(HOST, port, **options)

    run(test)


def test_settings_of_the_wrong_type_are_not_taken_for_a_network_failure(run: Run) -> None:
    async def test() -> None:
        options: Any = [("level", "name", "value")]
        with listening() as port, pytest.raises(TypeError):
            await AsyncioBackend().connect_tcp(HOST, port, socket_options=options)

    run(test)


def test_a_name_that_can_be_none(run: Run) -> None:
    async def test() -> None:
        with pytest.raises(httpcore.ConnectError, match=r"No connection to a\.\.b port 1: .*label"):
            await AsyncioBackend().connect_tcp("a..b", 1)

    run(test)


def test_a_name_that_nobody_knows(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def test() -> None:
        with pytest.raises(httpcore.ConnectError, match="Name or service not known"):
            await AsyncioBackend().connect_tcp("api.example", 1)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    run(test)


@pytest.mark.parametrize(
    "backend,always,odd",
    [
        ("asyncio", True, ValueError),
        ("asyncio", False, ValueError),
        ("asyncio", False, RuntimeError),
        ("asyncio", False, StopIteration),
        ("asyncio", False, SystemExit),
        ("trio", True, ValueError),
        ("trio", True, StopIteration),
    ],
)
def test_whatever_a_resolver_raises_that_was_replaced_ends_the_call(
    monkeypatch: pytest.MonkeyPatch, backend: str, odd: type[BaseException], *, always: bool
) -> None:
    def fail(*_: Any, flags: int = 0, **__: Any) -> Any:
        if flags & socket.AI_NUMERICHOST and not always:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise odd("of a test")

    async def main() -> None:
        retry = RetryPolicy(max_retries=0)
        async with AsyncTrackingClient("key", base_url=url, retry=retry, timeout=LIMIT) as client:
            with pytest.raises(ConnectError, match=odd.__name__) as caught:
                await client.identify_contact({"email": "jane@example.com"}, deadline=None)
        assert not caught.value.maybe_delivered

    url = "https://api.example"
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    anyio.run(main, backend=backend)


def test_a_name_is_looked_up_when_no_thread_can_be_started_any_more(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    async def test() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        stream = await AsyncioBackend().connect_tcp("localhost", port, timeout=LIMIT)
        assert stream.get_extra_info("server_addr") == (HOST, port)
        await stream.aclose()

    with listening() as port:
        run(test)


def test_looking_up_a_name_is_part_of_the_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_system = socket.getaddrinfo
    timed_out = threading.Event()

    def hang(host: str, port: int, *, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            return ask_system(host, port, flags=flags, **options)
        timed_out.wait(LIMIT)
        return []

    async def test() -> None:
        with pytest.raises(httpcore.ConnectTimeout, match=r"api\.example port 1 in 0\.01 s"):
            await AsyncioBackend().connect_tcp("api.example", 1, timeout=0.01)
        before = set(threading.enumerate())
        timed_out.set()
        # The answer that comes too late disturbs nobody.
        await until(lambda: not any(t.name == LOOK_UP for t in before if t.is_alive()))

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    run(test)


def test_an_answer_after_the_end_of_the_loop_disturbs_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_system = socket.getaddrinfo
    loop_has_ended = threading.Event()
    asked = threading.Event()
    threads: list[threading.Thread] = []

    def hang(host: str, port: int, *, flags: int = 0, **options: Any) -> Any:
        if flags & socket.AI_NUMERICHOST:
            return ask_system(host, port, flags=flags, **options)
        threads.append(threading.current_thread())
        asked.set()
        loop_has_ended.wait(LIMIT)
        return []

    async def test() -> None:
        with pytest.raises(httpcore.ConnectTimeout):
            await AsyncioBackend().connect_tcp("api.example", 1, timeout=0.05)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    run(test)
    assert asked.wait(LIMIT)
    loop_has_ended.set()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()


def test_a_server_that_does_not_answer(run: Run) -> None:
    async def test() -> None:
        with silent() as port:
            with pytest.raises(httpcore.ConnectTimeout, match=rf"port {port} in 0\.05 s"):
                await AsyncioBackend().connect_tcp(HOST, port, timeout=0.05)
            task = asyncio.create_task(AsyncioBackend().connect_tcp(HOST, port))
            await suspended(task)
            await cancelled(task)

    run(test)


def test_cancelling_after_any_number_of_turns_of_the_loop_leaves_nothing(run: Run) -> None:
    async def test() -> None:
        with listening() as port:
            for turns in itertools.count():
                task = asyncio.create_task(AsyncioBackend().connect_tcp(HOST, port))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if task.done():
                    await task.result().aclose()
                    break
                await cancelled(task)

    run(test)


def test_a_silent_address_does_not_keep_the_next_waiting(run: Run, resolve_to: Resolve) -> None:
    async def test() -> None:
        with silent() as silent_port, listening() as port:
            resolve_to((HOST, silent_port), (HOST, port))
            stream = await AsyncioBackend().connect_tcp("api.example", 443, timeout=LIMIT)
            assert stream.get_extra_info("server_addr") == (HOST, port)
            # The attempt that lost is over long before the loop is.
            await until(lambda: len(asyncio.all_tasks()) == 1)
            await stream.aclose()

    run(test)


def test_an_address_that_refuses_does_not_keep_the_next_waiting(
    run: Run, resolve_to: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async._transport.sockets._HEAD_START", 2 * LIMIT)

    async def test() -> None:
        with refusing() as refusing_port, listening() as port:
            resolve_to((HOST, refusing_port), (HOST, port))
            stream = await AsyncioBackend().connect_tcp("api.example", 443, timeout=LIMIT)
            assert stream.get_extra_info("server_addr") == (HOST, port)
            await stream.aclose()

    run(test)


def test_families_take_turns_and_every_failure_is_told(run: Run, resolve_to: Resolve) -> None:
    async def test() -> None:
        with refusing() as port:
            resolve_to(("::1", port), ("::1", port), (HOST, port))
            with pytest.raises(
                httpcore.ConnectError, match=r"\(::1\); .*\(127\.0\.0\.1\); .*\(::1\)$"
            ):
                await AsyncioBackend().connect_tcp("api.example", 443)

    run(test)


def test_while_an_address_is_silent_there_is_hope(
    run: Run, resolve_to: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sendx_async._transport.sockets._HEAD_START", 0.01)

    async def test() -> None:
        with silent() as one, silent() as two, refusing() as three:
            resolve_to((HOST, one), (HOST, two), (HOST, three))
            with pytest.raises(httpcore.ConnectTimeout):
                await AsyncioBackend().connect_tcp("api.example", 443, timeout=0.3)

    run(test)


def test_of_two_that_answer_at_once_one_is_closed(run: Run, resolve_to: Resolve) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect
        everyone_is_here = asyncio.Event()
        here: list[socket.socket] = []

        async def connect_together(sock: socket.socket, address: Any) -> None:
            await connect(sock, address)
            here.append(sock)
            if len(here) == 2:
                everyone_is_here.set()
            await everyone_is_here.wait()

        loop.sock_connect = connect_together  # type: ignore[method-assign]
        with listening() as one, listening() as two:
            resolve_to((HOST, one), (HOST, two))
            stream = await AsyncioBackend().connect_tcp("api.example", 443)
            await asyncio.sleep(0)
            assert sorted(sock.fileno() < 0 for sock in here) == [False, True]
            await stream.aclose()

    run(test)
