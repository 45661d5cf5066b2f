"""The rules that requests check when they are made, and what requests and responses show."""

import copy
import functools
import pickle
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest

from sendx_async import (
    ApiResponse,
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    InvalidRequestError,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
)

ADDRESS = "jane@example.com"
HALF_A_PAIR = "has half of a surrogate pair, which UTF-8 can't carry: decode the text again"


def identify(**fields: Any) -> IdentifyRequest:
    return IdentifyRequest(ADDRESS, **fields)


def custom(**fields: Any) -> CustomEventRequest:
    return CustomEventRequest(**{"identifier": ADDRESS, "name": "bought", **fields})


def revenue(amount: Any = 1, **fields: Any) -> RevenueEventRequest:
    return RevenueEventRequest(**{"identifier": ADDRESS, "amount": amount, **fields})


def problems_of(make: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(InvalidRequestError) as raised:
        make()
    error = raised.value
    for problem in error.problems:
        assert problem in str(error)
    return error.problems


class AmbiguousValue:
    """Compares and converts like pandas.NA and arrays do: no truth value at all."""

    def __eq__(self, other: object) -> Any:
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("the truth value is ambiguous")


def test_what_is_not_set_is_none() -> None:
    request = identify()
    assert attrs.asdict(request) == {
        "email": ADDRESS, "first_name": None, "last_name": None, "company": None, "tags": None,
        "custom_fields": None, "lists": None, "new_email": None, "extra": {},
    }  # fmt: skip


def test_empty_values_are_kept_as_given() -> None:
    request = identify(
        first_name="", last_name="", company="", tags=[], custom_fields={}, lists=(), new_email=""
    )
    assert (request.first_name, request.last_name, request.company) == ("", "", "")
    assert (request.tags, request.lists, request.custom_fields) == ((), (), {})
    assert request.new_email == ""
    assert custom(data={}).data == {}


def test_requests_are_frozen_and_have_no_other_attributes() -> None:
    request: Any = identify()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        request.email = "other@example.com"
    with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
        request.frist_name = "Jane"
    assert not hasattr(request, "__dict__")


def test_requests_compare_copy_pickle_and_evolve() -> None:
    request = identify(tags=["vip"], custom_fields={"Role": "Boss"}, extra={"newField": [1]})
    for twin in (copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert twin == request
        assert twin is not request
    assert attrs.evolve(request, tags=["other"]).tags == ("other",)
    assert problems_of(lambda: attrs.evolve(request, email="nonsense"))


def test_requests_and_responses_are_hashed_by_their_contents() -> None:
    nested = {"of": [{"a": 1, "b": None}, True], "empty": {}}
    turned = {"empty": {}, "of": [{"b": None, "a": 1.0}, True]}
    response = IdentifyResponse(data=nested, extra={"new": [nested]})
    answer = functools.partial(ApiResponse, status_code=200, raw_data=b"", call_id="1")
    answer = functools.partial(answer, attempts=1, elapsed=1.0)
    pairs: list[tuple[Any, Any, Any]] = [
        (
            identify(custom_fields={"a": 1, "b": 2}, extra=nested),
            identify(custom_fields={"b": 2, "a": 1}, extra=turned),
            identify(custom_fields={"a": 1, "b": 3}, extra=nested),
        ),
        (TrackRequest(ADDRESS), TrackRequest(ADDRESS), TrackRequest(ADDRESS, add_tags=["a"])),
        (custom(data=nested), custom(data=turned), custom(data={**nested, "of": {}})),
        (revenue(1), revenue(1.0), revenue(1, extra=nested)),
        (response, IdentifyResponse(data=turned, extra={"new": [turned]}), IdentifyResponse()),
        (
            answer(response, headers={"a": "1", "b": "2"}),
            answer(response, headers={"b": "2", "a": "1"}),
            answer(response, headers={"a": "1"}),
        ),
        (  # of client.request
            answer([nested], headers={}),
            answer([turned], headers={}),
            answer([nested, nested], headers={}),
        ),
    ]
    for one, same, other in pairs:
        assert one == same
        assert one != other
        assert {one, same, other} == {one, other}
    assert custom(data={}) != custom()
    assert identify(extra={"new": {}}) != identify(extra={"new": []})


@pytest.mark.parametrize("field", ["tags", "lists", "add_tags", "remove_tags"])
class TestStrings:
    @staticmethod
    def make(field: str, value: Any) -> Any:
        model: Any = TrackRequest if field.endswith("_tags") else IdentifyRequest
        return getattr(model(ADDRESS, **{field: value}), field)

    @pytest.mark.parametrize("kind", [list, tuple, dict.fromkeys, deque, iter, frozenset])
    def test_any_iterable_of_strings_becomes_a_tuple(
        self, field: str, kind: Callable[[str], Any]
    ) -> None:
        given = kind("ab")
        kept = self.make(field, given.keys() if isinstance(given, dict) else given)
        assert type(kept) is tuple
        assert sorted(kept) == ["a", "b"]

    def test_a_bare_string_is_refused(self, field: str) -> None:
        (problem,) = problems_of(lambda: self.make(field, "vip"))
        assert problem == f"{field} must be an iterable of str, got a bare str: put it in a list"

    @pytest.mark.parametrize("given", [b"vip", {"vip": 1}, 7, True, object()], ids=type)
    def test_what_is_no_iterable_of_strings_is_refused(self, field: str, given: Any) -> None:
        (problem,) = problems_of(lambda: self.make(field, given))
        assert problem == f"{field} must be an iterable of str, got {type(given).__name__}"

    def test_each_wrong_item_is_named(self, field: str) -> None:
        assert problems_of(lambda: self.make(field, ["a", 1, "b", None, "\ud800"])) == (
            f"{field}[1] must be a str, got int",
            f"{field}[3] must be a str, got None",
            f"{field}[4] {HALF_A_PAIR}",
        )

    def test_later_changes_of_the_given_list_do_not_matter(self, field: str) -> None:
        given = ["a"]
        request = (TrackRequest if field.endswith("_tags") else IdentifyRequest)(
            ADDRESS, **{field: given}  # type: ignore[arg-type]
        )  # fmt: skip
        given.append("b")
        assert getattr(request, field) == ("a",)


@pytest.mark.parametrize("start", [{}, {"a": "b"}])
def test_later_changes_of_given_mappings_do_not_matter(start: dict[str, Any]) -> None:
    given, inner = start.copy(), ["x"]
    nested = {**start, "inner": inner}
    requests: list[Any] = [
        identify(custom_fields=given, extra=given), custom(data=given), custom(data=nested),
    ]  # fmt: skip
    given["later"] = object()
    inner.append("later")
    assert requests[0].custom_fields == start
    assert requests[0].extra == start
    assert requests[1].data == start
    assert requests[2].data == {**start, "inner": ["x"]}


def test_requests_share_no_mapping_that_can_be_changed() -> None:
    extra: Any = identify().extra
    try:
        extra["later"] = 1
        assert identify().extra == {}
    except TypeError:
        pass  # it can't be changed at all
    finally:
        if extra:
            extra.clear()


ACCEPTED = [
    "a@b", "jane.smith+tag@mail.example.co.uk", "O'Brien@EXAMPLE.com", "zoë@exämple.de",
    "x" * 248 + "@b.com", "john@[127.0.0.1]", "john@[IPv6:2001:db8::1]", "a@localhost",
    "jane@mail_1.example.com", "jane@xn--exmple-cua.de", "\u7528\u6237@\u4f8b\u5b50.\u4e2d\u56fd",
    # Quotes and other marks before the @ are allowed; two dots are not, and some have them.
    '"jane"@example.com', '"jane,doe"@example.com', "jane,doe@example.com", "j'@example.com",
    ".jane..doe.@example.com", "!#$%&*/=?^_`{|}~-@example.com", "mailtojane@example.com",
    "jane@example.com-", "mailto@example.com",
]  # fmt: skip
NEITHER = (
    "behind the @, where only letters, digits, dots and hyphens can stand: write a dot, or give "
    "one address alone"
)
EMPTY_LABEL = (
    "has a dot behind the @ with nothing before it: leave it out, or write what is missing"
)
TYPING_ERRORS = [
    ("mailto:jane@example.com", "must be the address alone, without mailto:"),
    ("MailTo:jane@example.com", "must be the address alone, without mailto:"),
    ("Jane <jane@example.com>", "must be the address alone, without a name and without < and >"),
    ("Jane<a@b.co>", "must be the address alone, without a name and without < and >"),
    ("<a@b.co>", "must be the address alone, without a name and without < and >"),
    ('"jane@example.com"', "has quotes around it: leave them out"),
    ("'jane@example.com'", "has quotes around it: leave them out"),
    ("\u201cjane@example.com\u201d", "has quotes around it: leave them out"),
    ("jane@example.com.", "ends with a dot: leave it out"),
    ("jane@example..com", EMPTY_LABEL),
    ("jane@.example.com", EMPTY_LABEL),
    ("jane@example,com", f"has ',' {NEITHER}"),
    ("jane@example.com,", f"has ',' {NEITHER}"),
    ("jane@example.com;joe", f"has ';' {NEITHER}"),
    ("jane@example.com'", f'has "\'" {NEITHER}'),
    ("jane@example.com\u201d", f"has '\u201d' {NEITHER}"),
    ("jane@example.com?subject=x", f"has '?' {NEITHER}"),
    ("jane@example.com/", f"has '/' {NEITHER}"),
    ("jane@[127.0.0.1", f"has '[' {NEITHER}"),
    ("zoë@exämple,de", f"has ',' {NEITHER}"),
]
REFUSED_ADDRESSES = [
    ("", "must not be empty"),
    ("jane", "must be one e-mail address, with text on both sides of exactly one @"),
    ("@example.com", "must be one e-mail address, with text on both sides of exactly one @"),
    ("jane@", "must be one e-mail address, with text on both sides of exactly one @"),
    ("a@b@c", "must be one e-mail address, with text on both sides of exactly one @"),
    ("a@b.co\n", "must not have white space or control characters: strip them"),
    (" a@b.co", "must not have white space or control characters: strip them"),
    ("a\xa0b@c.de", "must not have white space or control characters: strip them"),
    ("a@b\u200b.co", "must not have white space or control characters: strip them"),
    ("a@b\x7f.co", "must not have white space or control characters: strip them"),
    ("a@b.co, d@e.fr", "must be one e-mail address, with text on both sides of exactly one @"),
    ('"a b"@c.de', "must not have white space or control characters: strip them"),
    ("x" * 249 + "@b.com", "must have at most 254 characters, has 255"),
    ("\ud800@b.co", HALF_A_PAIR),
    (7, "must be a str, got int"),
    (b"a@b.co", "must be a str, got bytes"),
    (True, "must be a str, got bool"),
]


class TestAddresses:
    @pytest.mark.parametrize("address", ACCEPTED)
    def test_what_the_server_may_judge_is_accepted(self, address: str) -> None:
        assert IdentifyRequest(address, new_email=address).new_email == address
        assert TrackRequest(address).email == address
        assert revenue(identifier=address).identifier == address

    @pytest.mark.parametrize("address, problem", [*REFUSED_ADDRESSES, *TYPING_ERRORS])
    def test_what_is_no_address_is_refused(self, address: Any, problem: str) -> None:
        assert problems_of(lambda: IdentifyRequest(address)) == (f"email {problem}",)
        assert problems_of(lambda: TrackRequest(address)) == (f"email {problem}",)
        if address != "":
            assert problems_of(lambda: identify(new_email=address)) == (f"new_email {problem}",)

    @pytest.mark.parametrize("address, problem", TYPING_ERRORS)
    def test_an_identifier_with_an_at_is_an_address(self, address: str, problem: str) -> None:
        for make in (partial(custom, identifier=address), partial(revenue, identifier=address)):
            assert problems_of(make) == (f"identifier {problem}",)

    def test_an_identifier_without_one_may_be_anything(self) -> None:
        for identifier in ("mailto:1", "'1'", "1,2;3", "1..", "a@b@c"):
            assert custom(identifier=identifier).identifier == identifier

    def test_identify_needs_an_address(self) -> None:
        none: Any = None
        assert problems_of(lambda: IdentifyRequest(none)) == ("email must be a str, got None",)

    def test_track_may_leave_it_out_on_purpose_only(self) -> None:
        assert TrackRequest(None).email is None
        with pytest.raises(TypeError, match="email"):
            TrackRequest()  # type: ignore[call-arg]

    @pytest.mark.parametrize("make", [custom, revenue])
    @pytest.mark.parametrize(
        "wrong, problem",
        [
            ("", "must not be empty"),
            ("a b", "must not have white space or control characters: strip them"),
            (None, "must be a str, got None"),
        ],
    )
    def test_an_identifier_may_be_an_id(
        self, make: Callable[..., Any], wrong: Any, problem: str
    ) -> None:
        assert make(identifier="contact_123").identifier == "contact_123"
        assert problems_of(lambda: make(identifier=wrong)) == (f"identifier {problem}",)

    def test_an_event_needs_a_name(self) -> None:
        assert custom(name="Bought a book").name == "Bought a book"
        assert problems_of(lambda: custom(name="")) == ("name must not be empty",)
        assert problems_of(lambda: custom(name=None)) == ("name must be a str, got None",)


@pytest.mark.parametrize(
    "make",
    [
        IdentifyRequest, TrackRequest, lambda value: identify(new_email=value),
        lambda value: identify(first_name=value), lambda value: identify(tags=value),
        lambda value: identify(custom_fields=value), lambda value: identify(extra=value),
        lambda value: custom(identifier=value), lambda value: custom(name=value),
        lambda value: custom(data=value), lambda value: custom(time=value), revenue,
        lambda value: revenue(source=value),
    ],
)  # fmt: skip
def test_values_without_a_truth_value_are_refused(make: Callable[[Any], object]) -> None:
    (problem,) = problems_of(lambda: make(AmbiguousValue()))
    assert problem.endswith(f"got {__name__}.AmbiguousValue")


@pytest.mark.parametrize("field", ["first_name", "last_name", "company"])
def test_texts_are_strings_that_utf8_can_carry(field: str) -> None:
    assert getattr(identify(**{field: "Zoë\n🎉"}), field) == "Zoë\n🎉"
    assert problems_of(lambda: identify(**{field: 7})) == (f"{field} must be a str, got int",)
    (problem,) = problems_of(lambda: identify(**{field: "\udcff"}))
    assert problem.startswith(f"{field} has half of a surrogate pair")


def test_all_problems_are_reported_together() -> None:
    wrong: dict[str, Any] = {
        "email": "nonsense",
        "first_name": 1,
        "tags": "vip",
        "custom_fields": {"a": []},
        "extra": {"email": "x"},
    }
    problems = problems_of(lambda: IdentifyRequest(**wrong))
    assert [re.split(r"\W", problem)[0] for problem in problems] == list(wrong)


class TestRepr:
    def test_a_request_shows_which_fields_are_set_and_a_masked_address(self) -> None:
        request = identify(
            first_name="Jane", tags=["secret"], custom_fields={"Role": "Boss"}, extra={"b": 1}
        )
        assert repr(request) == (
            "IdentifyRequest(email='j***@example.com', first_name=..., tags=..., "
            "custom_fields=..., extra=...)"
        )
        assert repr(TrackRequest(None)) == "TrackRequest()"
        assert repr(custom(identifier="contact_123", time=5)) == (
            "CustomEventRequest(identifier='c***', name=..., time=...)"
        )
        assert repr(revenue(5)) == "RevenueEventRequest(identifier='j***@example.com', amount=...)"
        assert "jane" not in f"{request} {request!s} {[request]}"

    @pytest.mark.parametrize("kind", [IdentifyResponse, TrackResponse, EventResponse])
    def test_a_response_hides_contacts(self, kind: type[Any]) -> None:
        assert repr(kind()) == f"{kind.__name__}(status=None, message=None)"
        response = kind(
            status="updated jane@example.com", message="jane@example.com saved",
            data={"email": "jane@example.com"}, extra={"who": "jane@example.com"},
        )  # fmt: skip
        assert repr(response) == (
            f"{kind.__name__}(status='updated j***@example.com', "
            "message='j***@example.com saved', data=..., extra=...)"
        )

    def test_an_api_response_unpacks_and_hides_headers_and_body(self) -> None:
        answer = ApiResponse(
            data=IdentifyResponse(status="200", message="OK"), status_code=200,
            headers={"x-who": "jane"}, raw_data=b"jane", call_id="0" * 16, attempts=2, elapsed=0.5,
        )  # fmt: skip
        data, status_code, headers = answer
        assert (data, status_code, headers) == (answer.data, 200, {"x-who": "jane"})
        assert repr(answer) == (
            "ApiResponse(data=IdentifyResponse(status='200', message='OK'), status_code=200, "
            "call_id='0000000000000000', attempts=2, elapsed=0.5)"
        )
