"""Celery tasks that tell SendX of signups and orders, and wait out what SendX can't take now.

    pip install 'sendx-async[sandbox]' celery
    python examples/celery_tasks.py   shows itself, against a sandbox
    celery -A celery_tasks worker     in production, with SENDX_API_KEY and CELERY_BROKER_URL, such
                                      as redis://localhost

The client repeats what is safe to repeat, for DEADLINE seconds. If SendX is in trouble for longer,
the task makes room for others and comes back later. What SendX refuses doesn't come back: the task
fails, and so does an order of which nobody knows whether it counts already. Decide in the task what
an error means: of a failed task's result Celery's JSON keeps only the error's class and text.

The client is made in the worker's parent process and used in those that are forked from it; other
pools (threads, solo) do as well. A warm shutdown (SIGTERM) finishes the tasks that have begun.

Celery keeps no order, and loses what its broker loses. Where each contact's requests should stay in
order take ``sendx_async.outbox`` on one machine, which needs no broker, or on many machines
``sendx_async.procrastinate``, which joins the transactions of your PostgreSQL.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from celery import Celery, Task, chain
from celery.signals import worker_init
from kombu.transport import TRANSPORT_ALIASES, filesystem

from sendx_async import (
    ConfigurationError,
    DeadlineExceeded,
    IdentifyRequest,
    RateLimitError,
    RevenueEventRequest,
    ServerError,
    TrackingClient,
    TransportError,
)
from sendx_async.testing import FakeSendX

DEADLINE = 20.0
LONGEST_WAIT = 600.0  # Redis hands out again what waits for its visibility_timeout, an hour
IN_TROUBLE = (DeadlineExceeded, RateLimitError, ServerError, TransportError)

app = Celery("celery_tasks", broker_connection_retry_on_startup=True)


@functools.cache
def sendx() -> TrackingClient:
    """Give the client of this process and of those that are forked from it."""
    return TrackingClient(deadline=DEADLINE)


@worker_init.connect
def make_client(**_: object) -> None:
    """Make it before the fork; a worker without a key ends here, and takes no task."""
    try:
        sendx()
    except ConfigurationError as error:
        sys.exit(f"Error: {error}")


def deliver(
    task: Task, request: IdentifyRequest | RevenueEventRequest, *, is_safe_to_repeat: bool
) -> None:
    """Send a request, or have its task come back later."""
    try:
        sendx().send(request)
    except IN_TROUBLE as error:
        if error.maybe_delivered and not is_safe_to_repeat:
            raise
        wait = getattr(error, "retry_after", None) or 2.0**task.request.retries
        raise task.retry(exc=error, countdown=min(wait, LONGEST_WAIT)) from error


# Done again if its process is killed: that changes nothing.
@app.task(bind=True, max_retries=100, acks_late=True, reject_on_worker_lost=True)
def signed_up(self: Task, email: str, name: str | None = None) -> None:
    """Create the contact, or update it."""
    deliver(self, IdentifyRequest(email, first_name=name), is_safe_to_repeat=True)


# Not done again if its process is killed: it may count already.
@app.task(bind=True, max_retries=100, acks_late=False)
def ordered(self: Task, email: str, amount: float) -> None:
    """Record what the contact paid."""
    deliver(self, RevenueEventRequest(email, amount), is_safe_to_repeat=False)


# From here on: what shows the tasks above. The broker is a folder, so that it needs no server.


class Folder(filesystem.Transport):
    """Kombu's own, except that a message is complete before it can be seen, and a worker ends soon.

    While it waits for messages, as it does for two seconds each time, it sees no SIGTERM.
    """

    def drain_events(self, connection: object, **_: object) -> None:  # type: ignore[override]  # noqa: D102 - see above
        super().drain_events(connection, timeout=0.1)  # type: ignore[no-untyped-call]

    class Channel(filesystem.Channel):  # noqa: D106 - see above
        def _put(self, queue: str, message: object, **_: object) -> None:  # type: ignore[override]
            name = f"{time.monotonic_ns()}_{uuid.uuid4()}.{queue}.msg"
            unseen = Path(self.data_folder_out) / f"{name}.new"
            unseen.write_text(json.dumps(message), encoding="utf-8")
            unseen.rename(unseen.with_name(name))


def use_folder(path: str) -> None:
    """Take a folder for the broker."""
    TRANSPORT_ALIASES["folder"] = f"{__name__}:Folder"
    folders = {"data_folder_in": path, "data_folder_out": path, "control_folder": f"{path}/control"}
    options = {**folders, "polling_interval": 0.05}
    app.conf.update(broker_url="folder://localhost", broker_transport_options=options)


def main() -> None:
    """Run a worker while SendX is up, then down, and then loses an answer."""
    with tempfile.TemporaryDirectory() as folder, (sandbox := FakeSendX()).serving() as url:
        use_folder(folder)
        os.environ.update(SENDX_BASE_URL=url, SENDX_API_KEY=sandbox.api_key)
        command = [sys.executable, __file__, folder]
        worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
        log = iter(worker.stderr or ())
        for number in range(20):
            email = f"visitor{number}@example.com"
            chain(signed_up.si(email, "Jane"), ordered.si(email, 49)).delay()
        sandbox.wait_for(lambda: len(sandbox.events) == 20, timeout=100)  # noqa: PLR2004
        print(f"SendX knows {len(sandbox.contacts)} contacts and {len(sandbox.events)} orders.")

        sandbox.stop()
        signed_up.delay("jane@example.com")
        print("SendX is down.", next(line for line in log if " retry: " in line), end="")
        sandbox.start()
        sandbox.wait_for(lambda: sandbox.contact("jane@example.com"), timeout=100)
        print("SendX is up again, and knows Jane.")

        sandbox.drop(applied=True, path="events/revenue")
        ordered.delay("jane@example.com", 49)
        print("An answer is lost.", next(line for line in log if " raised " in line), end="")
        worker.terminate()
        worker.communicate()
        orders = [event.identifier for event in sandbox.events].count("jane@example.com")
        print(f"Jane ordered once, and {orders} counts. The worker ended with {worker.returncode}.")


if __name__ == "__main__":
    if sys.argv[1:]:
        use_folder(sys.argv[1])
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        options = ["--pool=prefork", "--concurrency=2", "--loglevel=INFO"]
        app.worker_main(["--quiet", "worker", *alone, *options])
    else:
        main()
