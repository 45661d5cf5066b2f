"""JSON: objects a line, in arrays, around arrays, and one after the other."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async import ConfigurationError
from sendx_async._cli.importing.reading.json_table import JsonObjects, are_lines
from sendx_async.testing import FakeSendX
from tests.cli.conftest import Run
from tests.cli.importing.conftest import Import

from .records import EXPORTS, first_records, records_of, rows_of

JANE, BOB = {"email": "jane@example.com", "first_name": "Jane"}, {"email": "bob@example.com"}


def written(content: str | bytes, name: str = "c.json") -> Path:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(name)


def test_segment() -> None:
    rows = rows_of(EXPORTS / "segment.ndjson")
    assert len(rows) == 20
    assert rows[1] == {
        "type": "identify",
        "userId": "u1",
        "messageId": "m1",
        "timestamp": "2026-01-01T00:00:00Z",
        "traits.email": "bjorn.hajek1@example.com",
        "traits.firstName": "Björn",
        "traits.lastName": "Hájek",
        "traits.plan": "pro",
        "traits.logins": 1,
        "traits.address.city": "Oslo",
        "context.ip": "203.0.113.9",
    }


def test_posthog() -> None:
    rows = rows_of(EXPORTS / "posthog_persons.ndjson")
    assert len(rows) == 20
    assert rows[0] == {
        "id": "018f-0",
        "distinct_ids": ["d0"],
        "properties.email": "ada.abel0@example.com",
        "properties.name": "Ada Abel",
        "properties.$initial_browser": "Chrome",
        "created_at": "2026-01-01T00:00:00Z",
    }


def test_objects_a_line_in_a_file_called_json() -> None:
    records = records_of(EXPORTS / "objects.json")
    assert [record.number for record in records] == list(range(1, 21))
    assert records[13].values == ("nuala.nunez13@example.com", "Nuala")
    assert records[11].values == ("lukasz.zak11@example.com", "Łukasz")
    assert records[0].text == '{"email": "ada.abel0@example.com", "first_name": "Ada"}\n'


def test_an_array_that_pandas_wrote(import_text: Import, fake_sendx: FakeSendX) -> None:
    content = (EXPORTS / "pandas_records.json").read_text()
    done = import_text(content, "--all-fields", name="c.json")
    assert done.counts == (20, 0)
    assert fake_sendx.contact("ada.abel0@example.com").first_name is None
    assert fake_sendx.contact("bjorn.hajek1@example.com").first_name == "Björn"
    fields = {each.email: each.custom_fields for each in fake_sendx.contacts.values()}
    assert fields["ada.abel0@example.com"] == {
        "Spent": "0.00001",
        "Since": "1704153600000",
        "Active": "true",
    }
    # Whole numbers are written as such, whatever pandas has made of them.
    assert fields["bjorn.hajek1@example.com"] == {
        "Age": "31",
        "Spent": "123456789012",
        "Since": "1704153600000",
        "Active": "false",
    }


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([JANE, BOB]),
        json.dumps([JANE, BOB], indent=2),
        f" \r\n\t{json.dumps([JANE, BOB])}\n\n",
        json.dumps({"contacts": [JANE, BOB]}),
        json.dumps({"has_more": False, "meta": {"by": "me@here.co"}, "data": [JANE, BOB]}),
        json.dumps({"ids": [1, 2], "none": [], "data": [JANE, BOB], "n": 2}, indent=4),
        json.dumps({"members": [JANE, BOB], "_links": [{"rel": "self"}]}),
        json.dumps({"_links": [{"rel": "self"}], "members": [JANE, BOB]}),
        json.dumps({"data": [JANE]}) + "\n" + json.dumps({"data": [BOB]}),
        json.dumps([JANE]) + "\n" + json.dumps([BOB]),
        json.dumps(JANE, indent=2) + "\n" + json.dumps(BOB, indent=2),
        json.dumps(JANE) + json.dumps(BOB),
        json.dumps(JANE) + "\n" + json.dumps(BOB),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_where_objects_may_stand(content: str, encoding: str) -> None:
    records = records_of(written(content.encode(encoding)))
    assert [record.number for record in records] == [1, 2]
    rows = [dict(zip(record.names, record.values, strict=True)) for record in records]
    assert rows == [JANE, BOB]
    # As a line of its own each can be read again.
    assert [json.loads(record.text) for record in records] == [JANE, BOB]
    assert all("\n" not in record.text.strip() for record in records)


@pytest.mark.parametrize(
    "contact",
    [
        {"email": "a@b.co", "orders": [{"gift_to": "c@d.co"}]},
        {"properties": {"E-Mail": "a@b.co"}, "profiles": [{"value": "a@b.co"}]},
        {"id": 1, "addresses": [{"city": "Oslo"}]},
        {"id": 1, "emails": ["a@b.co", {"of": "a@b.co"}]},
    ],
)
def test_a_contact_may_have_an_array_of_objects(contact: dict[str, Any]) -> None:
    (record,) = records_of(written(json.dumps(contact)))
    assert json.loads(record.text) == contact


def test_two_arrays_of_objects(import_text: Import) -> None:
    done = import_text(json.dumps({"a": [JANE], "it's": [BOB]}), name="c.json")
    assert done.said.status == 2
    assert "several arrays of objects: 'a', and \"it's\", which was not read" in done.said.err
    assert """jq -c '.["it'"'"'s"][]' FILE | sendx import -""" in done.said.err


def test_objects_keep_their_text_and_get_columns(import_text: Import) -> None:
    content = '[\n  {"a": 1.50,\n   "b": "x  y",  "c": {"d": null, "e": {}, "f": [1, {"g": 2}]}}]'
    (record,) = records_of(written(content))
    assert record.text == '{"a": 1.50, "b": "x  y",  "c": {"d": null, "e": {}, "f": [1, {"g": 2}]}}'
    assert record.names == ("a", "b", "c.d", "c.e", "c.f")
    assert record.values == (Decimal("1.50"), "x  y", None, None, [1, {"g": 2}])
    assert str(record.values[0]) == "1.50"


@pytest.mark.parametrize("name", ["custom_fields", "customFields", "Custom Fields"])
def test_custom_fields_at_the_top_stay_one_value(name: str) -> None:
    (row,) = rows_of(written(json.dumps({name: {"a": {"b": 1}}, "c": {name: {"d": 2}}}) + "\n{}"))[
        :1
    ]
    assert row == {name: {"a": {"b": 1}}, f"c.{name}.d": 2}


def test_names_are_the_same_object_as_long_as_they_are_equal() -> None:
    one, two, three, four = records_of(
        written('[{"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {}}, {"a": 3}]')
    )
    assert one.names == ("a.b",)
    assert one.names is two.names
    assert three.names == ("a",)
    assert three.values == (None,)
    assert three.names is four.names


@pytest.mark.parametrize(
    "element, problem",
    [
        ('{"a": 1, "a": 2}', "names 'a' twice"),
        ('{"a": {"b": 1}, "a.b": 2}', "names 'a.b' twice"),
        ('{"a": {"b": 1, "b": 2}}', "names 'b' twice"),
        ('{"a": ' + "1" * 5000 + "}", "has a number that is too long"),
        ("5", 'must be a JSON object, such as {"email": "jane@example.com"}'),
        ("-1.5e3", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ('"x"', "must be a JSON object"),
        ("[1, [2]]", "must be a JSON object"),
    ],
)
@pytest.mark.parametrize("form", ["[{}, {}]", "[\n{},\n{}\n]", "[] [{}, {}]"])
def test_an_element_that_can_not_be_used_is_a_row_of_its_own(
    element: str, problem: str, form: str
) -> None:
    bad, good = records_of(
        written(form.replace("{}", "%s") % (element, json.dumps(JANE))), format="json"
    )
    assert bad.number == 1
    assert (bad.names, bad.values, bad.text) == ((), (), element)
    assert bad.problem is not None
    assert bad.problem.startswith(problem)
    assert (good.number, good.problem) == (2, None)


@pytest.mark.parametrize(
    "content, says",
    [
        ('[{"email": "a@b.co"},\n {"email" 1}]', "broken at line 2, character 11"),
        ('[{"email": "a@b.co"},\n {"email": tru', "cut off: the file ends at line 2, character 15"),
        ('[{"email": "a@b.co"}', "cut off: the file ends at line 1, character 21"),
        ('[{"email": "a@b.co"}, ', "cut off: the file ends at line 1, character 23"),
        ('[{"email": "a@b.co"} {"email": "c@d.co"}]', "broken at line 1, character 22"),
        ('[{"email": "a@b.co"}]\n\nthe end', "broken at line 3, character 1"),
        ('[{"email": "a@b.co"}, ' + "[" * 200_000, "nested too deep at line 1, character 23"),
        ('[{"email": "a@b.co"},\n"' + "x" * 1_100_000 + '"]', "more than 1,000,000 characters"),
        ('{"email": "a@b.co"}{"a": "' + "x" * 1_100_000 + '"}', "more than 1,000,000 characters"),
    ],
)
def test_json_that_breaks_off_says_where(
    import_text: Import, fake_sendx: FakeSendX, content: str, says: str
) -> None:
    done = import_text(content, name="c.json")
    assert done.said.status == 2
    # It is noticed at the first look.
    assert not fake_sendx.contacts
    assert "object 2 of the JSON can't be read, nor what is behind it" in done.said.err
    assert "the 1 before it were" in done.said.err
    assert says in done.said.err


@pytest.mark.parametrize(
    "content, says",
    [
        ("[1 2", "object 2"),
        ("[{]", "object 1 of the JSON can't be read, nor what is behind it; nothing was"),
        ("", "the file is empty"),
        (" \n", "the file is empty"),
        ("email,first_name", "It is broken at line 1, character 1"),
    ],
)
def test_what_is_no_json_from_the_first_object_on(content: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        records_of(written(content), format="json")


@pytest.mark.parametrize(
    "member, says",
    [
        ("1: 2", "broken at"),
        ('"a" 2', "broken at"),
        ('"a": 2 "b": 3', "broken at"),
        ('"a": [1, 2 3]', "broken at"),
    ],
)
def test_an_object_around_an_array_that_breaks_off(member: str, says: str) -> None:
    many = ", ".join([json.dumps(JANE)] * 20_000)
    table = JsonObjects([f'{{"data": [{many}], {member}}}'])
    numbers: list[int] = []
    with pytest.raises(ConfigurationError, match=says):
        numbers.extend(record.number for record in table)
    assert numbers == list(range(1, 20_001))


def test_an_object_around_an_array_may_be_long(tmp_path: Path) -> None:
    many = [{"email": f"a{n}@b.co"} for n in range(20_000)]
    content = {"ids": list(range(100_000)), "none": {}, "contacts": many, "empty": []}
    path = written(gzip.compress(json.dumps(content).encode()), "c.json.gz")
    records = records_of(path)
    assert [record.values for record in records] == [(f"a{n}@b.co",) for n in range(20_000)]
    first, are_all = first_records(path)
    assert (len(first), are_all) == (1000, False)
    assert [record.number for record in first] == list(range(1, 1001))
    assert records_of(written("{}", "d.json"), format="json")[0].names == ()


def test_the_look_at_a_long_array_takes_what_is_whole() -> None:
    content = json.dumps([{"email": f"a{n}@b.co", "x": "y" * 50_000} for n in range(100)], indent=1)
    first, are_all = first_records(written(content))
    assert not are_all
    assert 35 <= len(first) < 60
    content = json.dumps([{"email": f"a{n}@b.co", "x": "é" * 25_000} for n in range(100)])
    for encoding in ("utf-8", "utf-16"):
        data = content.replace("\\u00e9", "é").encode(encoding)
        first, are_all = first_records(written(data))
        assert not are_all
        assert 35 <= len(first) < 60
    whole, are_all = first_records(written(json.dumps([JANE, BOB])))
    assert (len(whole), are_all) == (2, True)


@pytest.mark.parametrize(
    "beginning, expected",
    [
        ('{"a": 1}\n{"a": 2}', True),
        ('\ufeff\n {"a": 1}\r\n', True),
        ('{"a": 1}', False),  # one object, or the first page of several
        ('{"a": \n1}', False),
        ('{"a": \n{"b": 1}}', True),  # or a first line that is broken
        ('{"a" 1}\n{"a": 2}', True),
        ('{"a": ' + "[" * 200_000, False),
        ('{"data": [{"email": "a@b.co"}]}\n{"data": []}', False),
        ('[{"a": 1}]\n', False),
    ],
)
def test_which_files_have_an_object_a_line(beginning: str, expected: bool) -> None:
    assert are_lines(beginning) is expected


def test_an_object_that_can_not_be_used_is_around_nothing() -> None:
    bad, good = JsonObjects(['{"data": [{"email": "@"}], "data": 1}', json.dumps(JANE)])
    assert (bad.number, bad.problem) == (1, "names 'data' twice")
    assert good.values == ("jane@example.com", "Jane")


def test_a_number_may_go_on_in_the_next_piece() -> None:
    assert [record.text for record in JsonObjects(["1", "2", " ", "34", ""])] == ["12", "34"]


def test_bytes_that_mean_nothing_are_a_problem_of_their_row(import_text: Import) -> None:
    content = b'[{"email": "a@b.co"}, {"email": "c@d.co", "first_name": "Zo\xeb"}]'
    done = import_text(content, "--encoding", "utf-8", name="c.json")
    assert done.counts == (1, 1)
    assert import_text(content, "--encoding", "cp1252", name="d.json").counts == (2, 0)


def test_an_array_that_is_not_in_its_encoding(import_text: Import) -> None:
    contacts = [{"email": f"a{n}@b.co", "first_name": "y" * 900_000} for n in range(3)]
    done = import_text(json.dumps(contacts).encode("utf-16") + b"x", name="c.json")
    assert done.said.status == 2
    assert "can't be read as utf-16" in done.said.err


SHORT = st.text(max_size=3)
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | SHORT | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SHORT, inner, max_size=2),
    max_leaves=4,
)


@given(
    st.lists(st.dictionaries(SHORT, SOME_JSON, max_size=3), min_size=1, max_size=3),
    st.integers(min_value=1, max_value=99),
    st.none() | st.integers(min_value=0, max_value=3),
    st.booleans(),
)
def test_pieces_of_any_length_give_the_same(
    objects: list[dict[str, Any]], size: int, indent: int | None, is_array: bool
) -> None:
    objects = [{"mail": "a@b.co", **each} for each in objects]  # else it may be around contacts
    texts = [json.dumps(each, indent=indent) for each in objects]
    content = json.dumps(objects, indent=indent) if is_array else "\n".join(texts)
    pieces = [content[place : place + size] for place in range(0, len(content), size)]
    of_pieces, of_all = JsonObjects(pieces), JsonObjects([content])
    found = list(of_pieces)
    assert found == list(of_all)
    assert [json.loads(record.text) for record in found] == objects


def test_values_of_mongodb_are_themselves(run: Run, fake_sendx: FakeSendX) -> None:
    row = {
        "_id": {"$oid": "65a1"},
        "email": "a@b.co",
        "visits": {"$numberLong": "5"},
        "score": {"$numberDouble": "1.5"},
        "joined": {"$date": "2024-01-01T00:00:00Z"},
        "born": {"$date": {"$numberLong": "1704067200000"}},
        "odd": {"$date": {"$year": 1}},
        "other": {"$ref": "x"},
    }
    Path("c.json").write_text(json.dumps(row) + "\n")
    assert run("import", "c.json", "--all-fields").status == 0
    assert fake_sendx.contact("a@b.co").custom_fields == {
        "_id": "65a1",
        "visits": "5",
        "score": "1.5",
        "joined": "2024-01-01T00:00:00Z",
        "born": "2024-01-01T00:00:00Z",
        "odd.$date.$year": "1",
        "other.$ref": "x",
    }
