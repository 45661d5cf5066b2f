"""A FastAPI service that tells SendX about signups and orders: one client for all its handlers.

    pip install 'sendx-async[fastapi,sandbox]'
    python examples/fastapi_app.py        shows itself, against a sandbox
    uvicorn --workers 2 fastapi_app:app   in production, with SENDX_API_KEY

The client is opened when the service starts and closed when it has answered its last visitor. A
signup waits for SendX, for at most DEADLINE seconds; what goes wrong is answered by the handlers
that `add_sendx_error_handlers` adds. An order must not get lost: it is put into an outbox, a file,
and delivered from there, though SendX is down for an hour or the service is killed. That needs the
file's name in OUTBOX_FILE; without it there is no such endpoint.

How to test such a service shows test_my_app.py.
"""

import asyncio
import logging
import os
import tempfile
import time
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from sendx_async import IdentifyRequest, RevenueEventRequest
from sendx_async.fastapi import SendX, SendXOutbox, add_sendx_error_handlers, sendx_lifespan
from sendx_async.testing import FakeSendX

DEADLINE = 2.0


class Person(BaseModel):
    """Somebody who signs up."""

    email: str
    name: str | None = None


class Order(BaseModel):
    """Something that was bought."""

    email: str
    amount: float


def make_app(outbox: str | os.PathLike[str] | None = None) -> FastAPI:
    """Make the service; what it has to tell about orders is kept in the file ``outbox``."""
    app = FastAPI(lifespan=sendx_lifespan(deadline=DEADLINE, outbox=outbox))
    add_sendx_error_handlers(app)

    @app.post("/signup", status_code=201)
    async def signup(person: Person, sendx: SendX) -> dict[str, str]:
        contact = IdentifyRequest(person.email, first_name=person.name, tags=["new_user"])
        await sendx.identify_contact(contact)
        return {"welcome": person.name or person.email}

    if outbox is not None:

        @app.post("/order", status_code=202)
        async def order(order: Order, outbox: SendXOutbox) -> dict[str, str]:
            # On the disk when this has returned, and delivered in this order, whatever happens.
            await outbox.put(IdentifyRequest(order.email, tags=["customer"]))
            return {"delivery": await outbox.put(RevenueEventRequest(order.email, order.amount))}

    return app


app = make_app(os.environ.get("OUTBOX_FILE"))


async def show(visitor: httpx.AsyncClient, sandbox: FakeSendX) -> None:
    """Visit the service while SendX is up, down and up again."""

    async def post(path: str, **body: object) -> None:
        begun = time.perf_counter()
        answer = await visitor.post(path, json=body)
        took = (time.perf_counter() - begun) * 1000
        print(f"  POST {path} -> {answer.status_code} in {took:.0f} ms: {answer.text}")

    print("SendX is up.")
    await post("/signup", email="jane@example.com", name="Jane")
    await post("/signup", email="not an address")

    sandbox.stop()
    print("SendX is down.")
    await post("/signup", email="ann@example.com", name="Ann")
    await post("/order", email="jane@example.com", amount=49)

    sandbox.start()
    print("SendX is up again.")
    await sandbox.until(lambda: sandbox.events, timeout=100)
    for contact in sandbox.contacts.values():
        print(f"  SendX knows {contact}")
    for event in sandbox.events:
        print(f"  and {event}")


async def main() -> None:
    """Run the service on a free port, with a sandbox and an outbox, and show it."""
    logging.basicConfig(format="  %(levelname)s %(message)s")
    with tempfile.TemporaryDirectory() as directory, (sandbox := FakeSendX()).serving() as url:
        os.environ.update(SENDX_API_KEY=sandbox.api_key, SENDX_BASE_URL=url)
        service = make_app(Path(directory) / "outbox.db")
        server = uvicorn.Server(uvicorn.Config(service, port=0, log_level="error", ws="none"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as visitor:
            await show(visitor, sandbox)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
