"""What tools collect where a request, a source or an option is refused before anything is sent."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from sendx_async import (
    AsyncTrackingClient,
    ConfigurationError,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    RevenueEventRequest,
    SendXError,
    TrackingClient,
    TrackRequest,
)
from sendx_async._core.stored import from_stored, to_stored

from .held import account, address, contact, event, headers, mapping, shown_in
from .tools import COLLECTORS, assert_masked


def broken(items: Iterator[Any]) -> Iterator[Any]:
    yield from items
    raise LookupError("the caller's own")


MODELS: dict[str, Callable[[], object]] = {
    "an address": lambda: IdentifyRequest(**mapping(email=address() + " ")),
    "a contact": lambda: contact(tags="x"),
    "a rename": lambda: IdentifyRequest(**mapping(new_email=address() + "@")),
    "tags": lambda: TrackRequest(address(), add_tags=[address(), 1]),  # type: ignore[list-item]
    "an event": lambda: CustomEventRequest(**event(time="now")),
    "revenue": lambda: RevenueEventRequest(address(), math.nan, source=address()),
    "a name that isn't one": lambda: IdentifyRequest(**mapping(frist_name="x")),
    "too much": lambda: IdentifyRequest(address(), address()),  # type: ignore[call-arg, arg-type]
    "too little": lambda: CustomEventRequest(address()),  # type: ignore[call-arg]
    "what can't be read": lambda: contact(tags=broken(iter(["x"]))),
}
CALLS: dict[str, Callable[[Any], object]] = {
    "an address": lambda client: client.identify_contact(mapping(email=address() + " ")),
    "a name": lambda client: client.identify_contact(mapping(frist_name="x")),
    "an address for a name": lambda client: client.identify_contact(mapping(**{address(): 1})),
    "no name": lambda client: client.track_custom_event({"identifier": address()}),
    "a model of another kind": lambda client: client.track_contact(contact()),
    "a list": lambda client: client.identify_contact([mapping()]),
    "several": lambda client: client.identify_contacts([mapping(), mapping(tags=1)]),
    "too many": lambda client: client.identify_contacts([mapping()] * 26),
    "one for several": lambda client: client.identify_contacts(mapping()),
    "several, unreadable": lambda client: client.identify_contacts(broken(iter([mapping()]))),
    "anything": lambda client: client.send(event(time="now")),
    "a list of anything": lambda client: client.send([mapping()]),
    "an option": lambda client: client.send(mapping(), headers=headers(), timeout=-1),
    "a header": lambda client: client.send(mapping(), headers={"A": headers(), **headers()}),
    "no option": lambda client: client.send(mapping(), headers=headers(), tiemout=1),
    "an endpoint": lambda client: client.request(
        "PUT", "contact", path_params={"id": address()}, params=mapping(), json=mapping()
    ),
    "an endpoint before its method": lambda client: client.request("/contact/" + address(), "GET"),
    "a flag of an endpoint": lambda client: client.request(
        "PUT", "/contact", json=mapping(), replay_safe=mapping()
    ),
    "no option of an endpoint": lambda client: client.request(
        "PUT", "/contact", json=mapping(), headers=headers(), tiemout=1
    ),
    "an option of an endpoint": lambda client: client.request(
        "PUT",
        "/contact/{id}",
        path_params={"id": address()},
        json=mapping(),
        headers=headers(),
        timeout=-1,
    ),
    "an option of a stream": lambda client: client.send_many([mapping()], batch_size=0),
    "another of a stream": lambda client: client.send_many([mapping()], concurrency=0),
    "no source": lambda client: client.send_many(mapping()),
    "an option of a copy": lambda client: client.with_options(**account(), timeout=-1),
    "no option of a copy": lambda client: client.with_options(**account(), tiemout=1),
}
CLIENTS: dict[str, dict[str, Any]] = {
    "a timeout": {"timeout": -1},
    "connections": {"max_connections": 0},
    "a clock": {"clock": object()},
    "an httpx client": {"http_client": object()},
}


@pytest.mark.parametrize("case", MODELS)
def test_a_model(case: str) -> None:
    with pytest.raises((InvalidRequestError, TypeError, LookupError)) as caught:
        MODELS[case]()
    assert_masked(caught.value)


@pytest.mark.parametrize("case", CALLS)
@pytest.mark.asyncio
async def test_a_call(case: str) -> None:
    async with AsyncTrackingClient(**account()) as client:
        with pytest.raises((ValueError, TypeError, LookupError)) as caught:
            await CALLS[case](client)  # type: ignore[misc]
    assert_masked(caught.value)


@pytest.mark.parametrize("case", CALLS)
def test_a_synchronous_call(case: str) -> None:
    refused = pytest.raises((ValueError, TypeError, LookupError))
    with TrackingClient(**account()) as client, refused as caught:
        CALLS[case](client)
    assert_masked(caught.value)


@pytest.mark.parametrize("case", CLIENTS)
@pytest.mark.parametrize("kind", [AsyncTrackingClient, TrackingClient])
def test_a_client(kind: Callable[..., object], case: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(**{**account(), **CLIENTS[case]})
    assert_masked(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        kind("another", base_url="https://sendx.test/?key=" + account()["api_key"])
    assert_masked(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("collect", COLLECTORS)
@pytest.mark.asyncio
async def test_every_tool(collect: Callable[[BaseException], str]) -> None:
    async with AsyncTrackingClient(**account()) as client:
        for make in (MODELS["a contact"], lambda: CALLS["a name"](client)):
            with pytest.raises(InvalidRequestError) as caught:
                await make()  # type: ignore[misc]
            assert shown_in(collect(caught.value)) == []


def test_what_an_iterable_of_the_callers_raises_keeps_its_frames() -> None:
    with pytest.raises(LookupError) as caught:
        MODELS["what can't be read"]()
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "broken"
    assert "__init__" not in names


@pytest.mark.parametrize("change", [{}, {"version": 99}])
def test_a_stored_request_that_can_not_be_read(change: dict[str, Any]) -> None:
    with pytest.raises(SendXError) as caught:
        from_stored({**to_stored(contact()), "request": mapping(tags=1), **change})
    assert_masked(caught.value)


def test_what_is_asked_for_is_whole() -> None:
    assert attrs.asdict(contact())["email"] == contact().email == address()
