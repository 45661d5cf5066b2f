"""TLS contexts: one for each set of certificates, made in a thread and shared by all clients.

Reading the certificates takes 50 to 80 ms, in which an event loop would stand still, and close to
a MiB. Nothing changes a context once it is made.
"""

import contextlib
import functools
import os
import ssl
from typing import TYPE_CHECKING

import anyio
import httpx

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.events import logger
from sendx_async._core.forks import around_forks
from sendx_async._runtime.background import start_thread
from sendx_async._runtime.loops import run_soon_in_this_loop

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_SECONDS_TO_WAIT = 1.0  # at a fork

Settings = tuple[str, str, str]
Version = tuple[int, int, int] | None


class _Making:
    """A context in the making, or made; the thread's side and the waiting one need no lock.

    Attributes:
        version: What told the certificates apart from others when this began.
        process: The process whose thread makes it.
        thread: The thread, when it was started.
        is_over: Whether it is made, or can't be.
        context: The context.
        problem: Why there is none.
    """

    def __init__(self, version: Version) -> None:
        self.version = version
        self.process = os.getpid()
        self.thread: threading.Thread | None = None
        self.is_over = False
        self.context: ssl.SSLContext | None = None
        self.problem = ""
        self._waiting: list[Callable[[], object]] = []

    async def wait(self) -> None:
        """Wait until it is over; whoever is cancelled leaves it to the others."""
        is_over = anyio.Event()
        self._waiting.append(functools.partial(run_soon_in_this_loop(), is_over.set))
        # In this order, and that of `end`, at least one side sees what the other has written.
        if not self.is_over:
            await is_over.wait()

    def end(self) -> None:
        """Wake all who wait."""
        self.is_over = True
        while self._waiting:
            with contextlib.suppress(RuntimeError):  # its loop is closed
                self._waiting.pop()()


class TlsContexts:
    """The contexts of this process, by what the environment says of certificates."""

    def __init__(self) -> None:
        self._made: dict[Settings, _Making] = {}
        self._under_way: dict[Settings, _Making] = {}

    async def get(self) -> ssl.SSLContext:
        """Return the context for the certificates that the environment names now.

        If their file was replaced since the last connection they are read again. If that fails,
        those of before count until it is replaced once more.

        Raises:
            ConfigurationError: They can't be read.
        """
        settings = _settings()
        version = _version(settings[0] or settings[1])
        made = self._made.get(settings)
        if made is None or made.version != version:
            made = self._under_way.get(settings)
            if made is None or made.process != os.getpid():  # a fork has left the thread behind
                made = self._under_way[settings] = _Making(version)
            if made.thread is None:
                make = functools.partial(self._make, made, settings)
                made.thread = start_thread(make, name="sendx_async certificates")
            await made.wait()
        if made.context is None:
            raise ConfigurationError(made.problem)
        return made.context

    def _make(self, making: _Making, settings: Settings) -> None:
        before = self._made.get(settings)
        try:
            making.context = _read(settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, or calls would wait for ever
            making.problem = _problem(error, settings)
            if before is not None:
                logger.warning("%s; those that were read before still count", making.problem)
                making.context = before.context
        if making.context is not None:
            self._made[settings] = making
        self._under_way.pop(settings, None)
        making.end()

    def join(self) -> None:
        """Wait for what is under way: OpenSSL is better not forked while it reads."""
        threads = [making.thread for making in list(self._under_way.values())]
        for thread in filter(None, threads):
            thread.join(_SECONDS_TO_WAIT)


def _settings() -> Settings:
    file, directory, key_log = (os.environ.get(name, "") for name in _VARIABLES)
    return file, directory, key_log


def _version(path: str) -> Version:
    """Return what tells the content of a file or a directory apart from what it was or will be."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path takes longer than the question
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(settings: Settings) -> ssl.SSLContext:
    """Make the context that httpx would make; ``ssl`` itself looks at SSLKEYLOGFILE."""
    file, directory, _ = settings
    if file:
        return ssl.create_default_context(cafile=file)
    if directory:
        return ssl.create_default_context(capath=directory)
    return httpx.create_ssl_context(trust_env=False)


def _problem(error: Exception, settings: Settings) -> str:
    key_log = settings[2]
    if isinstance(error, OSError) and key_log and error.filename == key_log:
        return f"the file that SSLKEYLOGFILE names can't be written: {error.strerror}"
    return (
        "the certificates to verify servers with can't be read: check SSL_CERT_FILE and "
        f"SSL_CERT_DIR ({type(error).__name__}: {error})"
    )


# One per process by design: certificates are the same for all clients.
tls_contexts = TlsContexts()
around_forks(before=tls_contexts.join)
