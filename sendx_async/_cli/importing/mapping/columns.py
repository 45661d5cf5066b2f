"""Which column of a file goes into which field of a contact, and contacts made of its rows."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs

from sendx_async._cli.importing.mapping.conditions import Condition
from sendx_async._cli.importing.reading.records import REJECT_COLUMNS
from sendx_async._core.errors import ConfigurationError, InvalidRequestError
from sendx_async._core.models import IdentifyRequest
from sendx_async._core.wrong_types import type_name

FIELDS = ("email", "first_name", "last_name", "company", "tags", "lists", "new_email")

LISTS = ("tags", "lists")
_PLAIN = re.compile(r"[^a-z0-9]+")
_CUSTOM_FIELDS = "customfields"
_MOST_SHOWN = 10
_PLANS_KEPT = 256  # of JSON objects with the same names


def _folded(name: str) -> str:
    return _PLAIN.sub("", name.casefold())


_FIELD_OF = {_folded(field): field for field in FIELDS}

Step: TypeAlias = Callable[[dict[str, Any], Any], None]
"""Puts a column's value among the arguments of a contact."""


@attrs.frozen(kw_only=True)
class Columns:
    """What is to be done with the columns of a file.

    Attributes:
        preset: The service whose export the file is, by its name for ``--from``; None if none.
        renamed: The field for a column's name, where the name doesn't tell.
        custom: Columns that are custom fields, with what these are called.
        all_custom: Whether each other column is one.
        ignored: Columns to leave out.
        ignores_rest: Whether each other column is left out.
        splits_names: Whether full names become first and last names.
        only: What the rows have that are sent; several of one column: any of them.
        skip: What the rows have that are left out.
        takes_everyone: Whether people are sent, too, who must not be mailed.
        skips_empty: Whether rows without an address are left out, and not rejected.
        nulls: Texts that mean that a cell is empty.
        separator: What stands between the tags, or lists, of one cell; None for a comma.
        tags: Tags that each contact gets besides.
        tag_prefix: What is put in front of each tag out of the file.
        lists: Lists that each contact is put on besides.
        allows_increments: Whether ``++5`` adds, and is not refused.

    Raises:
        ConfigurationError: They make no sense; it names the option.
    """

    preset: str | None = None
    renamed: Mapping[str, str] = attrs.field(factory=dict[str, str])
    custom: Mapping[str, str] = attrs.field(factory=dict[str, str])
    all_custom: bool = False
    ignored: tuple[str, ...] = ()
    ignores_rest: bool = False
    splits_names: bool = False
    only: tuple[Condition, ...] = ()
    skip: tuple[Condition, ...] = ()
    takes_everyone: bool = False
    skips_empty: bool = False
    nulls: tuple[str, ...] = ()
    separator: str | None = None
    tags: tuple[str, ...] = ()
    tag_prefix: str = ""
    lists: tuple[str, ...] = ()
    allows_increments: bool = False

    def __attrs_post_init__(self) -> None:
        for column, field in self.renamed.items():
            if field not in FIELDS:
                raise ConfigurationError(
                    f"--column {column}={field}: {field!r} is no field; the fields are "
                    f"{', '.join(FIELDS)}. Use --field {column} for a custom field"
                )
        if self.separator == "":
            raise ConfigurationError("--separator must not be empty")
        if self.all_custom and self.ignores_rest:
            raise ConfigurationError("--all-fields and --ignore-rest can't go together")
        if "" in self.nulls:
            raise ConfigurationError("--null must not be empty: empty cells are left out anyway")

    def has_address(self, names: Sequence[str]) -> bool:
        """Return whether one of these columns holds the addresses."""
        return any(self._field(name) == "email" for name in names)

    def absent(self, names: Sequence[str]) -> list[str]:
        """Return the columns that the options name and a header doesn't have."""
        asked = [*self.renamed, *self.custom, *self.ignored]
        return [name for name in asked if name not in names]

    def plan(self, names: Sequence[str], *, is_json: bool) -> "Plan":
        """Return what is done with each of these columns.

        Raises:
            ConfigurationError: A column is in doubt, or there is none of addresses.
        """
        steps: list[tuple[int, Step]] = []
        taken: dict[str, str] = {}
        unknown: list[str] = []
        for index, name in enumerate(names):
            if name in self.ignored or name in REJECT_COLUMNS:
                continue
            field = self._field(name)
            key, step = self._step(name, field, is_json=is_json)
            if step is None:
                if name and not self.ignores_rest:
                    unknown.append(name)
                elif not name:
                    steps.append((index, _must_be_empty(index)))
                continue
            if key in taken:
                raise ConfigurationError(
                    f"the columns {taken[key]!r} and {name!r} are the same field, {key}: rename "
                    "one, or leave it out with --ignore"
                    if taken[key] != name
                    else f"there are two columns {name!r}: rename one, or delete it"
                )
            taken[key] = name
            steps.append((index, step))
        if "email" not in taken:
            raise ConfigurationError(
                "there is no column of addresses: name one email, or tell which it is with "
                "--column NAME=email" + (f"; the columns are {listed(names)}" if names else "")
            )
        if unknown:
            raise ConfigurationError(_in_doubt(unknown))
        return Plan(self, tuple(steps), len(names))

    def _field(self, name: str) -> str | None:
        if name in self.renamed:
            return self.renamed[name]
        return None if name in self.custom else _FIELD_OF.get(_folded(name))

    def _step(self, name: str, field: str | None, *, is_json: bool) -> tuple[str, Step | None]:
        if field in LISTS:
            return field, _list_step(field, self.separator or ",")
        if field is not None:
            return field, _text_step(field)
        if is_json and _folded(name) == _CUSTOM_FIELDS and name not in self.custom:
            return "custom_fields", _fields_step
        if name and (name in self.custom or self.all_custom):
            title = self.custom.get(name, name)
            return f"the custom field {title!r}", _custom_step(title)
        return name, None


@attrs.frozen
class Plan:
    """What is done with each column; makes contacts of rows.

    Attributes:
        columns: What was asked for.
        steps: What puts the value of a column, by its index, among the arguments of a contact.
        width: How many columns there are.
    """

    columns: Columns
    steps: tuple[tuple[int, Step], ...]
    width: int

    def contact(self, values: Sequence[Any]) -> IdentifyRequest:
        """Make the contact of a row.

        Raises:
            InvalidRequestError: The row can't be sent; ``problems`` tells why.
        """
        if len(values) > self.width and any(values[self.width :]):
            raise InvalidRequestError.of(
                "import",
                [f"has {len(values)} cells, but the header has {self.width}: is one not quoted?"],
            )
        given: dict[str, Any] = {}
        for index, step in self.steps:
            # A row may end early where its last cells are empty.
            value = values[index] if index < len(values) else None
            if isinstance(value, str):
                value = value.strip()
            if value is not None and value != "":
                step(given, value)
        columns = self.columns
        if columns.tags:
            given["tags"] = _joined(given.get("tags"), columns.tags)
        if columns.lists:
            given["lists"] = _joined(given.get("lists"), columns.lists)
        given.setdefault("email", "")
        return IdentifyRequest(**given)


class Plans:
    """The plans of a file whose rows need not have the same columns, as in JSON.

    Args:
        columns: What is to be done with columns.
        is_json: Whether values come from JSON.
    """

    def __init__(self, columns: Columns, *, is_json: bool) -> None:
        self._columns = columns
        self._is_json = is_json
        self._plans: dict[tuple[str, ...], Plan] = {}

    def check(self, names: tuple[str, ...]) -> Plan:
        """Return what is done with the columns of a row.

        Raises:
            ConfigurationError: A column is in doubt, or there is none of addresses.
        """
        plan = self._plans.get(names)
        if plan is None:
            plan = self._columns.plan(names, is_json=self._is_json)
            if len(self._plans) < _PLANS_KEPT:
                self._plans[names] = plan
        return plan

    def contact(self, names: tuple[str, ...], values: Sequence[Any]) -> IdentifyRequest:
        """Make the contact of a row with these columns.

        Raises:
            InvalidRequestError: The row can't be sent; ``problems`` tells why.
        """
        try:
            plan = self.check(names)
        except ConfigurationError as error:
            raise InvalidRequestError.of("import", [str(error)]) from None
        return plan.contact(values)


def _text_step(field: str) -> Step:
    def put(given: dict[str, Any], value: Any) -> None:
        given[field] = value
        if isinstance(value, str):
            _check_quotes(field, value)

    return put


def _list_step(field: str, separator: str) -> Step:
    def put(given: dict[str, Any], value: Any) -> None:
        if isinstance(value, str):
            _check_quotes(field, value)
            value = [item for each in value.split(separator) if (item := each.strip())]
        given[field] = value

    return put


def _check_quotes(field: str, value: str) -> None:
    """Notice rows that a quote which was closed far too late has made part of a cell."""
    if "\n" in value and "@" in value.partition("\n")[2]:
        problem = f"{field} goes on over a line with an address: is a quote not closed?"
        raise InvalidRequestError.of("import", [problem])


def _custom_step(name: str) -> Step:
    def put(given: dict[str, Any], value: Any) -> None:
        _add_fields(given, {name: value})

    return put


def _fields_step(given: dict[str, Any], value: Any) -> None:
    if not isinstance(value, Mapping):
        problem = f"custom_fields must be a JSON object, got {type_name(value)}"
        raise InvalidRequestError.of("import", [problem])
    fields = cast("Mapping[str, Any]", value)
    _add_fields(given, {name: each for name, each in fields.items() if each is not None})


def _add_fields(given: dict[str, Any], more: Mapping[str, Any]) -> None:
    fields = given.setdefault("custom_fields", {})
    if twice := fields.keys() & more.keys():
        problem = f"has the custom field {min(twice)!r} twice"
        raise InvalidRequestError.of("import", [problem])
    fields.update(more)


def _must_be_empty(index: int) -> Step:
    def put(given: dict[str, Any], value: Any) -> None:
        del given, value
        problem = f"has a value in column {index + 1}, which has no name in the header"
        raise InvalidRequestError.of("import", [problem])

    return put


def _joined(given: object, more: tuple[str, ...]) -> object:
    if given is None:
        return more
    # What isn't a list is for the contact's own check to find.
    if not isinstance(given, list):
        return given
    items = cast("list[str]", given)
    return [*items, *(each for each in more if each not in items)]


def listed(names: Sequence[str]) -> str:
    """Return the names of columns for an error's text; not all, if there are many."""
    more = len(names) - _MOST_SHOWN
    return ", ".join(map(repr, names[:_MOST_SHOWN])) + (f" and {more} more" if more > 0 else "")


def _in_doubt(names: Sequence[str]) -> str:
    hints = "".join(
        f"Did you mean {_FIELD_OF[close]} by {name!r}? "
        for name in names[:_MOST_SHOWN]
        for close in difflib.get_close_matches(_folded(name), _FIELD_OF, n=1, cutoff=0.8)
    )
    if len(names) == 1:
        what, them, fields = f"the column {listed(names)} is no field", "it", "a custom field"
    else:
        what, them, fields = f"the columns {listed(names)} are no fields", "them", "custom fields"
    return (
        f"{what} of a contact. {hints}Send {them} as {fields} with --field NAME or --all-fields, "
        f"or leave {them} out with --ignore NAME or --ignore-rest"
    )
