"""What puts the value of a column among the arguments of a contact: one closure for each kind."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from sendx_async._cli.importing.cleaning.lists import check_list_ids, split_list
from sendx_async._cli.importing.cleaning.notes import CellError, Note
from sendx_async._cli.importing.cleaning.texts import check_quotes, in_one_line
from sendx_async._core.increments import is_increment

Read: TypeAlias = Callable[[str, list[Note]], str | None]
"""Gives what a cell says; see `CellReader`."""

Finish: TypeAlias = Callable[[str, list[Note]], str]
"""Makes what is sent of a text that isn't empty."""

Step: TypeAlias = Callable[[dict[str, Any], dict[str, Any], Any, list[Note]], None]
"""Puts a value among the arguments of a contact, or among its custom fields.

It is called with the arguments, the custom fields, the value, which isn't empty, and a list that
gets what there is to say about the cell. It raises a `CellError` if the value can't be sent.
"""

_MOST_KEPT = 500  # of a column's values that were read already: many have few different ones


def text_step(field: str, read: Read, *, prefix: str = "", finish: Finish | None = None) -> Step:
    """Put a text into a field that has no value yet.

    Args:
        field: The field.
        read: Reads the cell.
        prefix: What is taken off in front of it.
        finish: Makes what is sent of the text; None if it is the text.
    """

    def put(given: dict[str, Any], _: dict[str, Any], value: Any, notes: list[Note]) -> None:
        if field in given:
            return
        if type(value) is not str:
            value = _text_of(value)
        if "\n" in value:
            check_quotes(value)
        text = read(value, notes)
        if text is not None and prefix:
            text = text.removeprefix(prefix).strip() or None
        if text is not None:
            given[field] = text if finish is None else finish(text, notes)

    return put


def custom_step(
    title: str,
    read: Read,
    *,
    prefix: str = "",
    allows_increments: bool = False,
    passes_over: bool = False,
) -> Step:
    """Put a value into a custom field that has none yet.

    Args:
        title: The custom field.
        read: Reads the cell.
        prefix: What is taken off in front of it.
        allows_increments: Whether it may add to what SendX has.
        passes_over: Whether a list or an object is left out, since nobody has asked for the column
            by its name; else it is refused.
    """
    known = set[str]()

    def put(_: dict[str, Any], fields: dict[str, Any], value: Any, notes: list[Note]) -> None:
        if title in fields:
            return
        if type(value) is str:
            if value in known:
                fields[title] = value
                return
            raw, value = value, read(value, notes)
            if value is None:
                return
            if prefix:
                value = value.removeprefix(prefix).strip()
            if not allows_increments and ("++" in value or "--" in value):
                _refuse_increment(value)
            if value == raw and not notes and len(known) < _MOST_KEPT:
                known.add(value)
        else:
            value = _scalar_of(value, notes, passes_over=passes_over)
        if value is not None and value != "":
            fields[title] = value

    return put


def object_step(read: Read, *, allows_increments: bool) -> Step:
    """Put each value of a JSON object into a custom field."""

    def put(given: dict[str, Any], fields: dict[str, Any], value: Any, notes: list[Note]) -> None:
        if not isinstance(value, Mapping):
            raise CellError('must be a JSON object, such as {"Plan": "Pro"}')
        for name, each in cast("Mapping[str, Any]", value).items():
            title = in_one_line(name)
            if title in fields:
                raise CellError(f"has {title!r}, which another column is as well: leave one out")
            if each is not None and each != "":
                step = custom_step(title, read, allows_increments=allows_increments)
                step(given, fields, each, notes)

    return put


def list_step(
    field: str, read: Read, *, separator: str, is_given: bool, prefix: str = "", own: str = ""
) -> Step:
    """Add tags, or ids of lists, to those that are there.

    Args:
        field: ``tags`` or ``lists``.
        read: Reads the cell.
        separator: What stands between them.
        is_given: Whether somebody has said so.
        prefix: What is put in front of each.
        own: What one begins with that a service has made for itself, and that is left out.
    """
    known: dict[str, tuple[str, ...]] = {}

    def items_of(value: Any, notes: list[Note]) -> tuple[str, ...]:
        items = (
            _split(value, read, notes, separator=separator, is_given=is_given)
            if type(value) is str
            else _texts_of(value, read, notes)
        )
        if field == "lists":
            check_list_ids(items)
        return tuple(prefix + item for item in items if not (own and item.startswith(own)))

    def put(given: dict[str, Any], _: dict[str, Any], value: Any, notes: list[Note]) -> None:
        if type(value) is not str:
            items = items_of(value, notes)
        elif value in known:
            items = known[value]
        else:
            items = items_of(value, notes)
            if not notes and len(known) < _MOST_KEPT:
                known[value] = items
        if items:
            earlier = given.get(field)
            given[field] = items if earlier is None else tuple(dict.fromkeys((*earlier, *items)))

    return put


def _split(
    text: str, read: Read, notes: list[Note], *, separator: str, is_given: bool
) -> list[str]:
    if "\n" in text:
        check_quotes(text)
    cell = read(text, notes)
    return [] if cell is None else split_list(cell, notes, separator=separator, is_given=is_given)


def must_be_empty(name: str) -> Step:
    """Refuse any value of a column that has no name."""

    def put(_: dict[str, Any], __: dict[str, Any], ___: Any, ____: list[Note]) -> None:
        raise CellError(
            f"has a value, but the column has no name: send it with --field '{name}=TITLE', or "
            f"leave it out with --ignore '{name}'"
        )

    return put


def _refuse_increment(text: str) -> None:
    if is_increment(text):
        raise CellError(
            "would add to a number field, or subtract: if that is meant, use --increments; if it "
            "is a text, take one of the signs off"
        )


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise CellError(f"must be a text, and is {_kind(value)}")


def _scalar_of(value: Any, notes: list[Note], *, passes_over: bool) -> Any:
    if isinstance(value, (list, Mapping)):
        if passes_over:
            if value:
                notes.append(Note.SEVERAL)
            return None
        advice = (
            "take the column as tags, or leave it out"
            if isinstance(value, list)
            else ("leave it out, or give its parts names of their own")
        )
        raise CellError(f"must be one value, and is {_kind(value)}: {advice}")
    if value != value:  # noqa: PLR0124 - as only NaN is
        notes.append(Note.NULL)
        return None
    return value


def _texts_of(value: Any, read: Read, notes: list[Note]) -> list[str]:
    if not isinstance(value, list):
        raise CellError(f"must be a list of texts, and is {_kind(value)}")
    items: dict[str, None] = {}
    for each in cast("list[object]", value):
        if each is None:
            continue
        if not isinstance(each, str):
            raise CellError(f"must be a list of texts, and {_kind(each)} is in it")
        item = read(each, notes)
        if item is not None:
            items[item] = None
    return list(items)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, Mapping) else "a number"
