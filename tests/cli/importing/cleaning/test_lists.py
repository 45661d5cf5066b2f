"""Tags and lists of one cell, however they are written there."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendx_async._cli.importing.cleaning.lists import check_list_ids, split_list
from sendx_async._cli.importing.cleaning.notes import CellError, Note

from .samples import rows_of


def split(
    text: str, separator: str = ",", *, is_given: bool = False
) -> tuple[list[str], list[Note]]:
    notes: list[Note] = []
    return split_list(text, notes, separator=separator, is_given=is_given), notes


TAGS: dict[str, tuple[list[str], list[Note]] | None] = {
    "t1@example.com": (["a", "b"], []),
    "t2@example.com": (["a;b"], [Note.MAYBE_LIST]),
    "t3@example.com": (["a|b"], [Note.MAYBE_LIST]),
    "t4@example.com": (["a", "b"], []),
    "t5@example.com": (["a", "b"], []),
    "t6@example.com": (["a", "b"], []),
    "t7@example.com": (["a", "A"], []),
    "t8@example.com": (["Blog, monthly", "VIP"], []),
    "t9@example.com": None,  # refused: what Python writes, quotes and brackets included
}


@pytest.mark.parametrize("row", rows_of("tags_kinds.csv"), ids=lambda row: row["email"])
def test_what_becomes_of_tags_as_they_are_found_in_tables(row: dict[str, str]) -> None:
    expected = TAGS[row["email"]]
    if expected is not None:
        assert split(row["tags"]) == expected
        return
    with pytest.raises(CellError, match="quotes or brackets left"):
        split(row["tags"])


@pytest.mark.parametrize(
    "text, items",
    [
        ("VIP", ["VIP"]),
        (" a , ,b,, a,", ["a", "b"]),
        ("rock 'n' roll, O'Neil", ["rock 'n' roll", "O'Neil"]),
        ("the boys', 't Hart", ["the boys'", "'t Hart"]),
        ("Customer (VIP), [x] y", ["Customer (VIP)", "[x] y"]),
        ('VIP,"Blog, monthly"', ["VIP", "Blog, monthly"]),
        ('"Blog, monthly", "VIP"', ["Blog, monthly", "VIP"]),
        ('"say ""hi""",a', ['say "hi"', "a"]),
        ('"a","","a",', ["a"]),
        ('"(a"', ["(a"]),
        ("[]", []),
        ('["Blog, monthly", "b", "b", null, ""]', ["Blog, monthly", "b"]),
        ("[1, 2.50, 1e400]", ["1", "2.50", "1e400"]),
        ('["\\u00e9\\n"]', ["é"]),
        ("{}", []),
        ('{a,"",,NULL}', ["a"]),
        ('{a,"b c",NULL,"NULL","say \\"hi\\"","x\\\\y"}', ["a", "b c", "NULL", 'say "hi"', "x\\y"]),
        ('{Blog monthly , "x, y"}', ["Blog monthly", "x, y"]),
    ],
)  # fmt: skip
def test_the_cell_tells_how_its_items_are_written(text: str, items: list[str]) -> None:
    assert split(text) == (items, [])


@pytest.mark.parametrize(
    "text",
    ["('a', 'b')", "['a', 'b']", "[a, b]", "[a]", "(a)", "{{a},{b}}", '{"a": 1}', "{a", "a]",
     "a,b)", "'a','b'",
     "“a”", "„a“", "«a»", '"a', 'a"', 'a"b"', '"a"b', '5" pipe', '"a"",b', '{"a}', "{a\\}",
     '["a",]', '["a"',
     "smile :)"],
)  # fmt: skip
def test_quotes_or_brackets_that_are_left_over_are_refused(text: str) -> None:
    with pytest.raises(CellError, match="quotes or brackets left"):
        split(text)


def test_brackets_without_end_are_refused() -> None:
    with pytest.raises(CellError, match="quotes or brackets left"):
        split("[" * 200_000 + "]" * 200_000)


@pytest.mark.parametrize("text", ['[["a"]]', '[{"name":"a"}]', "[true]"])
def test_a_json_array_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(CellError, match="of something else than texts"):
        split(text)


@pytest.mark.parametrize("separator", [";", "|", ", ", "::", " "])
def test_items_are_told_apart_by_what_was_given(separator: str) -> None:
    assert split(f"a{separator}b|c".replace("b|c", "b"), separator, is_given=True) == (
        ["a", "b"],
        [],
    )
    assert split(f'"a{separator}b"{separator}c', separator, is_given=True)[0] == [
        f"a{separator}b".strip(),
        "c",
    ]


def test_another_separator_is_in_doubt_unless_one_was_given() -> None:
    assert split("a;b", is_given=True) == (["a;b"], [])
    assert split("a; b,c") == (["a; b", "c"], [Note.MAYBE_LIST])
    assert split("a (x)|b") == (["a (x)|b"], [Note.MAYBE_LIST])
    assert split('"a;b",c') == (["a;b", "c"], [])


def test_a_line_break_between_items_is_in_doubt() -> None:
    notes = [Note.LINE_BREAK]
    assert split_list("a b", notes, separator=",", is_given=False) == ["a b"]
    assert Note.MAYBE_LIST in notes


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cc", "Cs", "Z")), min_size=1),
        min_size=1,
        unique=True,
    ),
    st.sampled_from(",;|"),
)
def test_a_quoted_list_gives_its_items_back(items: list[str], separator: str) -> None:
    cell = io.StringIO()
    csv.writer(cell, quoting=csv.QUOTE_ALL, delimiter=separator, lineterminator="").writerow(items)
    assert split(cell.getvalue(), separator) == (items, [])
    assert split(json.dumps(items), separator) == (items, [])
    quoted = ",".join('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    assert split("{" + quoted + "}", separator) == (items, [])


@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_no_item_is_empty_or_there_twice(text: str) -> None:
    try:
        items, _ = split(text)
    except CellError:
        return
    assert all(items)
    assert len(set(items)) == len(items)
    assert all(item == item.strip() for item in items)


def test_ids_of_lists_pass_and_names_do_not() -> None:
    check_list_ids(["list_OcuxJHdiAvujmwQVJfd3ss", "list_2"])
    check_list_ids([])
    for name in ("Newsletter", "list_", "List_2", "list_a b", ""):
        with pytest.raises(CellError, match="must be ids of lists"):
            check_list_ids(["list_2", name])
