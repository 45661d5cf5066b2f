"""What was decided about a file, written down and read again."""

from typing import Any

import pytest

from sendx_async._cli.importing.mapping.mapping_file import (
    columns_of,
    document,
    merged,
    read,
    saved,
    to_toml,
)
from sendx_async._cli.importing.mapping.plans import Plans

NAMES = ("E-Mail", "Name", "Tarif #1", "Notizen", "Größe", "unsubscribed")


def test_what_is_not_given_is_not_in_a_document() -> None:
    assert document({"a": None, "b": False, "c": [], "d": {}, "e": "", "f": 0, "g": ["x"]}) == {
        "e": "",
        "f": 0,
        "g": ["x"],
    }


def test_what_was_decided_is_read_as_it_was_written() -> None:
    given = document(
        {
            "field": {"Größe": 'Size "x"\n'},
            "ignore": ["Notizen"],
            "only": ["unsubscribed=no"],
            "null": ["\\N", "NULL"],
            "tag": ["a"],
            "everyone": True,
            "skip-lines": 2,
            "delimiter": "\t",
            "all-fields": True,
        }
    )
    its = Plans(columns_of(given), is_json=False).of(NAMES)
    found = saved(given, its, encoding="cp1252")
    again = read(to_toml(found, "k.csv"), "m.toml")
    assert again == found
    assert again["column"] == {"E-Mail": "email"}
    assert again["field"] == {"Name": "Name", "Größe": 'Size "x"\n'}
    assert again["encoding"] == "cp1252"
    second = Plans(columns_of(again), is_json=False).of(NAMES)
    assert [each.becomes for each in second.decisions] == [each.becomes for each in its.decisions]
    assert [each.title for each in second.decisions] == [each.title for each in its.decisions]


def test_a_preset_is_kept_by_its_name() -> None:
    given = document({"from": "kit", "tag": ["x"]})
    its = Plans(columns_of(given), is_json=False).of(("email_address", "state"))
    assert saved(given, its) == given
    assert to_toml(given, "k.csv").splitlines() == [
        "# What was decided about k.csv. Use it with --mapping.",
        'from = "kit"',
        "tag = [",
        '    "x",',
        "]",
    ]


def test_an_object_of_json_needs_no_word() -> None:
    its = Plans(columns_of({}), is_json=True).of(("email", "custom_fields"))
    assert saved({}, its) == {"column": {"email": "email"}}


@pytest.mark.parametrize(
    "first, then, both",
    [
        ({"tag": ["a"]}, {"tag": ["b"]}, {"tag": ["a", "b"]}),
        ({"columns": ["a"]}, {"columns": ["b"]}, {"columns": ["b"]}),
        ({"separator": "|"}, {"separator": ";"}, {"separator": ";"}),
        ({"everyone": True}, {}, {"everyone": True}),
        ({"all-fields": True}, {"ignore-rest": True}, {"ignore-rest": True}),
        ({"ignore": ["A", "B"]}, {"field": {"a": "x"}}, {"ignore": ["B"], "field": {"a": "x"}}),
        ({"field": {"A": "x"}}, {"ignore": ["A"]}, {"ignore": ["A"]}),
        ({"column": {"A": "email"}}, {"column": {"B": "email"}}, {"column": {"B": "email"}}),
        (
            {"column": {"A": "tags"}},
            {"column": {"B": "tags"}},
            {"column": {"A": "tags", "B": "tags"}},
        ),
        (
            {"only": ["A=1", "B=1"], "skip": ["A=2"]},
            {"only": ["a=2", "a=3"]},
            {"only": ["B=1", "a=2", "a=3"], "skip": ["A=2"]},
        ),
    ],
)
def test_what_is_given_comes_before_what_was_saved(
    first: dict[str, Any], then: dict[str, Any], both: dict[str, Any]
) -> None:
    assert merged(first, then) == both
