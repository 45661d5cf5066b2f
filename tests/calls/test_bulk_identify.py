"""The bulk endpoint: how many contacts it takes, what it is given, and bad ones by their index."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from sendx_async import AsyncTrackingClient, IdentifyRequest, InvalidRequestError, TrackRequest
from sendx_async.testing import FakeSendX

MakeClient = Callable[..., AsyncTrackingClient]


def contacts(count: int) -> list[IdentifyRequest]:
    return [IdentifyRequest(f"jane{number}@example.com") for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 24, 25])
@pytest.mark.asyncio
async def test_one_to_25_contacts_go_in_one_request(
    fake: FakeSendX, make_client: MakeClient, count: int
) -> None:
    async with make_client() as client:
        response = await client.identify_contacts(contacts(count))
    assert response.message == "All contacts processed successfully"
    assert [request.path for request in fake.requests] == ["/api/v1/rest/contact/identify/bulk"]
    assert [item["email"] for item in fake.requests[0].json] == list(fake.contacts)
    assert len(fake.contacts) == count


@pytest.mark.parametrize("count", [0, 26, 40])
@pytest.mark.asyncio
async def test_none_or_more_than_25_are_refused_before_sending(
    fake: FakeSendX, make_client: MakeClient, count: int
) -> None:
    async with make_client() as client:
        for method in (client.identify_contacts, client.identify_contacts_with_http_info):
            with pytest.raises(InvalidRequestError, match="1 to 25"):
                await method(contacts(count))
    assert fake.requests == []


@pytest.mark.asyncio
async def test_any_iterable_of_models_and_mappings_will_do(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    def mixed() -> Iterator[Any]:
        yield IdentifyRequest("jane@example.com", tags=["a"])
        yield {"email": "joe@example.com", "first_name": "Joe"}
        yield {"email": "jim@example.com", "firstName": "Jim"}

    async with make_client() as client:
        await client.identify_contacts(mixed())
    assert fake.requests[0].json == [
        {"email": "jane@example.com", "tags": ["a"]},
        {"email": "joe@example.com", "firstName": "Joe"},
        {"email": "jim@example.com", "firstName": "Jim"},
    ]


@pytest.mark.asyncio
async def test_every_bad_contact_is_named_by_its_index(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    given: list[Any] = [
        {"email": "jane@example.com"},
        {"email": "nobody"},
        {"email": "joe@example.com", "frist_name": "Joe"},
        None,
        TrackRequest("jim@example.com"),
    ]
    async with make_client() as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.identify_contacts(given)
    problems = caught.value.problems
    assert [problem.split("]")[0] for problem in problems] == ["[1", "[2", "[3", "[4"]
    assert "email" in problems[0]
    assert "first_name" in problems[1]
    assert "None" in problems[2]
    assert "TrackRequest" in problems[3]
    assert all(problem in str(caught.value) for problem in problems)
    assert fake.requests == []


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "jane@example.com",
        b"jane",
        {"email": "jane@example.com"},
        IdentifyRequest("a@b.co"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_no_iterable_of_contacts_is_refused(
    fake: FakeSendX, make_client: MakeClient, given: Any
) -> None:
    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match="iterable of requests"):
            await client.identify_contacts(given)
    assert fake.requests == []


@pytest.mark.asyncio
async def test_an_asynchronous_iterable_is_refused(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async def source() -> AsyncIterator[IdentifyRequest]:
        yield IdentifyRequest("jane@example.com")

    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match="async_generator"):
            await client.identify_contacts(source())  # type: ignore[arg-type]
    assert fake.requests == []


@pytest.mark.asyncio
async def test_an_endless_source_is_not_read_to_its_end(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    taken = 0

    def endless() -> Iterator[IdentifyRequest]:
        nonlocal taken
        while taken < 100_000:
            taken += 1
            yield IdentifyRequest("jane@example.com")

    async with make_client() as client:
        with pytest.raises(InvalidRequestError, match="1 to 25"):
            await client.identify_contacts(endless())
    assert taken < 100
    assert fake.requests == []
