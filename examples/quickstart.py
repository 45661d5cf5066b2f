"""Identify and track contacts, against a stand-in for SendX on this machine.

    pip install 'sendx-async[sandbox]'    (in a clone: pip install '.[sandbox]')
    python examples/quickstart.py

Both clients talk to the sandbox over real sockets. On the way the sandbox answers once with 503
and once with 429; see what the client makes of that. For the real SendX leave out `base_url`.
"""

import asyncio
import time

from sendx_async import (
    AsyncTrackingClient,
    Event,
    IdentifyRequest,
    NotFoundError,
    TrackingClient,
    TrackRequest,
)
from sendx_async.testing import FakeSendX

START = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"  {time.monotonic() - START:5.2f} s  {text}")


def show(event: Event) -> None:
    """Print what the client tells of a call: never an address, never the key."""
    if event.kind == "attempt_finished":
        say(f"  attempt {event.attempt} of {event.operation}: HTTP {event.status_code}")
    elif event.kind == "paused":
        say(f"  SendX asks to slow down: every caller pauses for {event.delay:.2f} s")
    elif event.kind == "retry_scheduled":
        say(f"  safe to repeat, again in {event.delay:.2f} s")


async def signup(sendx: FakeSendX, url: str) -> None:
    """Do what an asynchronous web application does."""
    async with AsyncTrackingClient(sendx.api_key, base_url=url, on_event=show) as client:
        sendx.respond(503)
        say("identify jane@example.com, while the server is busy")
        await client.identify_contact(
            IdentifyRequest(
                "jane@example.com",
                first_name="Jane",
                custom_fields={"Role": "Engineer", "Seats": 27},
                tags=["new_user"],
            )
        )

        say("identify two more in one request")
        await client.identify_contacts([{"email": "ann@example.com"}, {"email": "bob@example.com"}])

        sendx.respond(429, retry_after=1)
        say("tag all three at once; one of them meets the rate limit")
        async with asyncio.TaskGroup() as tasks:
            for name in ("jane", "ann", "bob"):
                request = TrackRequest(f"{name}@example.com", add_tags=["vip"])
                tasks.create_task(client.track_contact(request))

        say("track a contact that SendX doesn't know")
        try:
            await client.track_contact({"email": "nobody@example.com", "add_tags": ["vip"]})
        except NotFoundError as error:
            say(f"  {error}")
            say(f"  attempts: {error.attempts}, maybe delivered: {error.maybe_delivered}")


def renewal(sendx: FakeSendX, url: str) -> None:
    """Do what a script, a Flask view or a Celery task does."""
    with TrackingClient(sendx.api_key, base_url=url, on_event=show) as client:
        say("the same without await: jane loses a tag and pays")
        client.track_contact({"email": "jane@example.com", "remove_tags": ["new_user"]})
        client.track_revenue_event({"identifier": "jane@example.com", "amount": 49})


def main() -> None:
    """Run both, then print what the server holds."""
    sendx = FakeSendX()
    with sendx.serving() as url:
        print(f"\nThe sandbox, a stand-in for SendX, listens at {url}\n")
        asyncio.run(signup(sendx, url))
        renewal(sendx, url)

        print("\nWhat the server holds now\n")
        print(f"  {'address':20} {'first name':12} {'tags':10} custom fields")
        for contact in sendx.contacts.values():
            fields = ", ".join(f"{name}: {value}" for name, value in contact.custom_fields.items())
            tags = ", ".join(sorted(contact.tags))
            print(f"  {contact.email:20} {contact.first_name or '-':12} {tags:10} {fields or '-'}")
        answers = [str(request.status) for request in sendx.requests]
        print(f"\n  {len(sendx.events)} revenue event")
        print(f"  {len(answers)} requests over {sendx.connections.accepted} connections,", end=" ")
        print(f"answered with {' '.join(answers)}\n")


if __name__ == "__main__":
    main()
