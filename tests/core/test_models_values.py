"""How the values of a request's fields are converted, and which of them are refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest

from sendx_async import (
    CustomEventRequest,
    IdentifyRequest,
    InvalidRequestError,
    RevenueEventRequest,
)

ADDRESS = "jane@example.com"


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


class PlainInt(int):
    def __str__(self) -> str:
        return "not a number"

    __repr__ = __str__


class PlainFloat(float):
    def __str__(self) -> str:
        return "not a number"

    __repr__ = __str__


@pytest.mark.parametrize(
    "given, kept",
    [
        ("Engineering", "Engineering"), ("", ""), ("++34", "++34"), ("Zoë 🎉", "Zoë 🎉"),
        (True, "true"), (False, "false"),
        (27, "27"), (-3, "-3"), (0, "0"), (10**300, "1" + "0" * 300),
        (2.5, "2.5"), (0.1, "0.1"), (1e22, "1" + "0" * 22), (1.5e-7, "0.00000015"),
        (Decimal("19.90"), "19.90"), (Decimal("1E+3"), "1000"), (Decimal("1E-9"), "0.000000001"),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
        (date(2026, 11, 23), "2026-11-23"),
        (datetime(2026, 11, 23, 9, 5, tzinfo=UTC), "2026-11-23T09:05:00+00:00"),
        (datetime(2026, 11, 23, 9, 5), "2026-11-23T09:05:00"),  # noqa: DTZ001 - a naive one is meant
        (PlainInt(5), "5"), (PlainFloat(1.5), "1.5"),
    ],
)  # fmt: skip
def test_custom_fields_become_the_text_a_person_expects(given: Any, kept: str) -> None:
    request = identify(custom_fields={"Field": given})
    assert request.custom_fields == {"Field": kept}


@pytest.mark.parametrize(
    "given",
    [float("inf"), Decimal("-Infinity"), 10**400,
     Decimal("1E+1000000"), Decimal("1E-1000000")],
)  # fmt: skip
def test_numbers_that_cannot_be_written_are_refused(given: Any) -> None:
    for make in (
        lambda: identify(custom_fields={"Age": given}),
        lambda: custom(data={"Age": given}),
        lambda: identify(extra={"Age": given}),
    ):
        (problem,) = problems_of(make)
        assert problem.endswith("['Age'] must be a finite number that fits a double")


@pytest.mark.parametrize("given", [["a"], b"x", object(), {"a": "b"}], ids=type)
def test_other_custom_field_values_are_refused_by_name(given: Any) -> None:
    name = type(given).__name__
    (problem,) = problems_of(lambda: identify(custom_fields={"Role": given}))
    assert problem == (
        f"custom_fields['Role'] must be a str, int, float, Decimal, bool, date or datetime, "
        f"got {name}"
    )


def test_custom_fields_report_each_bad_entry_and_show_no_address() -> None:
    problems = problems_of(
        lambda: identify(custom_fields={"a": [], 1: "x", "jane@example.com": {}, "b": "\udfff"})
    )
    assert [problem.partition(" ")[0] for problem in problems] == [
        "custom_fields['a']",
        "custom_fields",
        "custom_fields['j***@example.com']",
        "custom_fields['b']",
    ]
    assert "has a name that must be a str, got int" in problems[1]


@pytest.mark.parametrize("given", ["Role", 3, [("Role", "Boss")], {"Role"}], ids=type)
def test_custom_fields_must_be_a_mapping(given: Any) -> None:
    (problem,) = problems_of(lambda: identify(custom_fields=given))
    assert problem == (
        f"custom_fields must be a mapping, such as {{'Plan': 'Pro'}}, got {type(given).__name__}"
    )


class NoOffset(tzinfo):
    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime | None, /) -> str | None:
        return None


class TestTime:
    @pytest.mark.parametrize(
        "given, kept",
        [
            (0, 0), (1_700_000_000, 1_700_000_000), (1_700_000_000.75, 1_700_000_000),
            (datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), 1_700_000_000),
            (datetime(2023, 11, 15, 3, 43, 20, tzinfo=timezone(timedelta(hours=5.5))),
             1_700_000_000),
            (None, None),
        ],
    )  # fmt: skip
    def test_moments_become_whole_unix_seconds(self, given: Any, kept: int | None) -> None:
        for request in (custom(time=given), revenue(time=given)):
            assert request.time == kept
            assert type(request.time) is type(kept)

    @pytest.mark.parametrize(
        "given", [1_700_000_000_000, 1.7e12, -1, 10**30, 1e300, datetime(1960, 1, 1, tzinfo=UTC)]
    )
    def test_milliseconds_and_other_ages_are_refused(self, given: Any) -> None:
        (problem,) = problems_of(lambda: custom(time=given))
        assert problem == "time must be Unix seconds between 1970 and 9999, not milliseconds"

    @pytest.mark.parametrize("zone", [None, NoOffset()])
    def test_naive_datetimes_are_refused(self, zone: tzinfo | None) -> None:
        (problem,) = problems_of(lambda: revenue(time=datetime(2026, 1, 1, tzinfo=zone)))
        assert problem.startswith("time must be an aware datetime")

    @pytest.mark.parametrize(
        "given", [True, "2026-11-23", date(2026, 11, 23), float("inf"), Decimal(1), []], ids=repr
    )
    def test_anything_else_is_refused(self, given: Any) -> None:
        (problem,) = problems_of(lambda: custom(time=given))
        assert problem.startswith("time must be ")
        assert "Unix seconds" in problem


class TestAmount:
    @pytest.mark.parametrize(
        "given, kept",
        [
            (0, 0), (-5, -5), (10**30, 10**30), (19.99, 19.99), (1e-300, 1e-300),
            (Decimal("19.99"), 19.99), (Decimal("0.1"), 0.1), (Decimal("1.10"), 1.1),
            (Decimal("5.00"), 5), (Decimal("1E+3"), 1000), (Decimal(2**60 + 1), 2**60 + 1),
        ],
    )  # fmt: skip
    def test_amounts_are_the_number_that_json_carries(self, given: Any, kept: float) -> None:
        request = revenue(given)
        assert request.amount == kept
        assert type(request.amount) is type(kept)

    @pytest.mark.parametrize(
        "given", ["0.12345678901234567890", "12345678901234567.89", "1" * 309 + ".5"]
    )
    def test_a_decimal_that_would_change_is_refused(self, given: str) -> None:
        (problem,) = problems_of(lambda: revenue(Decimal(given)))
        assert problem in {
            "amount has more digits than a JSON number carries exactly: round it",
            "amount must be a finite number that fits a double",
        }

    @pytest.mark.parametrize("given", [float("-inf"), Decimal("Infinity"), 10**400])
    def test_what_no_json_number_can_be_is_refused(self, given: Any) -> None:
        (problem,) = problems_of(lambda: revenue(given))
        assert problem == "amount must be a finite number that fits a double"

    @pytest.mark.parametrize("given", [None, True, "19.99", 1j, []], ids=repr)
    def test_other_types_are_refused(self, given: Any) -> None:
        (problem,) = problems_of(lambda: revenue(given))
        name = "None" if given is None else type(given).__name__
        assert problem == f"amount must be an int, float or Decimal, got {name}"


class TestFreeObjects:
    """`extra` of every request, and `data` of a custom event."""

    def test_json_values_are_kept_with_dates_and_decimals_as_text(self) -> None:
        given = {"a": [1, 2.5, None, True, ("x", {"y": date(2026, 11, 23)})], "b": Decimal("1.50")}
        kept = {"a": [1, 2.5, None, True, ["x", {"y": "2026-11-23"}]], "b": "1.50"}
        assert custom(data=given).data == kept
        assert identify(extra=given).extra == kept

    @pytest.mark.parametrize("given", [None, "", [], 3, "x", [("a", 1)]], ids=repr)
    def test_extra_is_a_mapping(self, given: Any) -> None:
        name = "None" if given is None else type(given).__name__
        assert problems_of(lambda: identify(extra=given)) == (
            f"extra must be a mapping, got {name}",
        )

    @pytest.mark.parametrize(
        "given, problem",
        [
            ({"a": b"x"}, "['a'] must be what JSON can carry, got bytes"),
            ({"a": {"b": [0, {1}]}}, "['a']['b'][1] must be what JSON can carry, got set"),
            ({1: "x"}, " has a key that must be a str, got int"),
            ({"a": {None: 1}}, "['a'] has a key that must be a str, got None"),
            ({"a": float("inf")}, "['a'] must be a finite number that fits a double"),
            ({"jane@example.com": {}, "b": object()},
             "['b'] must be what JSON can carry, got object"),
            ({"jane@example.com": object()},
             "['j***@example.com'] must be what JSON can carry, got object"),
        ],
    )  # fmt: skip
    def test_what_json_cannot_carry_is_refused(self, given: Any, problem: str) -> None:
        assert problems_of(lambda: custom(data=given)) == (f"data{problem}",)
        assert problems_of(lambda: identify(extra=given)) == (f"extra{problem}",)

    @pytest.mark.parametrize("name", ["first_name", "firstName"])
    def test_a_field_of_its_own_is_refused_in_extra(self, name: str) -> None:
        assert problems_of(lambda: identify(extra={name: "x"})) == (
            f"extra: {name!r} is a field of its own: pass it as first_name",
        )

    def test_nesting_has_an_end(self) -> None:
        nested: Any = "x"
        for _ in range(31):
            nested = [nested]
        assert custom(data={"a": nested}).data == {"a": nested}
        (problem,) = problems_of(lambda: custom(data={"a": [nested]}))
        assert "is nested deeper than 32 levels, or holds itself" in problem

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("copies", [1, 2])
    def test_what_holds_itself_is_refused_at_once(self, copies: int) -> None:
        endless: list[Any] = []
        endless.extend([endless] * copies)
        (problem,) = problems_of(lambda: custom(data={"a": endless}))
        assert "holds itself" in problem

    @pytest.mark.timeout(300)
    def test_what_doubles_at_every_level_is_refused_at_once(self) -> None:
        doubling: Any = "x"
        for _ in range(30):
            doubling = [doubling, doubling]
        assert problems_of(lambda: identify(extra={"a": doubling}))


class NotATime(datetime):
    """What pandas calls NaT: a datetime that is no time."""

    def utcoffset(self) -> timedelta:
        return timedelta(0)

    def timestamp(self) -> float:
        raise ValueError("NaTType does not support timestamp")

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = datetime.__hash__


def test_what_is_no_time_is_refused() -> None:
    nothing = NotATime(2026, 1, 1)
    (problem,) = problems_of(lambda: custom(time=nothing))
    assert problem.startswith("time must be")
    (problem,) = problems_of(lambda: identify(custom_fields={"Since": nothing}))
    assert problem.startswith("custom_fields['Since'] must be")
