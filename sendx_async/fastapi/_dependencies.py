"""The dependencies by which handlers get the application's client and its outbox."""

from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends
from fastapi.requests import HTTPConnection

from sendx_async._clients.async_client import AsyncTrackingClient
from sendx_async._core.errors import ConfigurationError
from sendx_async.outbox import Outbox

FoundT = TypeVar("FoundT")


async def get_sendx(connection: HTTPConnection) -> AsyncTrackingClient:
    """Return the client that `sendx_lifespan` opened: the dependency behind the type `SendX`.

    A test puts another one in its place: ``app.dependency_overrides[get_sendx] = lambda: client``.
    Where nothing is injected, as in a middleware, call it: ``await get_sendx(request)``.

    Args:
        connection: The request or the WebSocket.

    Raises:
        ConfigurationError: The application has no client; the text says what to write.
    """
    return _found(connection, "sendx", AsyncTrackingClient, call="sendx_lifespan()")


get_sendx.__module__ = "sendx_async.fastapi"


async def get_sendx_outbox(connection: HTTPConnection) -> Outbox:
    """Return the outbox that `sendx_lifespan` opened: the dependency behind `SendXOutbox`.

    Args:
        connection: The request or the WebSocket.

    Raises:
        ConfigurationError: The application has no outbox; the text says what to write.
    """
    return _found(connection, "sendx_outbox", Outbox, call="sendx_lifespan(outbox='sendx.db')")


get_sendx_outbox.__module__ = "sendx_async.fastapi"


SendX: TypeAlias = Annotated[AsyncTrackingClient, Depends(get_sendx)]
"""The application's client, as the type of a handler's parameter: ``async def f(sendx: SendX)``.

A handler without ``async`` runs in a thread; there ``anyio.from_thread.run(sendx.identify_contact,
{...})`` makes a call.
"""

SendXOutbox: TypeAlias = Annotated[Outbox, Depends(get_sendx_outbox)]
"""The application's outbox; a handler without ``async`` uses its ``put_sync``."""


def _found(connection: HTTPConnection, name: str, kind: type[FoundT], *, call: str) -> FoundT:
    found = getattr(connection.state, name, None)
    if isinstance(found, kind):
        return found
    raise ConfigurationError(
        f"this application has no open {kind.__name__}: make it with FastAPI(lifespan={call}), and "
        "open it in a test with `with TestClient(app)`, or set "
        f"app.dependency_overrides[get_{name}]"
    )
