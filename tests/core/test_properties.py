"""Properties that hold for any input at all, searched for counterexamples by hypothesis."""

import copy
import enum
import json
import math
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sendx_async import (
    ApiError,
    AttemptTimeout,
    ConfigurationError,
    ConnectError,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    ReportedFailureError,
    ResponseDecodeError,
    ResponseLost,
    RetryPolicy,
    RevenueEventRequest,
    SendXError,
    Timeout,
    TrackRequest,
)
from sendx_async._core.answers import decode, parse_retry_after
from sendx_async._core.converter import request_from_wire
from sendx_async._core.errors import api_error_class
from sendx_async._core.masking import mask_addresses
from sendx_async._core.operations import IDENTIFY, IDENTIFY_BULK, SINGLE_OPERATIONS
from sendx_async._core.options import make_base_url, make_timeout
from sendx_async._core.protocol import encode, make_request
from sendx_async._core.secret import make_secret
from sendx_async._core.settings import make_headers
from sendx_async._policy.retry import RetryBudget, retry_delay

pytestmark = pytest.mark.timeout(300)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
graphic = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="@<>"),
                  min_size=1, max_size=20).filter(str.isprintable)  # fmt: skip
# No address begins like this; a domain has dots between its parts only, and no other marks.
locals_ = graphic.filter(lambda text: not text.lower().startswith("mailto:"))
labels = st.text(st.characters(categories=["L", "N"]) | st.just("-"), min_size=1, max_size=9)
domains = st.lists(labels, min_size=1, max_size=3).map(".".join)
addresses = st.builds("{}@{}".format, locals_, domains).filter(str.isprintable)
numbers = st.integers(-(10**300), 10**300) | st.floats(allow_nan=False, allow_infinity=False)
tags = st.none() | st.lists(texts, max_size=4)
times = (
    st.none()
    | st.integers(0, 4_000_000_000)
    | st.datetimes(datetime(1970, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants it
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, json_values, max_size=3)
# A prefix keeps the keys of `extra` apart from the fields' own names.
extras = st.dictionaries(texts.map("x_{}".format), json_values, max_size=3)
fields = st.dictionaries(
    texts, texts | numbers | st.booleans() | st.dates() | st.datetimes(), max_size=3
)
requests = st.one_of(
    st.builds(
        IdentifyRequest, addresses, first_name=st.none() | texts, last_name=st.none() | texts,
        company=st.none() | texts, tags=tags, lists=tags, custom_fields=st.none() | fields,
        new_email=st.none() | st.just("") | addresses, extra=extras,
    ),
    st.builds(TrackRequest, st.none() | addresses, add_tags=tags, remove_tags=tags, extra=extras),
    st.builds(
        CustomEventRequest, addresses, texts.filter(bool), data=st.none() | objects, time=times,
        extra=extras,
    ),
    st.builds(
        RevenueEventRequest, addresses, numbers, source=st.none() | texts, time=times, extra=extras
    ),
)  # fmt: skip


@quick
@given(requests)
def test_any_valid_model_survives_the_wire(request_: Any) -> None:
    kind = type(request_)
    wire = json.loads(encode(request_))
    assert request_from_wire(wire, kind) == request_
    assert json.loads(encode(request_from_wire(wire, kind))) == wire
    assert pickle.loads(pickle.dumps(request_)) == request_ == copy.deepcopy(request_)
    assert hash(pickle.loads(pickle.dumps(request_))) == hash(request_)
    assert attrs.evolve(request_) == request_


@quick
@given(requests)
def test_the_repr_of_a_model_shows_no_value(request_: Any) -> None:
    shown = re.sub(r"(email|identifier)='.*?\*\*\*@.*?'(?=[,)])", r"\1=...", repr(request_))
    assert re.fullmatch(r"\w+\((\w+=\.\.\.(, )?)*\)|\w+\(.*\*\*\*.*\)", shown)


def outcome_of(kind: type[SendXError], make: Callable[[], Any]) -> Any:
    """Give what a function gives, or its error; an error of any other kind is a counterexample."""
    try:
        return make()
    except kind as error:
        return error


def holds_itself(copies: int) -> Callable[[], list[Any]]:
    def make() -> list[Any]:
        endless: list[Any] = []
        endless.extend([endless] * copies)
        return endless

    return make


class Plain(enum.Enum):
    MEMBER = 1


class OfStr(enum.StrEnum):
    MEMBER = "a@b.co"


class Awkward:
    """Compares, hashes, measures and iterates like nothing should."""

    def __eq__(self, other: object) -> bool:
        raise TypeError("not comparable")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("no truth value")

    def __len__(self) -> int:
        raise TypeError("no length")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(),
    st.text(st.characters()), st.binary(max_size=8), st.decimals(), st.fractions(), st.uuids(),
    st.dates(), st.datetimes(), st.times(), st.timedeltas(),
    st.sampled_from([10**400, 1e308, Decimal("sNaN"), Decimal("1E+999999999"),
                     "\ud800", "a@b.co", "", "++1", object, ..., NotImplemented, "x" * 10_000]),
    st.sampled_from([np.int64(1), np.bool_(1), np.float32("nan"), np.str_(),
                     np.datetime64("NaT", "s"), np.longdouble(1) / 3, np.complex64(1),
                     np.void(b"x"), np.array([1]), pd.NA, pd.NaT, pd.Timestamp(0), pd.Timedelta(0),
                     pd.Series([1]), pd.DataFrame(), pl.Series([1]), Plain.MEMBER, OfStr.MEMBER]),
    st.builds(lambda: -(10**5000)), st.builds(Awkward), st.builds(object),
    st.builds(holds_itself(1)), st.builds(holds_itself(2)),
    st.builds(lambda: (tag for tag in "ab")), st.builds(lambda: iter([1, None])),
    st.builds(bytearray), st.builds(lambda: range(3)), st.just(len),
)  # fmt: skip
hashable = st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.binary()
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(
    ["email", "first_name", "firstName", "tags", "lists", "custom_fields", "new_email", "extra",
     "add_tags", "removeTags", "identifier", "name", "data", "time", "amount", "source", "frist"]
)  # fmt: skip


@quick
@given(
    st.sampled_from([IDENTIFY_BULK, *SINGLE_OPERATIONS]),
    junk | st.dictionaries(names | hashable, junk) | st.lists(st.dictionaries(names, junk)),
)
def test_any_junk_makes_a_request_or_an_invalid_request_error(operation: Any, given_: Any) -> None:
    outcome = outcome_of(InvalidRequestError, lambda: make_request(operation, given_))
    if isinstance(outcome, InvalidRequestError):
        assert outcome.problems
        assert pickle.loads(pickle.dumps(outcome)).problems == outcome.problems
    else:
        json.loads(encode(outcome))
        assert repr(outcome)


@settings(quick, max_examples=120)
@given(st.sampled_from(SINGLE_OPERATIONS), st.data())
def test_any_junk_in_a_field_makes_a_model_or_an_invalid_request_error(
    operation: Any, data: st.DataObject
) -> None:
    good = {"email": "a@b.co", "identifier": "i", "name": "n", "amount": 1}
    fields_ = {
        field.name: field.default is attrs.NOTHING for field in attrs.fields(operation.takes)
    }
    values = {name: good[name] for name, is_required in fields_.items() if is_required}
    values[data.draw(st.sampled_from(sorted(fields_)), "field")] = data.draw(junk, "value")
    request = outcome_of(InvalidRequestError, lambda: operation.takes(**values))
    if not isinstance(request, InvalidRequestError):
        assert request_from_wire(json.loads(encode(request)), operation.takes) == request


http_dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format, st.sampled_from(["Mon", "Tuesday", "", "x"]),
    st.integers(-1, 40), st.sampled_from(["Jan", "Nov", "Foo", ""]), st.integers(0, 99999),
    st.integers(-1, 30), st.integers(-1, 70), st.integers(-1, 70),
    st.sampled_from(["GMT", "-0000", "", "+0100", "+9999", "-99999999", "EST", "x"]),
)  # fmt: skip
header_values = (
    st.text(st.characters(max_codepoint=255), max_size=20) | st.integers().map(str)
    | st.floats().map(str) | http_dates
)  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["retry-after", "date", "content-type", "x"]), header_values, max_size=4
)
bodies = (
    st.binary(max_size=60)
    | st.text(max_size=40).map(str.encode)
    | st.dictionaries(
        st.sampled_from(["status", "message", "data", "error", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["message", "code"]),
                                                            inner),
            max_leaves=4,
        ),
    ).map(lambda value: json.dumps(value).encode())
    | st.builds(lambda start, count: start * count,
                st.sampled_from([b"[", b'{"a":', b"9", b"\xef"]), st.integers(1, 3_000))
)  # fmt: skip


@settings(quick, max_examples=120)
@given(
    operation=st.sampled_from([IDENTIFY_BULK, *SINGLE_OPERATIONS]),
    status_code=st.integers(100, 599) | st.integers(200, 204) | st.integers(),
    headers_=headers, body=bodies, now=st.floats(0, 1e11),
)  # fmt: skip
@example(operation=IDENTIFY, status_code=200, headers_={}, body=b'{"status":1e999}', now=0.0)
def test_any_answer_gives_a_response_or_an_error_of_ours(
    operation: Any, status_code: int, headers_: dict[str, str], body: bytes, now: float
) -> None:
    outcome = outcome_of(
        SendXError, lambda: decode(operation, status_code, headers_, body, now=now)
    )
    assert repr(outcome)
    assert str(outcome).isprintable()
    succeeded = 200 <= status_code < 300
    if isinstance(outcome, ApiError):
        after = outcome.retry_after
        assert succeeded == isinstance(outcome, ReportedFailureError)
        assert after is None or (math.isfinite(after) and after >= 0)
        assert pickle.loads(pickle.dumps(outcome)).body == body
    else:
        assert succeeded
        assert isinstance(outcome, (operation.gives, ResponseDecodeError))


@quick
@given(header_values, st.none() | header_values, st.floats(-1e12, 1e12))
def test_retry_after_is_never_negative_or_endless(value: str, date: str | None, now: float) -> None:
    seconds = parse_retry_after(value, date, now=now)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@quick
@given(
    st.lists(addresses.filter(lambda text: len(text.split("@")[0]) > 3), min_size=1, max_size=3),
    st.text(st.characters(categories=["L", "Zs"]), max_size=5),
)
def test_masking_leaves_no_address_readable(found: list[str], between: str) -> None:
    masked = mask_addresses(f" {between} ".join(found))
    for address in found:
        assert address not in masked
        assert f"{address.split('@')[0]}@" not in masked


errors = st.one_of(
    st.builds(ConnectError), st.builds(AttemptTimeout, maybe_delivered=st.booleans()),
    st.builds(ResponseLost, maybe_delivered=st.booleans()), st.builds(ResponseDecodeError),
    st.builds(
        lambda code, after: api_error_class(code)(status_code=code, retry_after=after),
        st.sampled_from([400, 404, 408, 425, 429, 500, 502, 503, 504]) | st.integers(300, 599),
        st.none() | st.floats(0, allow_infinity=False, allow_nan=False),
    ),
)  # fmt: skip
amounts = st.floats(0, 1e9) | st.floats(0) | st.integers(0, 10**400)


def policy_of(max_retries: int, values: list[float]) -> RetryPolicy | None:
    base, cap, budget = values
    try:
        return RetryPolicy(max_retries, base=base, cap=cap, budget=budget)
    except ConfigurationError:
        return None


@settings(quick, max_examples=120)
@given(
    error=errors,
    policy=st.builds(policy_of, st.integers(0, 10**20), st.lists(amounts, min_size=3, max_size=3)),
    replay_safe=st.booleans(), retries_done=st.integers(0, 10**20),
    time_left=st.floats(allow_nan=False), jitter=st.floats(0, 1),
    moments=st.lists(st.floats(0, 1e12), min_size=1, max_size=5),
)  # fmt: skip
def test_a_retry_never_waits_a_negative_or_endless_time_or_beyond_the_deadline(
    *, error: SendXError, policy: RetryPolicy | None, replay_safe: bool, retries_done: int,
    time_left: float, jitter: float, moments: list[float],
) -> None:  # fmt: skip
    budget = RetryBudget()
    for now in moments if policy else []:
        assert policy is not None
        budget.earn()
        delay = retry_delay(
            error, policy=policy, budget=budget, replay_safe=replay_safe,
            retries_done=retries_done, time_left=time_left, jitter=jitter, now=now,
        )  # fmt: skip
        assert delay is None or (math.isfinite(delay) and 0 <= delay < time_left)


@quick
@given(junk)
def test_any_junk_as_a_setting_is_taken_or_a_configuration_error(value: Any) -> None:
    makers: list[Callable[[], object]] = [
        lambda: make_base_url(value), lambda: make_secret(value, None),
        lambda: make_secret("key", value), lambda: make_timeout(value), lambda: Timeout(value),
        lambda: Timeout(1, connect=value), lambda: RetryPolicy(value),
        lambda: RetryPolicy(base=value), lambda: make_headers(value, ()),
        lambda: make_headers({"X-A": value}, ()),
    ]  # fmt: skip
    for make in makers:
        assert outcome_of(ConfigurationError, make) is not None
