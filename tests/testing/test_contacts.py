"""FakeSendX in process: contacts that are read, listed, deleted and unsubscribed."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from sendx_async import (
    ApiError,
    AsyncTrackingClient,
    BadRequestError,
    NotFoundError,
    UnprocessableEntityError,
)
from sendx_async.testing import Contact, FakeSendX

JANE = "jane@example.com"
CONTACT = "/contact/{identifier}"
UNSUBSCRIBE = "/contact/unsubscribe/{identifier}"

MakeClient = Callable[..., AsyncTrackingClient]

pytestmark = pytest.mark.asyncio


def named(identifier: str) -> dict[str, str]:
    return {"identifier": identifier}


async def test_a_contact_is_read_as_sendx_tells_it(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.identify_contact(
            {
                "email": JANE,
                "first_name": "Jane",
                "tags": ["b", "a"],
                "lists": ["list_0tOFLp5RgV7s3LNiHrjGYs"],
                "custom_fields": {"Role": "Boss"},
            }
        )
        by_address = await client.request("GET", CONTACT, path_params=named(JANE.upper()))
        by_id = await client.request("GET", CONTACT, path_params=named(fake.contact(JANE).id))
    told = by_id.data
    assert by_address.data == told
    fields, tags = told.pop("customFields"), told.pop("tags")
    assert list(fields.values()) == ["Boss"]
    assert re.fullmatch("field_[a-zA-Z0-9]{22}", *fields)
    assert len(set(tags)) == 2
    assert all(re.fullmatch("tag_[a-zA-Z0-9]{22}", tag) for tag in tags)
    assert re.fullmatch("contact_[a-zA-Z0-9]{22}", told.pop("id"))
    assert told == {
        "firstName": "Jane",
        "email": JANE,
        "lists": ["list_0tOFLp5RgV7s3LNiHrjGYs"],
        "unsubscribed": False,
        "bounced": False,
        "spam": False,
        "blocked": False,
        "dropped": False,
    }
    assert all(request.applied for request in fake.requests)


@pytest.mark.parametrize(
    "method, path", [("GET", CONTACT), ("DELETE", CONTACT), ("POST", UNSUBSCRIBE)]
)
async def test_only_contacts_that_there_are_can_be_named(
    fake: FakeSendX, make_client: MakeClient, method: Any, path: str
) -> None:
    async with make_client() as client:
        for identifier in (JANE, "contact_0000000000000000000001"):
            with pytest.raises(NotFoundError, match="Resource not found"):
                await client.request(method, path, path_params=named(identifier))
        for identifier in ("jane", "contact_1", "list_0000000000000000000001"):
            with pytest.raises(BadRequestError, match="Invalid identifier format"):
                await client.request(method, path, path_params=named(identifier))
    assert not any(request.applied for request in fake.requests)


async def test_a_deleted_contact_is_gone_and_comes_back_as_another(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.identify_contact({"email": JANE, "tags": ["vip"]})
        before = fake.contact(JANE).id
        answer = await client.request("DELETE", CONTACT, path_params=named(before))
        assert answer.data["status"] == "success"
        assert JANE in answer.data["message"]
        assert fake.contacts == {}
        with pytest.raises(NotFoundError):
            await client.request("DELETE", CONTACT, path_params=named(before))
        with pytest.raises(NotFoundError):
            await client.track_contact({"email": JANE, "add_tags": ["new"]})
        with pytest.raises(UnprocessableEntityError):
            await client.track_custom_event({"identifier": before, "name": "seen"})
        await client.identify_contact({"email": JANE})
        with pytest.raises(NotFoundError):
            await client.request("GET", CONTACT, path_params=named(before))
    assert fake.contact(JANE) == Contact(email=JANE)
    assert fake.contact(JANE).id != before


async def test_a_renamed_contact_is_deleted_by_its_id(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.identify_contact({"email": JANE})
        await client.identify_contact({"email": JANE, "new_email": "jane@example.org"})
        contact = fake.contact("jane@example.org")
        await client.request("DELETE", CONTACT, path_params=named(contact.id))
    assert fake.contacts == {}


async def test_an_unsubscribed_contact_stays_so_and_is_tracked_as_before(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.identify_contact({"email": JANE})
        for _ in range(2):
            answer = await client.request("POST", UNSUBSCRIBE, path_params=named(JANE))
            assert answer.data["status"] == "success"
        await client.identify_contact({"email": JANE, "first_name": "Jane"})
        await client.track_contact({"email": JANE, "add_tags": ["vip"]})
        await client.track_custom_event({"identifier": JANE, "name": "seen"})
        read = await client.request("GET", CONTACT, path_params=named(JANE))
    assert read.data["unsubscribed"] is True
    expected = Contact(email=JANE, first_name="Jane", tags={"vip"}, unsubscribed=True)
    assert fake.contact(JANE) == expected
    assert "unsubscribed=True" in repr(expected)
    assert "unsubscribed" not in repr(Contact(email=JANE))


async def test_contacts_are_listed_page_by_page_and_searched(
    fake: FakeSendX, make_client: MakeClient
) -> None:
    async with make_client() as client:
        for number in range(12):
            name = "Zoe" if number == 7 else None
            contact = {"email": f"c{number}@example.com", "last_name": name}
            await client.identify_contact(contact)

        async def listed(**params: object) -> list[str]:
            answer = await client.request("GET", "/contact", params=params)
            return [contact["email"].partition("@")[0] for contact in answer.data]

        assert await listed() == [f"c{number}" for number in range(10)]
        assert await listed(offset=10) == ["c10", "c11"]
        assert await listed(offset=1, limit=2) == ["c1", "c2"]
        assert await listed(search="C1@") == ["c1"]
        assert await listed(search="zo") == ["c7"]
        assert await listed(search="nobody") == []
        refused: list[dict[str, object]] = [
            {"limit": 0}, {"limit": 101}, {"limit": "many"}, {"offset": -1}, {"search": "z"},
        ]  # fmt: skip
        for params in refused:
            with pytest.raises(BadRequestError):
                await listed(**params)
    assert fake.requests[-1].query == "search=z"
    assert "/api/v1/rest/contact?search=z " in repr(fake.requests[-1])


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", "/contact", 404),
        ("PUT", "/contact/jane", 404),
        ("POST", "/contact/jane", 404),
        ("GET", "/campaign", 404),
        ("GET", "/contact/unsubscribe/jane", 405),
        ("GET", "/contact/track", 405),
    ],
)
async def test_endpoints_that_it_does_not_know_answer_so(
    make_client: MakeClient, method: Any, path: str, status: int
) -> None:
    json: Any = None if method == "GET" else {}
    async with make_client() as client:
        with pytest.raises(ApiError) as caught:
            await client.request(method, path, json=json)
    assert caught.value.status_code == status


async def test_misbehaviour_goes_by_the_endpoint(fake: FakeSendX, make_client: MakeClient) -> None:
    fake.respond(200, body=b"{}", path="contact/{identifier}")
    fake.respond(200, body=b"[1]", path="contact")
    async with make_client() as client:
        assert (await client.request("GET", "/contact")).data == [1]
        answer = await client.request("GET", CONTACT, path_params=named(JANE))
        assert answer.data == {}
