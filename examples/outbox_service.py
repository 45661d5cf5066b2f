"""A web service that answers at once and loses no signup, though SendX is down.

    pip install 'sendx-async[fastapi,sandbox]'
    python examples/outbox_service.py

Its handlers put what SendX is to be told into a file, the outbox, and answer; the service drains
the file beside its other work, as long as it runs. What comes of that is shown here: visitors sign
up while the sandbox, a stand-in for SendX on this machine, is up, is down and is up again.

In a service of your own take `make_app`, with ``AsyncTrackingClient()`` for the real SendX (the key
from SENDX_API_KEY), and run it with any number of worker processes on one machine: one of them
drains, and another takes over when that one ends. What the outbox can't deliver is listed by
``sendx outbox dead FILE``.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import fastapi
import httpx
import uvicorn

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

SIGNUPS = 50


def make_app(outbox: Outbox, client: AsyncTrackingClient) -> fastapi.FastAPI:
    """Make the service; it opens and closes both."""

    @asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        async with outbox, client, outbox.draining(client):
            yield

    app = fastapi.FastAPI(lifespan=lifespan)

    @app.post("/signup", status_code=202)
    async def signup(email: Annotated[str, fastapi.Body(embed=True)]) -> dict[str, str]:
        try:
            contact = IdentifyRequest(email, tags=["new_user"])
        except InvalidRequestError as error:
            raise fastapi.HTTPException(422, list(error.problems)) from error
        # On the disk when this has returned; the event follows the contact, whatever happens.
        delivery_id = await outbox.put(contact)
        await outbox.put(CustomEventRequest(email, "signed_up"))
        return {"delivery_id": delivery_id}

    @app.get("/health")
    def health() -> dict[str, object]:
        stats = outbox.stats()
        return {"pending": stats.pending, "dead": stats.dead, "trouble": stats.trouble}

    return app


async def sign_up(service: httpx.AsyncClient, first: int) -> None:
    """Sign visitors up, and tell how long the slowest of them had to wait."""
    slowest = 0.0
    for number in range(first, first + SIGNUPS):
        begun = time.perf_counter()
        answer = await service.post("/signup", json={"email": f"visitor{number}@example.com"})
        answer.raise_for_status()
        slowest = max(slowest, time.perf_counter() - begun)
    print(f"  {SIGNUPS} visitors signed up, the slowest waited {slowest * 1000:.0f} ms")


async def show(service: httpx.AsyncClient, sandbox: FakeSendX) -> None:
    """Sign visitors up while SendX is up, down and up again."""
    print("SendX is up.")
    await sign_up(service, 0)
    await sandbox.until(lambda: len(sandbox.events) == SIGNUPS, timeout=100)
    print(f"  SendX knows {len(sandbox.contacts)} contacts and {len(sandbox.events)} events")

    sandbox.stop()
    print("SendX is down.")
    await sign_up(service, SIGNUPS)
    health = (await service.get("/health")).json()
    print(f"  {health['pending']} requests wait in the outbox: {health['trouble']}")

    sandbox.start()
    print("SendX is up again.")
    await sandbox.until(lambda: len(sandbox.events) == 2 * SIGNUPS, timeout=100)
    print(f"  SendX knows {len(sandbox.contacts)} contacts and {len(sandbox.events)} events")
    refused = await service.post("/signup", json={"email": "not an address"})
    print(
        f"A bad address is refused at once, with {refused.status_code}: {refused.json()['detail']}"
    )


async def main() -> None:
    """Run the service on a free port, with a sandbox, and show it."""
    logging.basicConfig(format="  %(levelname)s %(message)s")
    with tempfile.TemporaryDirectory() as directory, (sandbox := FakeSendX()).serving() as url:
        client = AsyncTrackingClient(sandbox.api_key, base_url=url)
        app = make_app(Outbox(Path(directory) / "outbox.db"), client)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as service:
            await show(service, sandbox)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
