"""Django views that tell SendX of signups and orders, an asynchronous and a synchronous one.

    pip install 'sendx-async[sandbox]' django
    python examples/django_view.py                shows itself, against a sandbox
    uvicorn --workers 2 django_view:application   in production, with SENDX_API_KEY and
                                                  DJANGO_SECRET_KEY

In a project of your own `application` belongs into asgi.py, the rest into an app.

A client needs no event loop to be made and works in any number of them, so each process has one,
whatever serves it. Django knows nothing of a server's start and end (the ASGI *lifespan*), so
`application` sees to these: at the start a missing key is noticed, at the end the client is closed.
Where there is no lifespan, as with ``manage.py runserver`` and in Django's test clients, all works
as well. (Under WSGI each request to an asynchronous view has an event loop of its own and so a
connection of its own: take the synchronous client there.)

A view waits for SendX, for at most DEADLINE seconds. Where it shouldn't wait, or nothing may be
lost while SendX is down for longer, let views put requests into an outbox, which has ``put`` and
``put_sync``: see docs/howto/outbox.md.
"""

import asyncio
import atexit
import functools
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    InvalidRequestError,
    SendXError,
    TrackingClient,
)
from sendx_async.testing import FakeSendX

DEADLINE = 5.0
VISITORS = 40

logger = logging.getLogger(__name__)

settings.configure(  # stands in settings.py otherwise
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "for the demonstration below"),
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    ROOT_URLCONF=__name__,
)


@functools.cache
def sendx() -> AsyncTrackingClient:
    """Give the client of this process for asynchronous views."""
    return AsyncTrackingClient(deadline=DEADLINE)


@functools.cache
def sendx_sync() -> TrackingClient:
    """Give the client of this process for synchronous views, which all its threads share."""
    client = TrackingClient(deadline=DEADLINE)
    atexit.register(client.close)
    return client


async def signup(request: HttpRequest) -> JsonResponse:
    """Create the contact, or update it."""
    contact = {"email": request.POST.get("email"), "first_name": request.POST.get("name")}
    try:
        await sendx().identify_contact(contact)
    except SendXError as error:
        return failed(error)
    return JsonResponse({"delivered": True}, status=201)


def order(request: HttpRequest) -> JsonResponse:
    """Record what the contact paid: 49, always."""
    try:
        sendx_sync().track_revenue_event({"identifier": request.POST.get("email"), "amount": 49})
    except SendXError as error:
        return failed(error)
    return JsonResponse({"delivered": True}, status=201)


def failed(error: SendXError) -> JsonResponse:
    """Answer an error; flask_app.py distinguishes more of them."""
    if isinstance(error, InvalidRequestError):
        return JsonResponse({"delivered": False, "problems": error.problems}, status=422)
    logger.warning("SendX: %s", error)
    return JsonResponse({"delivered": "maybe" if error.maybe_delivered else False}, status=503)


urlpatterns = [path("signup", signup), path("order", order)]
django_application = get_asgi_application()


async def application(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Give requests to Django, and open and close the client with the server."""
    if scope["type"] != "lifespan":
        await django_application(scope, receive, send)
        return
    await receive()  # the server starts
    try:
        client = sendx()
    except ConfigurationError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()  # it ends
    await client.aclose()
    sendx.cache_clear()
    await send({"type": "lifespan.shutdown.complete"})


async def show(service: httpx.AsyncClient, sandbox: FakeSendX) -> None:
    """Let visitors sign up all at once, then show what becomes of errors."""
    forms = [{"email": f"visitor{number}@example.com"} for number in range(VISITORS)]
    answers = await asyncio.gather(*(service.post("/signup", data=form) for form in forms))
    delivered = [answer.status_code for answer in answers].count(201)
    print(f"{VISITORS} visitors sign up at once: {delivered} are answered with 201.")
    answers = await asyncio.gather(*(service.post("/order", data=form) for form in forms))
    delivered = [answer.status_code for answer in answers].count(201)
    print(f"They order at once, in the other view: {delivered} are answered with 201.")
    print(f"SendX knows {len(sandbox.contacts)} contacts and {len(sandbox.events)} orders.")
    bad = await service.post("/signup", data={"email": "jane at example.com"})
    print(f"A bad address: {bad.status_code} {bad.json()}")
    sandbox.drop(applied=True)
    lost = await service.post("/order", data=forms[0])
    print(f"An order, and the answer is lost: {lost.status_code} {lost.json()}")


async def main() -> None:
    """Run the service on a free port, with a sandbox, and show it."""
    with (sandbox := FakeSendX()).serving() as url:
        os.environ.update(SENDX_BASE_URL=url, SENDX_API_KEY=sandbox.api_key)
        server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error", ws="none"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as service:
            await show(service, sandbox)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
