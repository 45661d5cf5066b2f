"""A Flask service that tells SendX about signups and orders: one client for all its threads.

    pip install 'sendx-async[sandbox]' flask gunicorn
    python examples/flask_app.py                               shows itself, against a sandbox
    gunicorn --workers 2 --threads 8 "flask_app:create_app()"  in production, with SENDX_API_KEY

Each worker process has one client, which its threads share, and closes it when it ends. With
``--preload`` the client is made before the workers are forked, which is fine. A worker that is
asked to stop (SIGTERM) first answers what it has begun.

A view waits for SendX, for at most DEADLINE seconds. Where it shouldn't wait, or nothing may be
lost while SendX is down for longer, let views put requests into an outbox, with
``Outbox.put_sync``: see docs/howto/outbox.md.
"""

import atexit
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from flask import Flask, request
from werkzeug.serving import make_server

from sendx_async import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    SendXError,
    TrackingClient,
    UnprocessableEntityError,
)
from sendx_async.testing import FakeSendX

DEADLINE = 5.0
VISITORS = 40

OURS_TO_MEND = (AuthenticationError, ConfigurationError, PermissionDeniedError)
REFUSED = (BadRequestError, ConflictError, NotFoundError, UnprocessableEntityError)

Answer = tuple[dict[str, object], int, dict[str, str]]


def create_app(sendx: TrackingClient | None = None) -> Flask:
    """Make the service; without a client it makes its own, from SENDX_API_KEY."""
    app = Flask("flask_app")
    client = sendx or TrackingClient(deadline=DEADLINE)
    atexit.register(client.close)

    @app.post("/signup")
    def signup() -> tuple[dict[str, object], int]:
        form = request.form
        client.identify_contact({"email": form.get("email"), "first_name": form.get("name")})
        return {"delivered": True}, 201

    @app.post("/order")
    def order() -> tuple[dict[str, object], int]:
        email, amount = request.form.get("email"), request.form.get("amount", type=float)
        client.track_revenue_event({"identifier": email, "amount": amount})
        return {"delivered": True}, 201

    @app.errorhandler(SendXError)
    def failed(error: SendXError) -> Answer:
        if isinstance(error, OURS_TO_MEND):
            raise error  # becomes a 500 and is logged: no visitor can do anything about it
        if isinstance(error, InvalidRequestError):
            return {"delivered": False, "problems": error.problems}, 422, {}
        app.logger.warning("SendX: %s", error)
        if isinstance(error, REFUSED):
            return {"delivered": False, "problems": ["SendX refuses this"]}, 422, {}
        # SendX is down, slow or busy. What was perhaps delivered shouldn't be sent again blindly:
        # an order would count twice.
        wait = getattr(error, "retry_after", None)
        headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
        return {"delivered": "maybe" if error.maybe_delivered else False}, 503, headers

    return app


def show(service: httpx.Client, sandbox: FakeSendX) -> None:
    """Let visitors sign up all at once, then show what becomes of errors."""

    def sign_up(number: int) -> int:
        form = {"email": f"visitor{number}@example.com", "name": "Jane"}
        return service.post("/signup", data=form).status_code

    with ThreadPoolExecutor(VISITORS) as visitors:
        statuses = list(visitors.map(sign_up, range(VISITORS)))
    print(f"{VISITORS} visitors sign up at once: {statuses.count(201)} are answered with 201.")
    print(f"SendX knows {len(sandbox.contacts)} contacts; they came over", end=" ")
    print(f"{sandbox.connections.accepted} connections.")

    def post(what: str, path: str, **form: str) -> None:
        answer = service.post(path, data=form)
        again = answer.headers.get("Retry-After", "-")
        print(f"{what}: {answer.status_code} {answer.json()} Retry-After: {again}")

    post("A bad address", "/signup", email="jane at example.com")
    sandbox.drop(applied=True)
    post("An order, and the answer is lost", "/order", email="visitor0@example.com", amount="49")
    sandbox.respond(429, retry_after=30)
    post("SendX is busy for longer than a view waits", "/signup", email="visitor0@example.com")


def main() -> None:
    """Run the service on a free port, with a sandbox, and show it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    sandbox = FakeSendX()
    with sandbox.serving() as url:
        client = TrackingClient(sandbox.api_key, base_url=url, deadline=DEADLINE)
        server = make_server("127.0.0.1", 0, create_app(client), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as service:
                show(service, sandbox)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


if __name__ == "__main__":
    main()
