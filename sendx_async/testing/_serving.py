"""Serving the fake server on a loopback port: start, stop, start again, count the connections."""

import abc
import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

import attrs

from sendx_async.testing._endpoints import PREFIX
from sendx_async.testing._exchange import Message, Receive, Send
from sendx_async.testing._log import RequestLog

if TYPE_CHECKING:
    from sendx_async.testing._uvicorn import LoopbackServer


@attrs.frozen
class Connections:
    """TCP connections of the real server.

    Attributes:
        accepted: How many were accepted since the start or the last reset.
        open: How many are open now.
    """

    __module__ = "sendx_async.testing"

    accepted: int = 0
    open: int = 0


class Serving(abc.ABC):
    """Puts an ASGI app on a real port, by means of uvicorn (the extra ``sandbox``)."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._server: LoopbackServer | None = None
        self._address: tuple[str, int] | None = None
        self._connections = Connections()

    @abc.abstractmethod
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """The ASGI app itself."""

    @property
    def url(self) -> str:
        """The base URL, ``http://127.0.0.1:PORT/api/v1/rest``; it stays after a stop.

        Raises:
            RuntimeError: It has never been started.
        """
        if self._address is None:
            raise RuntimeError(
                "This FakeSendX has no URL yet: start it with start() or 'with fake.serving()'."
            )
        host, port = self._address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"

    @property
    def connections(self) -> Connections:
        """How many TCP connections were accepted, and how many are open now."""
        return self._connections

    def start(self, *, host: str = "127.0.0.1", port: int | None = None) -> str:
        """Listens on a real port and serves from a daemon thread.

        Args:
            host: The address to listen on.
            port: The port; 0 for one that is free. By default the port of last time, so that an
                outage is ``stop()`` and ``start()``; the first time one that is free.

        Returns:
            The base URL.

        Raises:
            RuntimeError: It is already serving.
            OSError: The port can't be had.
            ModuleNotFoundError: uvicorn isn't installed.
        """
        if self._server is not None:
            raise RuntimeError(f"This FakeSendX is already serving at {self.url}.")
        try:
            from sendx_async.testing._uvicorn import LoopbackServer  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "Serving FakeSendX on a port needs uvicorn: pip install 'sendx-async[sandbox]'"
            ) from error
        if port is None:
            port = 0 if self._address is None else self._address[1]
        self._server = LoopbackServer(
            self,
            host=host,
            port=port,
            opened=lambda: self._count(accepted=1, opened=1),
            closed=lambda: self._count(opened=-1),
        )
        self._address = (host, self._server.port)
        return self.url

    def stop(self, *, timeout: float = 20.0) -> None:
        """Closes the port and cuts every connection; what is held and scripted stays.

        Nothing happens if it isn't serving.

        Args:
            timeout: How many seconds the server's thread has to end.

        Raises:
            TimeoutError: The thread is stuck, most likely in a function of yours.
        """
        if self._server is not None:
            self._server.stop(timeout)
            self._server = None

    @contextlib.contextmanager
    def serving(self, *, host: str = "127.0.0.1", port: int | None = None) -> Generator[str]:
        """Serves on a real port inside a ``with`` block, which gets the base URL.

        Args:
            host: The address to listen on.
            port: The port, as in ``start()``.

        Raises:
            RuntimeError: It is already serving.
            OSError: The port can't be had.
            ModuleNotFoundError: uvicorn isn't installed.
        """
        url = self.start(host=host, port=port)
        try:
            yield url
        finally:
            self.stop()

    def close_connections(self, *, timeout: float = 20.0) -> None:
        """Closes every open connection, idle ones too, and goes on serving.

        It returns when they are closed, and does nothing if it isn't serving.

        Args:
            timeout: How many seconds that may take.

        Raises:
            TimeoutError: Some connection is still open.
        """
        if self._server is not None:
            self._server.close_connections()
            self._log.wait_for(lambda: self._connections.open == 0, timeout)

    def _count(self, *, accepted: int = 0, opened: int) -> None:
        self._log.change(lambda: self._count_here(accepted, opened))

    def _count_here(self, accepted: int, opened: int) -> None:
        before = self._connections
        self._connections = Connections(before.accepted + accepted, before.open + opened)
