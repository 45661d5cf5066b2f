"""What pretty printers print of what the library gives: no more than its repr."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from sendx_async import (
    ApiError,
    ApiResponse,
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyResponse,
    Outcome,
    RevenueEventRequest,
    TrackingClient,
    TrackRequest,
)
from sendx_async.outbox import Outbox
from sendx_async.testing import FakeSendX

from .held import account, address, contact, event, headers, mapping, said
from .tools import assert_prints_masked


def response() -> IdentifyResponse:
    return IdentifyResponse(
        status=address(), message=address(), data=mapping(), extra={"who": mapping()}
    )


def error() -> ApiError:
    message = json.loads(said())["message"]
    return ApiError(message, status_code=422, headers=headers(), body=said())


VALUES: dict[str, Callable[[], object]] = {
    "a contact": contact,
    "tags": lambda: TrackRequest(address(), add_tags=[address()]),
    "an event": lambda: CustomEventRequest(**event()),
    "revenue": lambda: RevenueEventRequest(address(), 1, source=address()),
    "a response": response,
    "a response with http info": lambda: ApiResponse(
        data=response(), status_code=200, headers=headers(), raw_data=said(), call_id="0",
        attempts=1, elapsed=0.5,
    ),
    "any endpoint's response": lambda: ApiResponse(
        data=mapping(), status_code=200, headers=headers(), raw_data=said(), call_id="0",
        attempts=1, elapsed=0.5,
    ),
    "an outcome": lambda: Outcome(1, contact(), response()),
    "an outcome of a mapping": lambda: Outcome(1, mapping(), error=error()),
    "an error": error,
    "an asynchronous client": lambda: AsyncTrackingClient(**account()),
    "a client": lambda: TrackingClient(**account()),
}  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value(value: str) -> None:
    assert_prints_masked(VALUES[value]())


@pytest.mark.parametrize("value", VALUES)
def test_no_field_is_marked_as_part_of_a_repr(value: str) -> None:
    # For printers that walk classes of attrs, as rich does, and don't know `__rich_repr__`.
    made: Any = VALUES[value]()
    assert not attrs.has(type(made)) or not any(field.repr for field in attrs.fields(type(made)))


@pytest.mark.asyncio
async def test_a_dead_letter_and_what_a_call_gives(tmp_path: Path) -> None:
    fake = FakeSendX(api_key=account()["api_key"])
    with fake.serving(), Outbox(tmp_path / "o.db", synchronous="NORMAL") as outbox:
        async with AsyncTrackingClient(**account(), base_url=fake.url) as client:
            assert_prints_masked(await client.identify_contact_with_http_info(mapping()))
            fake.respond(422, message=json.loads(said())["message"], times=None)
            await outbox.put(mapping())
            await outbox.drain(client)
            async with client.send_many([mapping(), mapping(tags=1)]) as outcomes:
                assert_prints_masked([outcome async for outcome in outcomes])
        (failed,) = outbox.failed()
    assert failed.request == contact()
    assert "UnprocessableEntityError" in failed.error
    assert_prints_masked(failed)
    assert_prints_masked(outbox)
