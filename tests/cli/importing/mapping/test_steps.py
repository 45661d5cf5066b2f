"""What single steps do that no preset or file asks for together."""

from typing import TYPE_CHECKING, Any

import pytest

from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.texts import CellReader
from sendx_async._cli.importing.mapping import steps

if TYPE_CHECKING:
    from collections.abc import Mapping

READ = CellReader(nulls=frozenset(), asks_about_nulls=True)


@pytest.mark.parametrize("value, given", [("n:Ada", {"first_name": "Ada"}), ("n: ", {}), ("", {})])
def test_a_prefix_is_taken_off_a_text(value: str, given: "Mapping[str, Any]") -> None:
    found: dict[str, Any] = {}
    steps.text_step("first_name", READ, prefix="n:")(found, {}, value, [])
    assert found == given


def test_a_cell_of_tags_that_comes_again_is_read_alike() -> None:
    step = steps.list_step("tags", READ, separator=",", is_given=False, prefix="x")
    for _ in range(2):
        found: dict[str, Any] = {}
        notes: list[Note] = []
        step(found, {}, "a,b", notes)
        assert (found, notes) == ({"tags": ("xa", "xb")}, [])
        step(found, {}, "b;c", notes)
        assert found == {"tags": ("xa", "xb", "xb;c")}
        assert notes == [Note.MAYBE_LIST]


def test_a_value_that_comes_again_is_read_alike() -> None:
    step = steps.custom_step("A", READ)
    for value, noted in (("Pro", []), ("NULL", [Note.MAYBE_NULL]), ("'01", [Note.GUARD])):
        for _ in range(2):
            fields: dict[str, Any] = {}
            notes: list[Note] = []
            step({}, fields, value, notes)
            assert (fields, notes) == ({"A": value.removeprefix("'")}, noted)
    for _ in range(2):
        with pytest.raises(CellError):
            step({}, {}, "++5", [])
