"""The fake server on a real port: uvicorn's HTTP/1.1 protocol in a thread with a loop of its own.

uvicorn's ``Server`` is left out on purpose: it polls, and waits for clients that may never leave.
Here the listening socket is ours, and stopping cuts every connection, so nothing is left to wait
for.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from sendx_async._runtime.loops import keep_real_time
from sendx_async.testing._exchange import ABORT, Message, Receive, Send

App = Callable[[Message, Receive, Send], Awaitable[None]]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048  # With asyncio's 100, a storm of new connections makes some wait for a second.
_LAST_STEPS_SECONDS = 2.0


class _Protocol(H11Protocol):
    """One connection: counts itself, and lets the app cut it."""

    def __init__(
        self, *, opened: Callable[[], None], closed: Callable[[], None], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._opened = opened
        self._closed = closed
        self._inner = cast("App", self.app)
        self.app = cast("Any", self._run)
        self.access_log = False

    async def _run(self, scope: Message, receive: Receive, send: Send) -> None:
        scope["extensions"] = {ABORT: self.cut}
        await self._inner(scope, receive, send)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._opened()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # asyncio closes the socket right after this; whoever counts wants it closed.
        asyncio.get_running_loop().call_soon(self._closed)

    def cut(self, reset: bool = False) -> None:  # noqa: FBT001, FBT002 - an ASGI extension's form
        """Closes the connection now, whatever is under way."""
        if reset and not self.transport.is_closing():
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class LoopbackServer:
    """An ASGI app served from a daemon thread, from construction until ``stop``.

    Args:
        app: The ASGI app.
        host: The address to listen on.
        port: The port; 0 for one that is free.
        opened: Called in the server's thread for every connection accepted.
        closed: Called in the server's thread for every connection closed.

    Raises:
        OSError: The port can't be had.
    """

    def __init__(
        self,
        app: App,
        *,
        host: str,
        port: int,
        opened: Callable[[], None],
        closed: Callable[[], None],
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # It listens from here on: a client that comes before the loop runs waits in the backlog.
        self._socket = socket.create_server((host, port), family=family)
        # Head and body are sent one after the other: without this the second waits for the client
        # to acknowledge the first, some 40 ms. asyncio sees to it for sockets of its own only.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self._config = Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._opened = opened
        self._closed = closed
        # One known kind of loop, whatever policy the application under test has set.
        self._loop = asyncio.SelectorEventLoop()
        keep_real_time(self._loop)
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="FakeSendX", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Closes the port and cuts every connection.

        Raises:
            TimeoutError: The server's thread is still busy after this many seconds.
        """
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(
                f"The fake server didn't stop within {timeout:g} s: something blocks its thread, "
                "probably a function given as latency or on_request."
            )

    def close_connections(self) -> None:
        """Closes every connection and goes on listening; returns when it is asked for, not done."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        listener = await self._loop.create_server(
            self._connection, sock=self._socket, backlog=_BACKLOG
        )
        await self._stopping.wait()
        # Accept no more, but close later: asyncio leaks a connection that is accepted and not yet
        # set up when its listener is closed.
        self._loop.remove_reader(self._socket)
        # Once its connection is cut a task reads http.disconnect and ends by itself, in a few turns
        # of the loop; cancelling it would make uvicorn log a traceback.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_STEPS_SECONDS):
                while self._state.connections or len(asyncio.all_tasks()) > 1:
                    self._cut_all()
                    await asyncio.sleep(0)
        listener.close()

    def _connection(self) -> _Protocol:
        return _Protocol(
            opened=self._opened,
            closed=self._closed,
            config=self._config,
            server_state=self._state,
            app_state={},
        )

    def _cut_all(self) -> None:
        for connection in list(self._state.connections):
            cast("_Protocol", connection).cut()
