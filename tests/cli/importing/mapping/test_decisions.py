"""What becomes of each column, and why."""

from typing import Any

import pytest

from sendx_async._cli.importing.mapping.columns import Columns
from sendx_async._core.errors import ConfigurationError

from .rows import columns, plan


def decided(names: list[str], *, is_json: bool = False, **options: Any) -> dict[str, str]:
    """Give what becomes of each column, with its title and why."""
    return {
        each.name: f"{each.becomes}{f' {each.title}' if each.title else ''}: {each.why}"
        for each in plan(names, is_json=is_json, **options).decisions
    }


def test_columns_are_told_by_their_names_and_by_options() -> None:
    names = ["sendx_row", "sendx_reason", "Vorname", "Name", "E-Mail", "Rolle", "Notiz", "#6", "X"]
    found = decided(names, field={"Rolle": "Role"}, ignore=["Notiz"], column={"X": "tags"})
    assert found == {
        "Vorname": "first_name: its name",
        "Name": "last_name: its name",
        "E-Mail": "email: its name",
        "Rolle": "custom field Role: --field",
        "Notiz": "left out: --ignore",
        "#6": "unnamed: it has no name",
        "X": "tags: --column",
    }


@pytest.mark.parametrize(
    "options, rest, unnamed",
    [
        ({}, "undecided: ", "unnamed: it has no name"),
        ({"all_fields": True}, "custom field Rest: --all-fields", "unnamed: it has no name"),
        ({"ignore_rest": True}, "left out: --ignore-rest", "left out: --ignore-rest"),
        ({"only": ["rest=x", "#3="]}, "left out: --only or --skip", "left out: --only or --skip"),
        ({"skip": ["REST=x"], "all_fields": True}, "custom field Rest: --all-fields", None),
        ({"field": {"rest": "rest"}}, "custom field Rest: --field", None),
        (
            {"field": {"#2": "#2", "#3": "Three"}},
            "custom field Rest: --field",
            "custom field Three",
        ),
        ({"ignore": ["REST", "#3"]}, "left out: --ignore", "left out: --ignore"),
    ],
)
def test_what_becomes_of_the_rest(options: dict[str, Any], rest: str, unnamed: str | None) -> None:
    found = decided(["email", "Rest", "#3"], **options)
    assert found["Rest"] == rest
    assert unnamed is None or found["#3"].startswith(unnamed)


def test_case_matters_where_it_tells_columns_apart() -> None:
    names = ["email", "a", "A"]
    assert decided(names, field={"A": "x"})["a"] == "undecided: "
    assert plan(names, field={"A": "x", " a": "y"}).decided.absent == (" a",)


def test_a_number_means_the_files_own_columns() -> None:
    names = ["sendx_row", "sendx_reason", "email", "Role"]
    assert decided(names, field={"#2": "Job"})["Role"] == "custom field Job: --field"
    its = plan(names, field={"#3": "Job", "#0": "x"}, only=["Absent=1"], ignore=["#x"])
    assert its.decided.absent == ("#3", "#0", "#x", "Absent")
    assert plan(["email", "Role"], is_json=True, ignore=["#2"]).decided.absent == ("#2",)


def test_names_that_stand_twice_are_told_apart() -> None:
    names = ["email", "Phone", "Phone (2)", "Other (2)"]
    found = decided(names, ignore=["Phone"], all_fields=True)
    assert found["Phone (2)"] == "left out: --ignore"
    assert found["Other (2)"] == "custom field Other (2): --all-fields"
    found = decided(names, ignore=["Phone"], field={"Phone (2)": "Mobile"}, ignore_rest=True)
    assert found["Phone (2)"] == "custom field Mobile: --field"
    ((first, second),) = plan(["email", "email (2)"]).decided.twice
    assert (first.name, second.name) == ("email", "email (2)")


def test_what_is_said_of_one_column_tells_of_others() -> None:
    names = ["Work Email", "Email", "Vorname", "Name"]
    assert decided(names, all_fields=True)["Work Email"].startswith("custom field")
    assert decided(names, ignore=["email"])["Work Email"] == "email: its name"
    assert decided(names, column={"Vorname": "first_name"})["Name"] == "last_name: its name"
    assert decided(names, field={"Email": "Email"})["Work Email"] == "email: its name"


def test_whoever_says_what_the_rest_is_has_said_it_of_a_second_column_of_a_field() -> None:
    names = ["Email", "Other"]
    given = {"Other": "email"}
    all_fields = decided(names, column=given, all_fields=True)
    assert all_fields["Email"] == "custom field Email: --all-fields"
    assert decided(names, column=given, ignore_rest=True)["Email"] == "left out: --ignore-rest"
    assert len(plan(names, column=given).decided.twice) == 1
    tags = decided(["email", "tags", "X"], column={"X": "tags"}, ignore_rest=True)
    assert tags["tags"] == "tags: its name"


def test_an_object_of_custom_fields_is_known_in_json_alone() -> None:
    names = ["email", "customFields"]
    assert decided(names, is_json=True)["customFields"] == "custom fields: its name"
    assert decided(names)["customFields"] == "undecided: "


def test_two_custom_fields_of_one_title_are_noticed() -> None:
    ((first, second),) = plan(["email", "A", "B"], field={"A": "X", "B": "X"}).decided.twice
    assert (first.name, second.name, second.target) == ("A", "B", "custom field 'X'")


@pytest.mark.parametrize(
    "options, says",
    [
        ({"column": {"A": "mail"}}, "'mail' is no field; the fields are email, first_name"),
        ({"column": {"A": "email"}, "ignore": ["A"]}, "--column and --ignore both name 'A'"),
        ({"field": {"A": "A"}, "ignore": ["A"]}, "--field and --ignore both name 'A'"),
        ({"from": "mailchamp"}, "--from"),
    ],
)
def test_decisions_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        columns(**options)


def test_whether_anything_is_said_about_columns() -> None:
    assert Columns(tags=("x",), nulls=("NULL",)).names_nothing
    assert not Columns(all_custom=True).names_nothing
    assert not columns(**{"from": "kit"}).names_nothing


def test_how_much_a_row_looks_like_a_header() -> None:
    title, header = ["Kunden 2026", ""], ["Feld", "email", "Rolle"]
    assert Columns().header_score(title) == 0
    assert Columns().header_score(header) == 1
    assert columns(field={"rolle": "Role"}, ignore=["Feld"]).header_score(header) == 3
    kit = columns(**{"from": "kit"})
    assert kit.header_score(["created_at", "state"]) > Columns().header_score(["created_at"])
