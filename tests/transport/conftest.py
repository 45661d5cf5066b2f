"""What every test of the asyncio sockets runs in: each loop in turn, and a look at what is left."""

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from .loopback import LIMIT, Run
from .proxying import Server, ServeRaw

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
DESCRIPTORS = Path("/dev/fd")


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a test in a loop of its own, and fail it for anything left behind."""
    new_loop = LOOPS[request.param]
    new_loop().close()  # uvloop opens two descriptors with its first loop and keeps them
    gc.collect()
    open_before = len(list(DESCRIPTORS.iterdir()))
    complaints: list[dict[str, Any]] = []

    def run_in_loop(test: Callable[[], Awaitable[None]]) -> None:
        async def limited() -> None:
            asyncio.get_running_loop().set_exception_handler(
                lambda _, said: complaints.append(said)
            )
            async with asyncio.timeout(LIMIT):
                await test()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(limited())

    yield run_in_loop
    gc.collect()
    assert complaints == []
    assert len(list(DESCRIPTORS.iterdir())) == open_before


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def server(
    serve_raw: ServeRaw, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Server:
    """A TLS server that proxies lead to, whose authority SSL_CERT_FILE names."""
    authority = trustme.CA()
    bundle = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    return Server(serve_raw, authority)
