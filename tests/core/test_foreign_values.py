"""Values of other libraries and of richer types: each is sent as what it stands for, or refused."""

import dataclasses
import enum
import json
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, TypedDict

import markupsafe
import numpy as np
import pandas as pd
import polars as pl
import pydantic
import pytest

from sendx_async import (
    AsyncTrackingClient,
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    RevenueEventRequest,
    TrackingClient,
    TrackRequest,
)
from sendx_async._core.operations import IDENTIFY, IDENTIFY_BULK
from sendx_async._core.protocol import encode, make_request, operation_for
from sendx_async._streams.source import check_source

ADDRESS = "jane@example.com"
LEAVE_OUT = (
    "which pandas writes for an empty cell: leave it out, or make it None with "
    "df.astype(object).where(df.notna(), None)"
)


class Tag(enum.StrEnum):
    VIP = "vip"


class OldTag(str, enum.Enum):  # noqa: UP042 - its str() is not its value
    VIP = "vip"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float, enum.Enum):
    HALF = 0.5


class Plan(enum.Enum):
    PRO = "pro"


class Contact(NamedTuple):
    email: str
    first_name: str


class ContactDict(TypedDict):
    email: str
    first_name: str


@dataclasses.dataclass
class ContactClass:
    email: str
    first_name: str


class ContactModel(pydantic.BaseModel):
    email: str
    first_name: str
    last_name: str | None = None


def sent(request: Any) -> Any:
    return json.loads(encode(request))


def problem_of(make: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequestError) as raised:
        make()
    (problem,) = raised.value.problems
    return problem


def field(value: Any) -> Any:
    request = IdentifyRequest(ADDRESS, custom_fields={"Field": value})
    return sent(request).get("customFields", {}).get("Field")


def datum(value: Any) -> Any:
    return sent(CustomEventRequest(ADDRESS, "bought", data={"a": [value]}))["data"]["a"][0]


def extra(value: Any) -> Any:
    return sent(IdentifyRequest(ADDRESS, extra={"a": {"b": value}}))["a"]["b"]


def amount(value: Any) -> Any:
    return sent(RevenueEventRequest(ADDRESS, value))["amount"]


def time(value: Any) -> Any:
    return sent(CustomEventRequest(ADDRESS, "bought", time=value))["time"]


def text_at(value: Any) -> list[Any]:
    """Put a text wherever one may stand, and give what is sent in each place."""
    identify = sent(
        IdentifyRequest(
            ADDRESS, first_name=value, last_name=value, company=value, tags=[value, "x"],
            lists=(value,), custom_fields={value: value}, extra={value: [value]},
        )
    )  # fmt: skip
    track = sent(TrackRequest(ADDRESS, add_tags=[value], remove_tags=iter([value])))
    event = sent(CustomEventRequest(value, value, data={value: {value: value}}))
    revenue = sent(RevenueEventRequest(value, 1, source=value))
    ((key, inner),) = event["data"].items()
    return [
        identify["firstName"], identify["lastName"], identify["company"], identify["tags"][0],
        identify["lists"][0], *identify["customFields"], *identify["customFields"].values(),
        *identify.keys() - {"email", "firstName", "lastName", "company", "tags", "lists",
                            "customFields"},
        identify["vip"][0], *track["addTags"], *track["removeTags"], event["identifier"],
        event["name"], key, *inner, *inner.values(), revenue["identifier"], revenue["source"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", [Tag.VIP, OldTag.VIP, markupsafe.Markup("vip"), np.str_("vip")], ids=type
)
def test_a_string_of_a_richer_type_is_sent_as_its_text_from_everywhere(value: Any) -> None:
    places = text_at(value)
    assert len(places) == 18
    assert set(places) == {"vip"}


def test_what_is_kept_is_plain() -> None:
    address, five = np.str_(ADDRESS), np.array([5])[0]
    request = IdentifyRequest(
        address, first_name=OldTag.VIP, tags=[OldTag.VIP], new_email=address,
        custom_fields={OldTag.VIP: OldTag.VIP}, extra={Tag.VIP: Level.HIGH},
    )  # fmt: skip
    (field_and_text,) = (request.custom_fields or {}).items()
    kept = [
        request.email, request.new_email, request.first_name, *(request.tags or ()),
        *field_and_text, *request.extra,
    ]  # fmt: skip
    assert {type(each) for each in kept} == {str}
    assert repr(request).startswith("IdentifyRequest(email='j***@example.com'")
    assert type(request.extra["vip"]) is int
    assert type(RevenueEventRequest(address, Level.HIGH).amount) is int
    assert type(CustomEventRequest(address, "n", time=five).time) is int


@pytest.mark.parametrize(
    "value,text,number",
    [
        (np.int64(27), "27", 27), (np.uint8(255), "255", 255), (np.float64(2.5), "2.5", 2.5),
        (np.float32(0.1), "0.1", 0.1), (np.float16(0.1), "0.1", 0.1),
        (np.longdouble("0.1"), "0.1", 0.1), (np.float32(3.4028235e38), None, 2.0**128 - 2.0**104),
        (np.float16(65504), "65504", 65504.0), (np.float64(27), "27", 27.0),
        (np.float32(16777216), "16777216", 16777216.0),
        (Level.HIGH, "3", 3), (Ratio.HALF, "0.5", 0.5),
        (Fraction(1, 8), "0.125", 0.125), (Fraction(6, 2), "3", 3),
        (pd.Series([27]).iloc[0], "27", 27), (pd.Series([27], dtype="Int64").iloc[0], "27", 27),
        (pl.Series([27])[0], "27", 27), (pd.Series([1.5]).sum(), "1.5", 1.5),
    ],
    ids=repr,
)  # fmt: skip
def test_other_libraries_numbers_are_sent_like_pythons(
    value: Any, text: str | None, number: float
) -> None:
    assert field(value) == (text or "34028234663852886" + "0" * 22)
    assert amount(value) == number
    assert type(amount(value)) is type(number)
    # A fraction is a Decimal, which in a free object is a text, since JSON's readers may round it.
    expected = text if value == Fraction(1, 8) else number
    assert (datum(value), extra(value)) == (expected, expected)
    if number == int(number) and number < 2**32:
        assert time(value) == number


@pytest.mark.parametrize("value", [True, False])
def test_numpys_truth_values_are_pythons(value: bool) -> None:
    for given in (np.bool_(value), pd.Series([value]).iloc[0]):
        assert field(given) == str(value).lower()
        assert datum(given) is extra(given) is value
        for make in (amount, time):
            assert problem_of(partial(make, given)).endswith("got bool")


def test_a_type_is_named_with_its_module_unless_it_is_a_builtin() -> None:
    kinds: dict[Any, str] = {
        IdentifyRequest: "sendx_async.IdentifyRequest",
        np.bool_: f"numpy.{np.bool_.__name__}", Decimal: "decimal.Decimal", bool: "bool",
    }  # fmt: skip
    for kind, name in kinds.items():
        value = kind(ADDRESS if kind is IdentifyRequest else 1)
        make = partial(IdentifyRequest, ADDRESS, first_name=value)
        assert problem_of(make) == f"first_name must be a str, got {name}"


class TestMoments:
    @pytest.mark.parametrize(
        "value,text",
        [
            (np.datetime64("2026-11-23"), "2026-11-23"),
            (np.datetime64("2026-11"), "2026-11-01"),
            (np.datetime64("2026-11-23T09:05"), "2026-11-23T09:05:00"),
            (np.datetime64("2026-11-23T09:05", "ns"), "2026-11-23T09:05:00"),
            (pd.Timestamp("2026-11-23T09:05"), "2026-11-23T09:05:00"),
            (pd.Timestamp("2026-11-23T09:05", tz="UTC"), "2026-11-23T09:05:00+00:00"),
            (pl.Series([datetime(2026, 11, 23, 9, 5)])[0], "2026-11-23T09:05:00"),  # noqa: DTZ001
        ],
        ids=repr,
    )
    def test_in_fields_they_are_iso_texts(self, value: Any, text: str) -> None:
        assert field(value) == datum(value) == extra(value) == text

    def test_a_time_is_aware_or_a_number(self) -> None:
        moment = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
        assert time(pd.Timestamp(moment)) == time(np.int64(moment.timestamp())) == 1795424700
        assert time(np.float64(moment.timestamp() + 0.5)) == 1795424700
        for naive in (np.datetime64("2026-11-23T09:05", "ns"), pd.Timestamp("2026-11-23")):
            assert problem_of(partial(time, naive)) == (
                "time must be an aware datetime: add tzinfo"
            )

    @pytest.mark.parametrize(
        "value", [np.timedelta64(5, "s"), np.timedelta64(5, "ns"), np.datetime64("99999-01-01")],
        ids=repr,
    )  # fmt: skip
    def test_what_python_has_no_date_for_is_refused(self, value: Any) -> None:
        for make in (field, time, amount, datum):
            assert f"got numpy.{type(value).__name__}" in problem_of(partial(make, value))


class TestEmptyCells:
    @pytest.mark.parametrize(
        "value,name",
        [
            (float("nan"), "NaN"), (np.float64("nan"), "NaN"), (np.float32("nan"), "NaN"),
            (Decimal("NaN"), "NaN"), (Decimal("sNaN"), "NaN"), (pd.NA, "pandas.NA"),
            (pd.NaT, "pandas.NaT"), (np.datetime64("NaT", "s"), "NaT"),
            (np.datetime64("NaT", "ns"), "NaT"),
        ],
        ids=str,
    )  # fmt: skip
    def test_they_are_named_as_what_they_are(self, value: Any, name: str) -> None:
        says = f"is {name}, {LEAVE_OUT}"
        makers: dict[str, Callable[[], object]] = {
            "email": lambda: IdentifyRequest(value),
            "first_name": lambda: IdentifyRequest(ADDRESS, first_name=value),
            "new_email": lambda: IdentifyRequest(ADDRESS, new_email=value),
            "tags": lambda: IdentifyRequest(ADDRESS, tags=value),
            "tags[1]": lambda: IdentifyRequest(ADDRESS, tags=["a", value]),
            "custom_fields": lambda: IdentifyRequest(ADDRESS, custom_fields=value),
            "custom_fields['Field']": lambda: field(value),
            "extra": lambda: IdentifyRequest(ADDRESS, extra=value),
            "extra['a']['b']": lambda: extra(value),
            "identifier": lambda: CustomEventRequest(value, "n"),
            "name": lambda: CustomEventRequest(ADDRESS, value),
            "data": lambda: CustomEventRequest(ADDRESS, "n", data=value),
            "data['a'][0]": lambda: datum(value),
            "time": lambda: time(value),
            "amount": lambda: amount(value),
            "source": lambda: RevenueEventRequest(ADDRESS, 1, source=value),
        }
        assert {place: problem_of(make) for place, make in makers.items()} == {
            place: f"{place} {says}" for place in makers
        }

    def test_the_line_in_the_error_makes_them_none_in_every_kind_of_column(self) -> None:
        df = pd.DataFrame({
            "email": [ADDRESS], "text": [None], "float": [float("nan")],
            "time": pd.to_datetime([None]), "zoned": pd.to_datetime([None], utc=True),
            "Int64": pd.array([None], dtype="Int64"), "string": pd.array([None], dtype="string"),
            "boolean": pd.array([None], dtype="boolean"), "category": pd.Categorical([None]),
        })  # fmt: skip
        (row,) = df.astype(object).where(df.notna(), None).to_dict("records")
        assert row == {**dict.fromkeys(df), "email": ADDRESS}
        assert "df.astype(object).where(df.notna(), None)" in LEAVE_OUT

    def test_infinity_is_no_empty_cell(self) -> None:
        for value in (float("inf"), np.float32("inf"), Decimal("Infinity")):
            assert "finite" in problem_of(partial(amount, value))


class TestNoneInCustomFields:
    def test_it_means_not_set(self) -> None:
        request = IdentifyRequest(ADDRESS, custom_fields={"Role": None, "Plan": "pro"})
        assert request.custom_fields == {"Plan": "pro"}

    def test_if_all_are_none_nothing_is_sent(self) -> None:
        assert sent(IdentifyRequest(ADDRESS, custom_fields={"Role": None})) == {"email": ADDRESS}
        empty = IdentifyRequest(ADDRESS, custom_fields={})
        assert sent(empty) == {"email": ADDRESS, "customFields": {}}


class TestAdvice:
    @pytest.mark.parametrize(
        "value,advice",
        [
            (Plan.PRO, f"got {__name__}.Plan: pass member.value"),
            (uuid.UUID(int=1), "got uuid.UUID: pass str(uuid)"),
            (Fraction(1, 3),
             "fractions.Fraction: it has no end as a decimal number, so pass float(fraction)"),
        ],
        ids=repr,
    )  # fmt: skip
    def test_a_scalar_that_is_refused_says_what_to_pass(self, value: Any, advice: str) -> None:
        for make in (
            field, datum, extra, amount, time,
            IdentifyRequest,
            lambda value: IdentifyRequest(ADDRESS, company=value),
            lambda value: IdentifyRequest(ADDRESS, tags=[value]),
            lambda value: IdentifyRequest(ADDRESS, custom_fields={value: "x"}),
            lambda value: CustomEventRequest(value, "n"),
            lambda value: CustomEventRequest(ADDRESS, "n", data={value: 1}),
        ):  # fmt: skip
            assert problem_of(partial(make, value)).endswith(advice)

    @pytest.mark.parametrize(
        "value,advice",
        [
            (Contact(ADDRESS, "Jane"), f"{__name__}.Contact: pass row._asdict()"),
            (ContactClass(ADDRESS, "Jane"),
             f"{__name__}.ContactClass: pass dataclasses.asdict(it)"),
            (ContactModel(email=ADDRESS, first_name="Jane"),
             f"{__name__}.ContactModel: pass model.model_dump(exclude_none=True)"),
            (pd.Series({"email": ADDRESS}), ".Series: pass row.to_dict()"),
            (np.array([1]), "numpy.ndarray: pass array.tolist()"),
            # Its tolist gives what is refused as well.
            (np.bytes_(b"x"), "got numpy.bytes_"),
            (np.timedelta64(1, "D"), "got numpy.timedelta64"),
        ],
        ids=lambda value: type(value).__name__,
    )  # fmt: skip
    def test_what_has_parts_says_how_to_make_a_mapping_of_it(self, value: Any, advice: str) -> None:
        for make in (
            datum, extra,
            lambda value: make_request(IDENTIFY, value),
            operation_for,
            lambda value: IdentifyRequest(ADDRESS, custom_fields=value),
            lambda value: CustomEventRequest(ADDRESS, "n", data=value),
        ):  # fmt: skip
            assert problem_of(partial(make, value)).endswith(advice)
        assert "pass" not in problem_of(lambda: IdentifyRequest(ADDRESS, first_name=value))

    def test_the_lines_work(self) -> None:
        expected = IdentifyRequest(ADDRESS, first_name="Jane")
        as_dict: ContactDict = {"email": ADDRESS, "first_name": "Jane"}
        for given in (
            as_dict,
            Contact(ADDRESS, "Jane")._asdict(),
            dataclasses.asdict(ContactClass(ADDRESS, "Jane")),
            ContactModel(email=ADDRESS, first_name="Jane").model_dump(exclude_none=True),
            pd.Series(as_dict).to_dict(),
        ):
            assert make_request(IDENTIFY, given) == expected
        assert datum(np.array([1]).tolist()) == [1]

    def test_a_row_of_a_database_needs_its_names(self) -> None:
        with sqlite3.connect(":memory:") as connection:
            (row,) = connection.execute("SELECT 'jane@example.com' AS email")
            assert problem_of(lambda: operation_for(row)).endswith(
                "got tuple: pass dict(zip(names, row))"
            )
            assert problem_of(lambda: operation_for(())).endswith("pass dict(zip(names, row))")
            connection.row_factory = sqlite3.Row
            (row,) = connection.execute("SELECT 'jane@example.com' AS email")
        connection.close()
        assert problem_of(lambda: operation_for(row)).endswith("got sqlite3.Row: pass dict(row)")
        assert make_request(IDENTIFY, dict(row)) == IdentifyRequest(ADDRESS)

    def test_a_row_of_iterrows_comes_with_its_index(self) -> None:
        (row,) = pd.DataFrame({"email": [ADDRESS]}).iterrows()
        advice = "got tuple: pass row.to_dict() for each (index, row)"
        assert problem_of(lambda: operation_for(row)).endswith(advice)

    def test_a_mapping_where_a_text_belongs_gets_no_advice(self) -> None:
        assert problem_of(lambda: datum({1: 2})).endswith("has a key that must be a str, got int")
        assert problem_of(lambda: IdentifyRequest(ADDRESS, tags={"a": 1})).endswith("got dict")


FRAME = {"email": [ADDRESS, "joe@example.com"]}


class TestFramesAsSources:
    @pytest.mark.parametrize(
        "source,line",
        [
            (pd.DataFrame(FRAME), 'df.to_dict("records")'),
            (pd.DataFrame(FRAME)["email"], "series.to_list()"),
            (pl.DataFrame(FRAME), "df.iter_rows(named=True)"),
            (pl.LazyFrame(FRAME), "df.collect().iter_rows(named=True)"),
            (pl.DataFrame(FRAME)["email"], "series.to_list()"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__module__,
    )
    def test_they_are_refused_with_the_line_that_works(self, source: Any, line: str) -> None:
        client = AsyncTrackingClient("key")
        with TrackingClient("key") as sync_client:
            for make in (client.send_many, sync_client.send_many, sync_client.identify_contacts):
                problem = problem_of(partial(make, source))
                assert problem.endswith(f"{type(source).__name__}: give {line}")
        rows = eval(line, {"df": source, "series": source})
        if "series" not in line:
            requests = make_request(IDENTIFY_BULK, check_source(rows, object))
            assert [each.email for each in requests] == FRAME["email"]

    def test_what_only_looks_like_one_is_a_source(self) -> None:
        class Cursor(list[Any]):
            def to_list(self) -> list[Any]:
                return list(self)

            to_dict = to_dicts = to_list

        assert check_source(Cursor(), object) == []
