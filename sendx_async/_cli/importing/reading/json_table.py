"""The records of JSON: an object a line, arrays of objects, or one object after the other."""

import contextlib
import json
import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from sendx_async._cli.importing.reading.json_text import (
    DECODER,
    JsonText,
    JsonValue,
    NamedTwiceError,
    TextIsCutError,
    TooLongError,
    UnreadableError,
    problem_of,
)
from sendx_async._cli.importing.reading.records import Record
from sendx_async._core.errors import ConfigurationError

_NO_OBJECT = 'must be a JSON object, such as {"email": "jane@example.com"}'
_PLAIN = re.compile(r"[^a-z0-9]+")
_CUSTOM_FIELDS = "customfields"
_MONGODB_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, which is written behind it
_MONGODB = frozenset(
    {"$oid", "$date", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "$uuid"}
)
_MOST_LOOKED_AT = 100


class _JsonTable:
    """What tables of JSON have in common: no header, since each object names its own columns."""

    header = None
    titles = None
    before = ()
    header_line = None
    dialect = None

    _names: tuple[str, ...] = ()

    def _record(self, number: int, text: str, found: object, problem: str | None) -> Record:
        """Return the record of a value; names are the very same ones as long as they are equal."""
        columns: dict[str, Any] = {}
        if problem is None:
            try:
                columns = _columns(found)
            except (TypeError, ValueError, RecursionError) as error:
                problem = _NO_OBJECT if isinstance(error, TypeError) else problem_of(error)
        names = tuple(columns)
        if names == self._names:
            names = self._names
        self._names = names
        return Record(number, text, names, tuple(columns.values()), problem)


class JsonLines(_JsonTable):
    """A file with one JSON object a line.

    Args:
        lines: The text; lines keep their ends.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Record]:
        for number, line in enumerate(self._lines, 1):
            if not line or line.isspace():
                continue
            problem = None
            found: object = None
            try:
                found = DECODER.decode(line)
            except json.JSONDecodeError as error:
                problem = f"is no JSON: {error.msg} (character {error.pos + 1})"
            except (ValueError, RecursionError) as error:
                problem = problem_of(error)
            yield self._record(number, line, found, problem)


class JsonObjects(_JsonTable):
    """Objects of JSON anywhere in a file, numbered from 1.

    They stand in an array, in the one array of objects that an object holds
    (``{"contacts": [...]}``), or one after the other on any number of lines.

    Args:
        pieces: The text, in pieces of any length.
        is_cut: Whether it ends somewhere in the file; an object that is cut off isn't given then.
    """

    def __init__(self, pieces: Iterable[str], *, is_cut: bool = False) -> None:
        self._text = JsonText(pieces, is_cut=is_cut)
        self._number = 0

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from map(self._numbered, self._objects())
        except TextIsCutError:
            return
        except UnreadableError as error:
            before = f"the {self._number:,} before it were" if self._number else "nothing was"
            raise ConfigurationError(
                f"object {self._number + 1:,} of the JSON can't be read, nor what is behind it; "
                f"{before}. It is {error}"
            ) from None

    def _numbered(self, value: JsonValue) -> Record:
        self._number += 1
        return self._record(self._number, value.text, value.found, value.problem)

    def _objects(self) -> Iterator[JsonValue]:
        text = self._text
        if not text.peek():
            raise ConfigurationError("the file is empty: it needs JSON objects, one for a contact")
        while first := text.peek():
            if first == "[":
                text.expect("[")
                yield from text.items()
            elif first == "{" and self._is_around_contacts():
                text.expect("{")
                yield from self._objects_in_object()
            else:
                yield text.value()

    def _is_around_contacts(self) -> bool:
        """Return whether the next object isn't a contact, and holds them in an array."""
        try:
            found = self._text.ahead()
        except TooLongError:
            return True  # too long for a contact
        return holds_contacts(found)

    def _objects_in_object(self) -> Iterator[JsonValue]:
        text, taken = self._text, None
        for name in text.names():
            if not text.take("["):
                text.value()
            elif _is_about(name) or text.peek() != "{":
                deque(text.items(), maxlen=0)
            elif taken is None:
                taken = name
                yield from text.items()
            else:
                command = shlex.quote(f".[{json.dumps(name)}][]")
                raise ConfigurationError(
                    f"the JSON has several arrays of objects: {taken!r}, and {name!r}, which was "
                    f"not read. To import that: jq -c {command} FILE | sendx import -"
                )


def are_lines(beginning: str) -> bool:
    """Return whether a text of JSON is one with an object a line.

    Args:
        beginning: Its first characters, which may end anywhere.
    """
    beginning = beginning.lstrip("\ufeff \t\r\n")
    first, end, rest = beginning.partition("\n")
    if not first.startswith("{"):
        return False
    try:
        found = DECODER.decode(first)
    except (ValueError, RecursionError):
        # It may be broken, and the next one whole.
        return rest.lstrip().startswith("{")
    return bool(end) and not holds_contacts(found)


def holds_contacts(found: object) -> bool:
    """Return whether a value is an object around an array of contacts, and not a contact.

    Something in that array has an ``@``, and no name beside it tells of an address.
    """
    if not isinstance(found, dict):
        return False
    members = cast("dict[str, object]", found)
    arrays = {name: array for name, value in members.items() if (array := _objects_in(name, value))}
    others = {name: value for name, value in members.items() if name not in arrays}
    has_addresses = any("@" in str(array[:_MOST_LOOKED_AT]) for array in arrays.values())
    return has_addresses and not _names_an_address(others)


def _names_an_address(value: object) -> bool:
    return isinstance(value, dict) and any(
        "mail" in name.casefold() or _names_an_address(inner)
        for name, inner in cast("dict[str, object]", value).items()
    )


def _objects_in(name: str, value: object) -> list[object]:
    """Return the array that a member is, if it begins with an object."""
    if not isinstance(value, list) or _is_about(name):
        return []
    array = cast("list[object]", value)
    return array if isinstance(next(iter(array), None), dict) else []


def _is_about(name: str) -> bool:
    """Return whether a member tells something of the answer itself, as ``_links`` does."""
    return name.startswith("_")


def _columns(found: object) -> dict[str, Any]:
    """Return the columns of an object: those of objects in it have dotted names.

    Raises:
        TypeError: It is no object.
        NamedTwiceError: Two columns have the same name.
    """
    if not isinstance(found, dict):
        raise TypeError
    members = cast("dict[str, Any]", found)
    if dict not in map(type, members.values()):
        return members
    columns: dict[str, Any] = {}
    for name, value in members.items():
        if is_custom_fields(name):
            _put(columns, name, value)
        else:
            _flatten(columns, name, value)
    return columns


def is_custom_fields(name: str) -> bool:
    """Return whether a column holds an object of custom fields, and stays one value."""
    return _PLAIN.sub("", name.casefold()) == _CUSTOM_FIELDS


def _flatten(columns: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, dict) and len(cast("dict[str, Any]", value)) == 1:
        value = _of_mongodb(cast("dict[str, Any]", value))
    if isinstance(value, dict) and value:
        for each, inner in cast("dict[str, Any]", value).items():
            _flatten(columns, f"{name}.{each}", inner)
    else:
        _put(columns, name, None if value == {} else value)


def _of_mongodb(value: dict[str, Any]) -> Any:
    """Return what MongoDB's exports mean by an object around a value: ``{"$numberLong": "5"}``."""
    ((kind, inner),) = value.items()
    if kind == "$date" and isinstance(inner, dict):
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            since = timedelta(milliseconds=int(cast("dict[str, Any]", inner)["$numberLong"]))
            return f"{(_MONGODB_EPOCH + since).isoformat()}Z"
    return inner if kind in _MONGODB and isinstance(inner, str) else value


def _put(columns: dict[str, Any], name: str, value: Any) -> None:
    if name in columns:
        raise NamedTwiceError(name)
    columns[name] = value
