"""What a caller's method, path, parameters and JSON become, and what is said of what can't be."""

import json as json_
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async import ConfigurationError, InvalidRequestError
from sendx_async._core.operations import Operation
from sendx_async._core.protocol import encode
from sendx_async._core.raw_request import RawRequest, make_raw_request

CONTACT = "/contact/{identifier}"


def made(
    method: Any = "POST",
    path: Any = "/contact",
    *,
    path_params: Any = None,
    params: Any = None,
    json: Any = None,
    replay_safe: Any = None,
) -> tuple[Operation[RawRequest, Any], RawRequest]:
    return make_raw_request(
        method, path, path_params=path_params, params=params, json=json, replay_safe=replay_safe
    )


def path_of(**options: Any) -> str:
    return made(**options)[1].path


def problems_of(**options: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidRequestError) as caught:
        made(**options)
    assert str(caught.value) == "request: " + "; ".join(caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    "value, quoted",
    [
        ("contact_BnKjkbBBS500CoBCP0oChQ", "contact_BnKjkbBBS500CoBCP0oChQ"),
        ("jane@example.com", "jane%40example.com"),
        ("a/b?c#d%e", "a%2Fb%3Fc%23d%25e"),
        ("%2e%2e", "%252e%252e"),
        ("o'neil+x y@exämple.com", "o%27neil%2Bx%20y%40ex%C3%A4mple.com"),
        ("a..b/...", "a..b%2F..."),
        ("{identifier}", "%7Bidentifier%7D"),
        (7, "7"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 11, 23), "2026-11-23"),
    ],
)
def test_what_fills_a_path_is_quoted(value: object, quoted: str) -> None:
    path = path_of(path=CONTACT, path_params={"identifier": value})
    assert path == f"/contact/{quoted}"


@given(st.text(min_size=1))
def test_whatever_fills_a_path_stays_one_part_of_it(value: str) -> None:
    try:
        path = path_of(path="/a/{x}/b", path_params={"x": value})
    except InvalidRequestError:
        return
    url = httpx.URL(f"https://sendx.test/rest{path}")
    sent = url.raw_path.decode()
    assert sent == f"/rest{path}"
    assert urlsplit(f"https://sendx.test{sent}").path == sent
    begin, filled, end = sent.split("/")[2:]
    assert (begin, unquote(filled), end) == ("a", value, "b")


def test_names_may_be_several_and_share_a_part() -> None:
    path = path_of(path="/a-{x}/{y}.{x}", path_params={"x": 1, "y": "é"})
    assert path == "/a-1/%C3%A9.1"


@pytest.mark.parametrize(
    "path_params, problem",
    [
        (None, "path_params['identifier'] is missing"),
        ({}, "path_params['identifier'] is missing"),
        ([("identifier", "a")], "path_params must be a mapping, got list"),
        ({"identifier": ""}, "path_params['identifier'] must not be empty"),
        ({"identifier": "."}, "path_params['identifier'] must not be or hold . or .."),
        ({"identifier": ".."}, "path_params['identifier'] must not be or hold . or .."),
        ({"identifier": "../identify"}, "path_params['identifier'] must not be or hold . or .."),
        ({"identifier": "a\\..\\b"}, "path_params['identifier'] must not be or hold . or .."),
        ({"identifier": "a@b.co\n"}, "path_params['identifier'] must not have line breaks"),
        ({"identifier": "\ud800"}, "path_params['identifier'] has half of a surrogate pair"),
        ({"identifier": None}, "path_params['identifier'] must be a str, int,"),
        ({"identifier": ["a"]}, "path_params['identifier'] must be a str, int,"),
        ({"identifier": math.nan}, "path_params['identifier'] is NaN"),
    ],
)
def test_what_would_make_another_path_is_refused_by_name(path_params: Any, problem: str) -> None:
    first, *_ = problems_of(path=CONTACT, path_params=path_params)
    assert first.startswith(problem)


def test_a_name_that_is_not_in_the_path_is_named() -> None:
    problems = problems_of(path=CONTACT, path_params={"identfier": "a", "jane@example.com": 1})
    assert problems == (
        "path_params['identfier'] is not in the path",
        "path_params['j***@example.com'] is not in the path",
        "path_params['identifier'] is missing",
    )


@pytest.mark.parametrize(
    "path, problem",
    [
        (None, "path must be a str such as"),
        (b"/contact", "path must be a str such as"),
        ("", "path must be such as"),
        ("/", "path must be such as"),
        ("contact", "path must be such as"),
        ("/contact/", "path must be such as"),
        ("//evil.example/contact", "path must be such as"),
        ("/contact//tags", "path must be such as"),
        ("https://evil.example/contact", "path must be such as"),
        ("/contact?limit=5", "path must be such as"),
        ("/contact#top", "path must be such as"),
        ("/contact/jane@example.com", "path must be such as"),
        ("/contact/jane%40example.com", "path must be such as"),
        ("/contact/%2e%2e/list", "path must be such as"),
        ("/contact/é", "path must be such as"),
        ("/contact/a b", "path must be such as"),
        ("/contact\\..\\list", "path must be such as"),
        ("/contact/{identifier", "path must be such as"),
        ("/contact/{}", "path must be such as"),
        ("/contact/{a b}", "path must be such as"),
        ("/contact/../list", "path must not have . or .."),
        ("/contact/.", "path must not have . or .."),
        ("/contact/contact_BnKjkbBBS500CoBCP0oChQ", "path holds an id"),
        ("/post/category/post_category_YzS1wOU20yw87UUHKxMzwn", "path holds an id"),
        ("/list/OcuxJHdiAvujmwQVJfd3ss", "path holds an id"),
    ],
)
def test_a_path_is_one_below_the_base_url_and_names_nobody(path: Any, problem: str) -> None:
    (only,) = problems_of(path=path, path_params={"identifier": "a"})[:1]
    assert only.startswith(problem)
    assert "jane" not in only


def test_dots_that_meet_in_a_path_lead_nowhere() -> None:
    (only,) = problems_of(path="/a/.{x}", path_params={"x": "."})
    assert only.startswith("path_params['x'] must not be or hold . or .. between slashes")
    assert path_of(path="/a/{x}{x}", path_params={"x": "b"}) == "/a/bb"


# Of the OpenAPI document of SendX, September 2025.
DOCUMENTED_PATHS = [
    "/send/email", "/send/template", "/contact", "/contact/{identifier}",
    "/contact/unsubscribe/{identifier}", "/contact/identify", "/contact/track", "/campaign",
    "/campaign/{identifier}", "/list", "/list/{identifier}", "/tag", "/tag/{identifier}", "/sender",
    "/template/email", "/template/email/{identifier}", "/customfield", "/customfield/{identifier}",
    "/webhook", "/webhook/{identifier}", "/events/revenue", "/events/custom",
    "/events/revenue/postback", "/events/custom/postback", "/report/campaign/{identifier}", "/post",
    "/post/{identifier}", "/post/category", "/post/category/{identifier}", "/post/tag",
    "/post/tag/{identifier}", "/team/member", "/team/member/{identifier}",
]  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTED_PATHS)
def test_each_documented_path_can_be_called(path: str) -> None:
    is_of_one = path.endswith("{identifier}")
    identifier = {"identifier": "contact_BnKjkbBBS500CoBCP0oChQ"} if is_of_one else {}
    filled = path_of(path=path, path_params=identifier)
    assert filled == path.replace("{identifier}", "contact_BnKjkbBBS500CoBCP0oChQ")


@pytest.mark.parametrize(
    "params, query",
    [
        (None, ""),
        ({}, ""),
        ({"limit": 50, "offset": 0}, "?limit=50&offset=0"),
        ({"search": "jane+x@example.com & co"}, "?search=jane%2Bx%40example.com%20%26%20co"),
        ({"archived": True, "sent": False}, "?archived=true&sent=false"),
        ({"search": None, "limit": 5}, "?limit=5"),
        ({"search": ""}, "?search="),
        ({"id": ["a", 2, False]}, "?id=a&id=2&id=false"),
        ({"id": ("a",)}, "?id=a"),
        ({"id": {"a"}}, "?id=a"),
        ({"id": []}, ""),
        ({"amount": 19.9, "exact": Decimal("1.10")}, "?amount=19.9&exact=1.10"),
        ({"day": date(2026, 1, 2)}, "?day=2026-01-02"),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, "?at=2026-01-02T00%3A00%3A00%2B00%3A00"),
        ({"größe": "µ"}, "?gr%C3%B6%C3%9Fe=%C2%B5"),
    ],
)
def test_a_query_is_written_as_one_would_expect(params: Any, query: str) -> None:
    assert path_of(params=params) == f"/contact{query}"


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers(-9, 9)))
def test_a_query_can_be_read_back(params: Mapping[str, object]) -> None:
    try:
        path = path_of(params=params)
    except InvalidRequestError:
        return
    sent = httpx.URL(f"https://sendx.test{path}").query.decode()
    read = dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(params)))
    assert read == {name: str(value) for name, value in params.items()}


@pytest.mark.parametrize(
    "params, problem",
    [
        ("a=b", "params must be a mapping, got str"),
        ([("a", "b")], "params must be a mapping, got list"),
        ({7: "a"}, "params has a name that must be a str, got int"),
        ({"": "a"}, "params has a name that must not be empty"),
        ({"a": {"b": 1}}, "params['a'] must be a str, int,"),
        ({"a": b"b"}, "params['a'] must be a str, int,"),
        ({"a": ["b", None]}, "params['a'] must be a str, int,"),
        ({"a": math.inf}, "params['a'] must be a finite number"),
        ({"a": "\ud800"}, "params['a'] has half of a surrogate pair"),
        ({"a": "b" * 16_001}, "path and params have more than 16000 characters together"),
    ],
)
def test_what_a_query_cannot_say_is_refused_by_name(params: Any, problem: str) -> None:
    (only,) = problems_of(params=params)
    assert only.startswith(problem)


@pytest.mark.parametrize(
    "json, body",
    [
        (None, b""),
        ({}, b"{}"),
        ([], b"[]"),
        (0, b"0"),
        (False, b"false"),
        ("", b'""'),
        ({"a": None, "b": [1, 2.5, "\xe9"]}, b'{"a":null,"b":[1,2.5,"\\u00e9"]}'),
        ({"day": date(2026, 1, 2), "sum": Decimal("1.10")}, b'{"day":"2026-01-02","sum":"1.10"}'),
        (({"a": 1},), b'[{"a":1}]'),
    ],
)
def test_any_json_is_a_body_and_none_is_none(json: Any, body: bytes) -> None:
    assert encode(made(json=json)[1]) == body


def test_a_body_is_what_it_was_when_the_call_was_made() -> None:
    given_json: dict[str, Any] = {"tags": ["a"]}
    _, request = made(json=given_json)
    given_json["tags"].append("b")
    assert json_.loads(encode(request)) == {"tags": ["a"]}


@pytest.mark.parametrize(
    "json, problem",
    [
        (math.nan, "json is NaN"),
        ({"a": [1, math.inf]}, "json['a'][1] must be a finite number"),
        ({"a": object()}, "json['a'] must be what JSON can carry, got object"),
        ({7: 1}, "json has a key that must be a str, got int"),
        (b"{}", "json must be what JSON can carry, got bytes"),
        ("\ud800", "json has half of a surrogate pair"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_name(json: Any, problem: str) -> None:
    (only,) = problems_of(json=json)
    assert only.startswith(problem)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_only_reads_takes_no_body(method: str) -> None:
    assert problems_of(method=method, json={}) == (
        f"json can't be sent with {method}: params makes the query",
    )


@pytest.mark.parametrize("method", ["get", "OPTIONS", "TRACE", "CONNECT", "", None, 7, "GET "])
def test_only_these_methods_are_known(method: Any) -> None:
    (only,) = problems_of(method=method)
    assert only == "method must be one of GET, HEAD, POST, PUT, PATCH, DELETE, in capitals"


@pytest.mark.parametrize(
    "method, is_safe",
    [
        ("GET", True),
        ("HEAD", True),
        ("PUT", True),
        ("DELETE", True),
        ("POST", False),
        ("PATCH", False),
    ],
)
def test_what_may_be_repeated_goes_by_the_method_unless_the_caller_says(
    method: str, is_safe: bool
) -> None:
    operation, request = made(method)
    assert operation.is_replay_safe(request) is is_safe
    for said in (True, False):
        operation, request = made(method, replay_safe=said)
        assert operation.is_replay_safe(request) is said
    assert (operation.name, operation.path, operation.method) == ("request", "/contact", method)


def test_only_a_flag_says_whether_to_repeat() -> None:
    with pytest.raises(ConfigurationError, match="replay_safe must be True or False, got str"):
        made(replay_safe="yes")


def test_all_that_is_wrong_is_said_at_once() -> None:
    problems = problems_of(method="get", path=CONTACT, params={"a": {}}, json={"b": math.nan})
    assert [problem.split()[0] for problem in problems] == [
        "method",
        "path_params['identifier']",
        "params['a']",
        "json['b']",
    ]
