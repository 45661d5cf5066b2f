"""Opens one client, and an outbox if asked to, for as long as an application runs."""

import inspect
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, NotRequired, TypedDict, Unpack, cast

import httpx
from fastapi import FastAPI

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import ConfigurationError
from sendx_async._core.events import Event
from sendx_async._core.options import Rate, RetryPolicy, Timeout
from sendx_async._core.wrong_types import type_name
from sendx_async._runtime.clock import Clock
from sendx_async._transport.borrowed import Httpx2Client
from sendx_async.outbox import Outbox


class SendXState(TypedDict):
    """What `sendx_lifespan` gives to the application's state, where the dependencies find it.

    An application that opens a client itself may yield this from its own lifespan; the
    dependencies take it from there just as well.

    Attributes:
        sendx: The client, open.
        sendx_outbox: The outbox, open; missing if there is none.
    """

    sendx: AsyncTrackingClient
    sendx_outbox: NotRequired[Outbox]


SendXState.__module__ = "sendx_async.fastapi"


class NewClientOptions(TypedDict, total=False):
    """The arguments of `AsyncTrackingClient`, which explains them."""

    api_key: str | None
    base_url: str | None
    api_key_prefix: str | None
    timeout: float | Timeout
    deadline: float | None
    retry: RetryPolicy
    max_connections: int
    rate: Rate | None
    headers: Mapping[str, str] | None
    http_client: httpx.AsyncClient | Httpx2Client | None
    on_event: Callable[[Event], object] | None
    batch_identify: bool
    clock: Clock | None


OwnLifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def sendx_lifespan(
    lifespan: OwnLifespan | None = None,
    /,
    *,
    client: Callable[[], AsyncTrackingClient] | None = None,
    outbox: str | os.PathLike[str] | Callable[[], Outbox] | None = None,
    drain: bool = True,
    **client_options: Unpack[NewClientOptions],
) -> Callable[[FastAPI], AbstractAsyncContextManager[SendXState]]:
    """Make a lifespan that opens a client at the start of an application and closes it at the end.

    Use it as ``FastAPI(lifespan=sendx_lifespan())``. Each start makes a new client, in each worker
    process; handlers of routers, mounted applications and WebSockets all get the same one, by the
    types `SendX` and `SendXOutbox`. A missing or malformed key ends the start with an error.
    Whether SendX accepts the key is not asked, so that an application starts while SendX is down;
    the command ``sendx check`` asks.

    A lifespan of the application's own goes inside: it begins when the client is open, and ends
    before the client is closed. One that needs the client while it starts is composed by hand::

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[SendXState]:
            async with sendx_lifespan(timeout=5)(app) as state:
                await state["sendx"].track_custom_event({...})
                yield state  # or {**state, "more": ...}

    With an outbox each worker process opens the file and takes part in draining it: one of them
    drains, and another one takes over when that one ends. At the end requests under way get five
    seconds; what is left is delivered after the next start.

    Args:
        lifespan: The application's own lifespan; what it yields is added to the state.
        client: A function that makes the client, for settings that are known at the start only.
            Default: ``AsyncTrackingClient(**client_options)``.
        outbox: The path of an outbox, or a function that makes an `Outbox` with options of its
            own. Default: none.
        drain: Whether the outbox is drained by this application. Default True; with False it is
            filled only, and ``sendx outbox drain FILE`` or another service drains it.
        **client_options: The arguments of `AsyncTrackingClient` by name, such as ``timeout=5``.

    Returns:
        What ``FastAPI(lifespan=...)`` takes: called with the application it gives an asynchronous
        context manager. Entering that raises ``ConfigurationError`` if a setting is missing or
        wrong, and ``OutboxError`` if the outbox can't be used.

    Raises:
        ConfigurationError: An argument is of the wrong kind.
        TypeError: There is no such option, or there are options beside ``client``.
    """
    try:
        _check_names(set(client_options), has_client=client is not None)
        make_client = _function("client", client) or _Maker(client_options)
    finally:
        del client_options  # it may hold the key, and tracebacks show the variables of a frame
    make_outbox = _outbox_maker(outbox)
    own_lifespan = _check_lifespan(lifespan)

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncGenerator[SendXState]:
        async with AsyncExitStack() as stack:
            sendx = await stack.enter_async_context(
                _made("client", make_client, AsyncTrackingClient)
            )
            state = SendXState(sendx=sendx)
            if make_outbox is not None:
                sendx_outbox = await stack.enter_async_context(_made("outbox", make_outbox, Outbox))
                state["sendx_outbox"] = sendx_outbox
                if drain:
                    await stack.enter_async_context(sendx_outbox.draining(sendx))
            if own_lifespan is not None:
                own = await stack.enter_async_context(own_lifespan(app))
                state = _merged(state, own or {})
            yield state

    return opened


sendx_lifespan.__module__ = "sendx_async.fastapi"


class _Maker:
    """Makes a client at each start; its repr doesn't show the options, which may hold the key."""

    def __init__(self, options: NewClientOptions) -> None:
        self._options = options

    def __call__(self) -> AsyncTrackingClient:
        return AsyncTrackingClient(**self._options)


def _check_names(given: set[str], *, has_client: bool) -> None:
    known = NewClientOptions.__optional_keys__
    if unknown := given - known:
        raise TypeError(
            f"sendx_lifespan has no option {min(unknown)!r}: besides client, outbox and drain it "
            f"takes {', '.join(sorted(known))}"
        )
    if given and has_client:
        raise TypeError(f"client makes the client, so give {min(given)} to it instead")


def _function(name: str, given: object) -> Callable[[], Any] | None:
    if given is None or callable(given):
        return given
    raise ConfigurationError(
        f"{name} must be a function that makes a new one at each start, got {type_name(given)}: "
        f"write {name}=lambda: ..."
    )


def _outbox_maker(given: object) -> Callable[[], Any] | None:
    if isinstance(given, (str, os.PathLike)):
        path = cast("str | os.PathLike[str]", given)
        return lambda: Outbox(path)
    return _function("outbox", given)


def _check_lifespan(given: object) -> OwnLifespan | None:
    if isinstance(given, FastAPI):
        raise ConfigurationError(
            "sendx_lifespan makes a lifespan: write FastAPI(lifespan=sendx_lifespan()), with the "
            "parentheses"
        )
    if given is None or (callable(given) and not inspect.isasyncgenfunction(given)):
        return cast("OwnLifespan | None", given)
    raise ConfigurationError(
        "lifespan must be a function with @asynccontextmanager above it, "
        f"got {'one without' if callable(given) else type_name(given)}"
    )


def _made(name: str, make: Callable[[], Any], kind: type[Any]) -> Any:
    made = make()
    if isinstance(made, kind):
        return made
    raise ConfigurationError(f"{name} must make an {kind.__name__}, it made {type_name(made)}")


def _merged(state: SendXState, own: Mapping[str, Any]) -> SendXState:
    taken = sorted(state.keys() & own.keys())
    if taken:
        raise ConfigurationError(
            f"the application's own lifespan yields {taken[0]!r}, which is the name of what "
            "sendx_lifespan yields: give it another name"
        )
    return cast("SendXState", {**state, **own})
