"""FakeSendX in process: what each endpoint takes in, holds and answers."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from sendx_async.testing import Contact, FakeSendX, ReceivedEvent

JANE = "jane@example.com"


@pytest.fixture
def fake() -> FakeSendX:
    return FakeSendX()


def send(
    fake: FakeSendX,
    path: str,
    body: object = None,
    *,
    content: bytes | None = None,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    async def exchange() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=fake), base_url="http://sendx.test"
        ) as client:
            return await client.request(
                method,
                path,
                content=json.dumps(body).encode() if content is None else content,
                headers={"X-Team-ApiKey": fake.api_key} if headers is None else headers,
            )

    return asyncio.run(exchange())


def identify(fake: FakeSendX, **fields: object) -> httpx.Response:
    return send(fake, "/contact/identify", {"email": JANE, **fields})


def message(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["status"] == "error"
    assert isinstance(body["message"], str)
    return body["message"]


def test_identify_creates_a_contact_with_everything_sent(fake: FakeSendX) -> None:
    answer = identify(
        fake,
        firstName="Jane",
        lastName="Smith",
        company="Tech Solutions Inc",
        customFields={"Role": "Engineering"},
        tags=["new_user", "vip"],
        lists=["list_1"],
        birthday="1990-01-31",
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "200", "message": "OK"})
    assert answer.headers["content-type"] == "application/json"
    contact = fake.contact(JANE)
    assert contact == Contact(
        id=contact.id,
        email=JANE,
        first_name="Jane",
        last_name="Smith",
        company="Tech Solutions Inc",
        birthday="1990-01-31",
        tags=frozenset({"new_user", "vip"}),
        lists=frozenset({"list_1"}),
        custom_fields={"Role": "Engineering"},
    )
    assert contact.id.startswith("contact_")


def test_a_later_identify_adds_to_sets_and_overwrites_scalars(fake: FakeSendX) -> None:
    identify(
        fake, firstName="Jane", company="Old", tags=["a"], lists=["l1"], customFields={"A": "1"}
    )
    before = fake.contact(JANE)
    send(
        fake,
        "/contact/identify",
        {
            "email": JANE.upper(),
            "company": "",
            "tags": ["b"],
            "lists": ["l2"],
            "customFields": {"A": "2", "B": "3"},
        },
    )
    after = fake.contact(JANE)
    assert list(fake.contacts) == [JANE]
    assert after.id == before.id
    assert (after.first_name, after.company) == ("Jane", "")
    assert after.tags == {"a", "b"}
    assert after.lists == {"l1", "l2"}
    assert after.custom_fields == {"A": "2", "B": "3"}
    assert before.tags == {"a"}
    assert before.custom_fields == {"A": "1"}


def test_the_contacts_handed_out_are_copies(fake: FakeSendX) -> None:
    identify(fake)
    fake.contacts.clear()
    fake.events.clear()
    fake.requests.clear()
    assert list(fake.contacts) == [JANE]
    assert len(fake.requests) == 1


def test_new_email_renames_and_keeps_the_id(fake: FakeSendX) -> None:
    identify(fake, tags=["a"])
    contact_id = fake.contact(JANE).id
    assert identify(fake, newEmail="jane@new.co").is_success
    assert list(fake.contacts) == ["jane@new.co"]
    assert fake.contact("jane@new.co").tags == {"a"}
    assert fake.contact("jane@new.co").id == contact_id


def test_new_email_may_change_only_the_case(fake: FakeSendX) -> None:
    identify(fake)
    assert identify(fake, newEmail="Jane@Example.com").is_success
    assert list(fake.contacts) == ["Jane@Example.com"]


def test_repeating_a_rename_creates_the_old_address_again(fake: FakeSendX) -> None:
    identify(fake)
    identify(fake, newEmail="jane@new.co")
    assert identify(fake, newEmail="jane@new.co").is_success
    assert set(fake.contacts) == {JANE, "jane@new.co"}


def test_new_email_of_another_contact_is_refused(fake: FakeSendX) -> None:
    identify(fake, tags=["a"])
    send(fake, "/contact/identify", {"email": "joe@example.com"})
    answer = identify(fake, newEmail="Joe@example.com", tags=["b"])
    assert answer.status_code == 422
    assert message(answer) == "newEmail belongs to another contact"
    assert fake.contact(JANE).tags == {"a"}


def test_empties_are_taken(fake: FakeSendX) -> None:
    answer = identify(fake, firstName="", customFields={}, tags=[], newEmail="")
    assert answer.is_success
    assert fake.contact(JANE).first_name == ""


@pytest.mark.parametrize(
    "held,sent,result",
    [
        (None, "++34", "34"),
        ("", "++1", "1"),
        ("27", "++34", "61"),
        ("27", "--10", "17"),
        ("1.5", "++0.25", "1.75"),
        ("27", "++x", "++x"),
        ("27", "-10", "-10"),
    ],
)
def test_increments(fake: FakeSendX, held: str | None, sent: str, result: str) -> None:
    if held is not None:
        identify(fake, customFields={"Visits": held})
    assert identify(fake, customFields={"Visits": sent}).is_success
    assert fake.contact(JANE).custom_fields == {"Visits": result}


def test_incrementing_a_text_is_refused(fake: FakeSendX) -> None:
    identify(fake, customFields={"Role": "Engineer"})
    answer = identify(fake, customFields={"Role": "++1"})
    assert answer.status_code == 422
    assert "'Role'" in message(answer)
    assert fake.contact(JANE).custom_fields == {"Role": "Engineer"}


@pytest.mark.parametrize(
    "body,named",
    [
        ([], "the body must be an object, not an array"),
        (None, "the body must be an object, not null"),
        ("x", "the body must be an object, not a string"),
        ({}, "email is required"),
        ({"email": ""}, "email is required"),
        ({"email": 5}, "email must be a string, not a number"),
        ({"email": None}, "email must be a string, not null"),
        ({"email": "jane"}, "email is not a valid email address"),
        ({"email": "@example.com"}, "email is not a valid email address"),
        ({"email": "jane@"}, "email is not a valid email address"),
        ({"email": "ja ne@example.com"}, "email is not a valid email address"),
        ({"email": JANE, "firstName": True}, "firstName must be a string, not a boolean"),
        ({"email": JANE, "newEmail": "x"}, "newEmail is not a valid email address"),
        ({"email": JANE, "tags": "vip"}, "tags must be an array of strings, not a string"),
        ({"email": JANE, "tags": ["a", 1.5]}, "each of tags must be a string, not a number"),
        ({"email": JANE, "lists": [{}]}, "each of lists must be a string, not an object"),
        ({"email": JANE, "customFields": []}, "customFields must be an object, not an array"),
        (
            {"email": JANE, "customFields": {"Age": 27}},
            "customFields['Age'] must be a string, not a number",
        ),
        ({"email": JANE, "birthday": "20260131"}, "birthday must be a date, YYYY-MM-DD"),
        ({"email": JANE, "birthday": "2026-02-30"}, "birthday must be a date, YYYY-MM-DD"),
    ],
)
def test_identify_refuses_what_it_cannot_read(fake: FakeSendX, body: object, named: str) -> None:
    answer = send(fake, "/contact/identify", body)
    assert answer.status_code == 422
    assert message(answer) == named
    assert fake.contacts == {}
    assert not fake.requests[0].applied


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"email": NaN}', pytest.param(b"[" * 100_000, id="deep")]
)
def test_what_is_not_json_is_a_bad_request(fake: FakeSendX, content: bytes) -> None:
    answer = send(fake, "/contact/identify", content=content)
    assert answer.status_code == 400
    assert message(answer) == "The body is not valid JSON"
    assert fake.requests[0].raw == content
    assert fake.requests[0].json is None


def test_unknown_keys_are_ignored(fake: FakeSendX) -> None:
    assert identify(fake, frist_name="Jane").is_success
    assert fake.contact(JANE).first_name is None


def test_bulk_takes_1_to_25_contacts(fake: FakeSendX) -> None:
    contacts = [{"email": f"c{number}@example.com", "tags": ["t"]} for number in range(25)]
    answer = send(fake, "/contact/identify/bulk", contacts)
    assert answer.json() == {"status": "success", "message": "All contacts processed successfully"}
    assert len(fake.contacts) == 25
    assert send(fake, "/contact/identify/bulk", contacts[:1]).is_success
    assert len({contact.id for contact in fake.contacts.values()}) == 25


@pytest.mark.parametrize("count", [0, 26])
def test_bulk_refuses_other_numbers(fake: FakeSendX, count: int) -> None:
    answer = send(fake, "/contact/identify/bulk", [{"email": JANE}] * count)
    assert answer.status_code == 422
    assert message(answer) == f"the array must hold 1 to 25 contacts, not {count}"


def test_bulk_refuses_what_is_no_array(fake: FakeSendX) -> None:
    answer = send(fake, "/contact/identify/bulk", {"email": JANE})
    assert answer.status_code == 422
    assert message(answer) == "the body must be an array of contacts, not an object"


@pytest.mark.parametrize(
    "bad,named",
    [
        ({"email": "x"}, "contact 1: email is not a valid email address"),
        (7, "contact 1 must be an object, not a number"),
        ({"email": JANE, "tags": "x"}, "contact 1: tags must be an array of strings, not a string"),
        ({"email": JANE, "newEmail": "c@d.co"}, "contact 1: newEmail belongs to another contact"),
    ],
)
def test_one_bad_contact_refuses_the_whole_bulk(fake: FakeSendX, bad: object, named: str) -> None:
    send(fake, "/contact/identify/bulk", [{"email": JANE}, {"email": "c@d.co"}])
    answer = send(fake, "/contact/identify/bulk", [{"email": "a@b.co"}, bad, {"email": "e@f.co"}])
    assert answer.status_code == 422
    assert message(answer) == named
    assert set(fake.contacts) == {JANE, "c@d.co"}


def test_within_a_bulk_later_contacts_see_earlier_ones(fake: FakeSendX) -> None:
    answer = send(
        fake,
        "/contact/identify/bulk",
        [
            {"email": JANE, "tags": ["a"]},
            {"email": JANE, "newEmail": "jane@new.co"},
            {"email": "jane@new.co", "tags": ["b"]},
            {"email": JANE, "tags": ["c"]},
        ],
    )
    assert answer.is_success
    assert fake.contact("jane@new.co").tags == {"a", "b"}
    assert fake.contact(JANE).tags == {"c"}


def test_a_bulk_may_rename_within_itself_alone(fake: FakeSendX) -> None:
    identify(fake)
    send(fake, "/contact/identify/bulk", [{"email": JANE, "newEmail": "jane@new.co"}])
    send(
        fake,
        "/contact/identify/bulk",
        [{"email": "x@y.co"}, {"email": "x@y.co", "newEmail": "z@y.co"}],
    )
    assert set(fake.contacts) == {"jane@new.co", "z@y.co"}


def test_track_adds_and_removes_tags(fake: FakeSendX) -> None:
    identify(fake, tags=["old", "keep"])
    answer = send(
        fake,
        "/contact/track",
        {"email": JANE, "addTags": ["new", "both"], "removeTags": ["old", "both", "absent"]},
    )
    assert (answer.status_code, answer.json()) == (200, {"status": "200", "message": "OK"})
    assert fake.contact(JANE).tags == {"keep", "new"}


def test_track_of_an_unknown_contact_is_not_found(fake: FakeSendX) -> None:
    answer = send(fake, "/contact/track", {"email": JANE, "addTags": ["new"]})
    assert answer.status_code == 404
    assert message(answer) == "The contact was not found"
    assert fake.contacts == {}


@pytest.mark.parametrize(
    "body,named",
    [
        ({}, "email is required"),
        ({"email": JANE, "addTags": "x"}, "addTags must be an array of strings, not a string"),
        ({"email": JANE, "removeTags": [0]}, "each of removeTags must be a string, not a number"),
    ],
)
def test_track_refuses_what_it_cannot_read(fake: FakeSendX, body: object, named: str) -> None:
    identify(fake)
    answer = send(fake, "/contact/track", body)
    assert answer.status_code == 422
    assert message(answer) == named


def test_custom_events_count_as_often_as_they_are_sent(fake: FakeSendX) -> None:
    identify(fake)
    contact_id = fake.contact(JANE).id
    body: dict[str, object] = {
        "identifier": JANE.upper(),
        "name": "signup",
        "data": {"plan": "pro", "seats": 3},
        "time": 1_700_000_000,
    }
    for _ in range(2):
        answer = send(fake, "/events/custom", body)
        assert answer.status_code == 200
        assert answer.json()["status"] == "success"
    expected = ReceivedEvent(
        kind="custom",
        contact_id=contact_id,
        identifier=JANE.upper(),
        name="signup",
        data={"plan": "pro", "seats": 3},
        time=1_700_000_000,
    )
    assert fake.events == [expected, expected]


def test_a_custom_event_finds_its_contact_by_id_even_after_a_rename(fake: FakeSendX) -> None:
    identify(fake)
    contact_id = fake.contact(JANE).id
    identify(fake, newEmail="jane@new.co")
    assert send(fake, "/events/custom", {"identifier": contact_id, "name": "n"}).is_success
    assert fake.events == [
        ReceivedEvent(kind="custom", contact_id=contact_id, identifier=contact_id, name="n")
    ]


def test_revenue_events(fake: FakeSendX) -> None:
    identify(fake)
    contact_id = fake.contact(JANE).id
    answer = send(fake, "/events/revenue", {"identifier": JANE, "amount": 9.99, "source": "shop"})
    assert answer.json()["status"] == "success"
    assert send(fake, "/events/revenue", {"identifier": JANE, "amount": 5, "time": 7}).is_success
    assert fake.events == [
        ReceivedEvent(
            kind="revenue", contact_id=contact_id, identifier=JANE, amount=9.99, source="shop"
        ),
        ReceivedEvent(kind="revenue", contact_id=contact_id, identifier=JANE, amount=5, time=7),
    ]


@pytest.mark.parametrize(
    "path,body,named",
    [
        ("custom", {}, "identifier is required"),
        ("custom", {"identifier": JANE}, "name is required"),
        ("custom", {"identifier": "no@one.co", "name": "n"}, "identifier names no known contact"),
        ("custom", {"identifier": "contact_9", "name": "n"}, "identifier names no known contact"),
        ("custom", {"identifier": JANE, "name": "n", "data": []}, "data must be an object"),
        ("custom", {"identifier": JANE, "name": "n", "time": 1.5}, "time must be a whole number"),
        ("custom", {"identifier": JANE, "name": "n", "time": True}, "time must be a number"),
        ("revenue", {"identifier": JANE}, "amount is required"),
        ("revenue", {"identifier": JANE, "amount": "9"}, "amount must be a number, not a string"),
        ("revenue", {"identifier": JANE, "amount": None}, "amount must be a number, not null"),
        (
            "revenue",
            {"identifier": "contact_0000000000000000000001", "amount": 1},
            "no known contact",
        ),
    ],
)
def test_events_refuse_what_they_cannot_read(
    fake: FakeSendX, path: str, body: object, named: str
) -> None:
    identify(fake)
    answer = send(fake, f"/events/{path}", body)
    assert answer.status_code == 422
    assert named in message(answer)
    assert fake.events == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Team-ApiKey": ""},
        {"X-Team-ApiKey": "wrong"},
        {"X-Team-ApiKey": "Bearer sandbox-key"},
    ],
)
def test_a_bad_key_gets_the_documented_answer(fake: FakeSendX, headers: dict[str, str]) -> None:
    answer = send(fake, "/contact/identify", {"email": JANE}, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "status": 401,
        "message": "The Team ID or API Key specified is not valid",
    }
    assert fake.contacts == {}


@pytest.mark.parametrize("key", ["k", "Bearer k"])
def test_a_prefix_may_stand_before_the_key(key: str) -> None:
    fake = FakeSendX(api_key="k", api_key_prefix="Bearer")
    answer = send(fake, "/contact/identify", {"email": JANE}, headers={"X-Team-ApiKey": key})
    assert answer.is_success


def test_the_paths_work_with_the_prefix_of_the_real_server(fake: FakeSendX) -> None:
    assert send(fake, "/api/v1/rest/contact/identify", {"email": JANE}).is_success
    assert fake.requests[0].path == "/api/v1/rest/contact/identify"


@pytest.mark.parametrize(
    "path", ["/", "/contact", "/api/v1/rest//contact/identify", "/contact/identify/"]
)
def test_an_unknown_path_is_not_found(fake: FakeSendX, path: str) -> None:
    answer = send(fake, path, {"email": JANE})
    assert answer.status_code == 404
    assert message(answer) == f"There is no {path}"


def test_a_wrong_method_is_not_allowed(fake: FakeSendX) -> None:
    answer = send(fake, "/contact/track", method="PUT")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert message(answer) == "/contact/track takes POST, not PUT"


def test_the_received_request_is_shown_whole(fake: FakeSendX) -> None:
    body: Any = {"email": JANE, "tags": ["ü"]}
    send(
        fake,
        "/contact/identify",
        body,
        headers={"X-Team-ApiKey": "sandbox-key", "X-Trace": "1"},
    )
    (request,) = fake.requests
    assert (request.method, request.path) == ("POST", "/contact/identify")
    assert request.headers["x-team-apikey"] == "sandbox-key"
    assert request.headers["x-trace"] == "1"
    assert json.loads(request.raw) == request.json == body
    assert (request.status, request.applied, request.disconnected) == (200, True, False)
    assert "sandbox-key" not in repr(request)
    assert repr(request).startswith('<POST /contact/identify {"email": "jane@example.com"')
    assert repr(request).endswith("-> 200, applied>")


def test_a_long_body_is_cut_in_the_repr(fake: FakeSendX) -> None:
    identify(fake, company="x" * 300)
    assert repr(fake.requests[0]).count("x") < 200
    assert "... -> 200, applied>" in repr(fake.requests[0])
