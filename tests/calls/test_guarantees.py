"""Each row of the table of a single call's guarantees: it is made to happen, and the page read."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from sendx_async import AsyncTrackingClient, Event, RetryPolicy, SendXError
from sendx_async.testing import FakeSendX

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
JANE = "jane@example.com"
REQUESTS: tuple[list[tuple[str, dict[str, Any]]], ...] = (
    [
        ("identify_contact", {"email": JANE, "tags": ["vip"]}),
        ("track_contact", {"email": JANE, "add_tags": ["vip"]}),
    ],
    [
        ("identify_contact", {"email": JANE, "new_email": "jane@example.org"}),
        ("identify_contact", {"email": JANE, "custom_fields": {"Score": "++1"}}),
        ("track_custom_event", {"identifier": JANE, "name": "seen"}),
        ("track_revenue_event", {"identifier": JANE, "amount": 5}),
    ],
)

Script = Callable[[FakeSendX], object]


def _answers(*statuses: int, **options: Any) -> list[Script]:
    def answering(status: int) -> Script:
        return lambda fake: fake.respond(status, **options)

    return list(map(answering, statuses))


HAPPENINGS: Mapping[str, list[Script]] = {
    # That no connection is free is made to happen in tests/transport/test_pool.py.
    "no connection, or no free one": [lambda fake: fake.stop()],
    "429, 408, 425, or 503 with `Retry-After`": [
        *_answers(429, 408, 425),
        *_answers(503, retry_after=0),
    ],
    "503 without it, and any other 5xx": _answers(500, 502, 503, 504),
    # Silence is made in tests/calls/test_deadline.py.
    "sent, and then silence or a broken connection": [
        lambda fake: fake.drop(),
        lambda fake: fake.drop(reset=True, applied=True),
    ],
    "2xx whose body is neither empty nor a JSON object": [
        lambda fake: fake.html(200, applied=False),
        *_answers(200, body=[]),
        *_answers(201, body=b"null"),
    ],
    "2xx whose body reports a failure": [
        *_answers(200, body={"status": "error", "message": "no"}),
        *_answers(207, body={"failed": [JANE]}),
    ],
    "a redirect": _answers(302, 307, 308, headers={"location": "https://login.example.com"}),
    "any other 4xx": _answers(400, 401, 403, 404, 409, 413, 422),
}


def rows() -> dict[str, list[str]]:
    """Read the table: what each row says of both kinds of requests."""
    text = (
        PAGE.read_text(encoding="utf-8").partition("\n## A single call\n")[2].partition("\n## ")[0]
    )
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = {label: cells for label, *cells in lines[1:]}
    for cells in found.values():
        cells[:] = [cells[0] if cell == "the same" else cell for cell in cells]
    return found


def test_each_row_is_made_to_happen() -> None:
    assert list(rows()) == list(HAPPENINGS)


@pytest.mark.parametrize("column", [0, 1], ids=["safe to repeat", "not safe to repeat"])
@pytest.mark.parametrize("label", HAPPENINGS)
def test_a_call_does_what_the_table_says(fake_sendx: FakeSendX, label: str, column: int) -> None:
    says = rows()[label][column]
    for script in HAPPENINGS[label]:
        for method, request in REQUESTS[column]:
            error, retries = _outcome(fake_sendx, script, method, request)
            if error is None:
                assert (says.partition(" ")[0], retries) == ("repeated", 1)
            else:
                assert says.startswith("raised")
                assert error.attempts == 1
                assert error.maybe_delivered == ("`maybe_delivered` is True" in says)
                assert " as " not in says or f"as `{type(error).__name__}`" in says


def _outcome(
    fake: FakeSendX, script: Script, method: str, request: dict[str, Any]
) -> tuple[SendXError | None, int]:
    """Make a call that meets a fault once; return its error, and how often it was repeated."""
    fake.reset()
    retries = 0

    def come_back(event: Event) -> None:
        nonlocal retries
        if event.kind == "retry_scheduled":
            retries += 1
            with contextlib.suppress(RuntimeError):  # it was never away
                fake.start()

    async def main() -> None:
        async with AsyncTrackingClient(
            fake.api_key, base_url=fake.url, retry=RetryPolicy(1, base=0), on_event=come_back
        ) as client:
            known = {"email": JANE, "custom_fields": {"Score": 1}}
            await client.identify_contact(known)
            script(fake)
            await getattr(client, method)(request)

    try:
        anyio.run(main)
    except SendXError as error:
        return error, retries
    return None, retries
