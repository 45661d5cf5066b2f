"""What may stand in a field of a request: one check and, where needed, one conversion per kind.

A check gives None when the value is good, else what is wrong with it (a list, where several items
can be wrong) in words that follow the field's name. A conversion brings a good value into the form
that is kept and leaves a bad one alone, for the check to find: that way a request can report all
its problems at once.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeGuard, cast

from sendx_async._core.masking import mask_addresses
from sendx_async._core.scalars import to_scalar
from sendx_async._core.wrong_types import bad_number, wrong_type

_FIELD_TYPES = "a str, int, float, Decimal, bool, date or datetime"
_ANY_NUMBER = "a finite number that fits a double"

Check = Callable[[Any], str | list[str] | None]

_LATEST_SECOND = 253_402_300_799  # the end of the year 9999; milliseconds are far beyond it
_DEEPEST_NESTING = 32
_MOST_BITS = 1023  # what a double holds; far longer numbers would also take for ever to write
_MOST_DIGITS = 308
_MOST_VALUES = 100_000
_STR = frozenset({str})
_JSON_SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None)})


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(value: Any) -> str | None:
    """Any string that UTF-8 can carry."""
    if not isinstance(value, str):
        return wrong_type("a str", value)
    if not value.isascii() and not _encodable(value):
        return "has half of a surrogate pair, which UTF-8 can't carry: decode the text again"
    return None


def check_name(value: Any) -> str | None:
    """A string that names something, so it may not be empty."""
    return check_text(value) or (None if value else "must not be empty")


def to_text(value: str) -> str:
    """Keep a string without what a subclass adds to it."""
    return value if type(value) is str else _text_of(value)


def to_optional_text(value: str | None) -> str | None:
    """Keep a string likewise, or None."""
    return value if value is None or type(value) is str else _text_of(value)


def _text_of(value: object) -> Any:
    return to_scalar(value) if isinstance(value, str) else value


def to_strings(value: Iterable[str] | None) -> tuple[str, ...] | None:
    """Keep any iterable of strings as a tuple."""
    if type(value) is not list and (  # as nearly always, and to ask for a Mapping is slow
        value is None or isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable)
    ):
        return cast("tuple[str, ...] | None", value)
    items: tuple[Any, ...] = tuple(cast("Iterable[Any]", value))
    if _STR.issuperset(map(type, items)):
        return items  # as nearly always
    return tuple(map(_text_of, items))


def check_strings(value: Any) -> str | list[str] | None:
    """A tuple of strings."""
    if isinstance(value, str):
        return "must be an iterable of str, got a bare str: put it in a list"
    if not isinstance(value, tuple):
        return wrong_type("an iterable of str", value)
    items = cast("tuple[object, ...]", value)
    for item in items:
        if type(item) is not str or not item.isascii():
            break
    else:
        return None  # as nearly always
    return [f"[{i}] {problem}" for i, item in enumerate(items) if (problem := check_text(item))]


def _is_writable_number(value: object) -> TypeGuard[int | float | Decimal]:
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value.adjusted()) <= _MOST_DIGITS
    return isinstance(value, float) and math.isfinite(value)


def to_scalar_text(value: object) -> object:
    """Return a number, a truth value or a date as a person writes it; others as they are."""
    value = to_scalar(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if _is_writable_number(value):
        if isinstance(value, int):
            return int.__repr__(value)
        if isinstance(value, float):
            # 27.0 is 27: pandas makes floats of a column of whole numbers that has an empty cell.
            return Decimal.__format__(Decimal(float.__repr__(value)), "f").removesuffix(".0")
        return Decimal.__format__(value, "f")
    if isinstance(value, date) and value == value:  # noqa: PLR0124 - unlike pandas.NaT
        return value.isoformat()
    return value


def _is_mapping(value: object) -> bool:
    # Most are plain, and to ask an abstract class takes ten times as long.
    return type(value) is dict or isinstance(value, Mapping)


def to_field_texts(value: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    """Keep custom fields as a new dict of strings, without those that are None.

    If all are, none is set, and nothing is sent: not an empty mapping either.
    """
    if value is None or not _is_mapping(value):
        return cast("Mapping[str, str] | None", value)
    texts = {
        name if type(name) is str else _text_of(name): (
            item if type(item) is str else cast("str", to_scalar_text(item))
        )
        for name, item in value.items()
        if item is not None
    }
    return texts if texts or not len(value) else None


def check_field_texts(value: Any) -> str | list[str] | None:
    """A mapping from field names to strings."""
    if not _is_mapping(value):
        return wrong_type("a mapping, such as {'Plan': 'Pro'}", value, has_parts=True)
    problems: list[str] = []
    for name, item in cast("Mapping[object, object]", value).items():
        # Nearly all texts are plain, and to tell takes half as long as to check.
        if type(name) is str and name.isascii() and type(item) is str and item.isascii():
            continue
        if problem := check_text(name):
            problems.append(f"has a name that {problem}")
        elif problem := check_scalar_text(item):
            problems.append(f"{key(name)} {problem}")
    return problems


def check_scalar_text(value: object) -> str | None:
    """What `to_scalar_text` makes of a string, a number, a truth value or a date."""
    if isinstance(value, (int, float, Decimal)):
        return bad_number(_ANY_NUMBER, value)
    return check_text(value) if isinstance(value, str) else wrong_type(_FIELD_TYPES, value)


def to_extra(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep a mapping as `to_json_object` does; it can't be None."""
    kind: object = type(value)
    if kind is dict and not value:
        return {}  # as nearly always
    return cast("Mapping[str, Any]", to_json_object(value))


def to_json_object(value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Keep a mapping as a new dict of JSON values, with dates and Decimals as strings."""
    if not isinstance(value, Mapping):
        return value
    return cast("Mapping[str, Any]", to_json(value))


def to_json(value: Any) -> Any:
    """Keep a value as a new one that JSON can carry, with dates and Decimals as strings."""
    return _json_value(value, _DEEPEST_NESTING, _Allowance())


class _Allowance:
    """How many values a JSON object may still hold: one that holds itself twice has no end."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def spend(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _json_value(value: Any, levels: int, allowance: _Allowance) -> Any:
    if not levels or not allowance.spend() or type(value) in _JSON_SCALARS:
        return value
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {
            name if type(name) is str else _text_of(name): _json_value(item, levels - 1, allowance)
            for name, item in mapping.items()
        }
    if _is_list(value):
        return [_json_value(item, levels - 1, allowance) for item in value]
    value = to_scalar(value)
    return to_scalar_text(value) if isinstance(value, (date, Decimal)) else value


def _is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether it is a list or a tuple, but no NamedTuple: JSON would lose its names."""
    kind: type = type(value)
    return kind is list or (isinstance(value, (list, tuple)) and not hasattr(kind, "_fields"))


def check_json_object(value: Any) -> str | None:
    """A mapping that JSON can carry."""
    if not isinstance(value, Mapping):
        return wrong_type("a mapping", value, has_parts=True)
    return check_json(cast("object", value))


def check_json(value: object) -> str | None:
    """Whatever JSON can carry."""
    return _check_json(value, _DEEPEST_NESTING, _Allowance())


def _check_json(value: object, levels: int, allowance: _Allowance) -> str | None:
    if not allowance.spend():
        return f"holds more than {_MOST_VALUES} values, or holds itself"
    if _is_list(value) or isinstance(value, Mapping):
        if not levels:
            return f"is nested deeper than {_DEEPEST_NESTING} levels, or holds itself"
        if isinstance(value, Mapping):
            return _check_json_items(cast("Mapping[object, object]", value), levels, allowance)
        for index, item in enumerate(value):
            if problem := _check_json(item, levels - 1, allowance):
                return at(f"[{index}]", problem)
        return None
    if isinstance(value, str):
        return check_text(value)
    if value is None or _is_writable_number(value):
        return None
    if isinstance(value, (int, float, Decimal)):
        return bad_number(_ANY_NUMBER, value)
    return wrong_type("what JSON can carry", value, has_parts=True)


def _check_json_items(
    value: Mapping[object, object], levels: int, allowance: _Allowance
) -> str | None:
    for name, item in value.items():
        if problem := check_text(name):
            return f"has a key that {problem}"
        if problem := _check_json(item, levels - 1, allowance):
            return at(key(name), problem)
    return None


def at(place: str, problem: str) -> str:
    """Return a problem with its place before it: a name, or a place within what has one."""
    return f"{place}{problem}" if problem.startswith("[") else f"{place} {problem}"


def to_unix_seconds(value: datetime | float | None) -> int | None:
    """Keep a moment as whole Unix seconds."""
    value = to_scalar(value)
    if isinstance(value, datetime):
        try:
            return cast("int", value) if value.utcoffset() is None else int(value.timestamp())
        except (ValueError, OverflowError):
            return cast("int", value)  # pandas.NaT, or a moment that is no date in UTC
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    return cast("int | None", value)


def check_unix_seconds(value: Any) -> str | None:
    """Whole Unix seconds of a moment between 1970 and 9999."""
    if isinstance(value, float):
        return bad_number(
            "an aware datetime or Unix seconds, got a float that is not finite", value
        )
    if isinstance(value, datetime) and value == value:  # noqa: PLR0124 - unlike pandas.NaT
        return "must be an aware datetime: add tzinfo"
    if not isinstance(value, int) or isinstance(value, bool):
        return wrong_type("an aware datetime or Unix seconds", value)
    if not 0 <= value <= _LATEST_SECOND:
        return "must be Unix seconds between 1970 and 9999, not milliseconds"
    return None


def to_number(value: float | Decimal) -> int | float:
    """Keep an amount as the number that JSON will carry, if it carries it exactly."""
    number = to_scalar(value)
    if isinstance(number, Decimal) and _is_writable_number(number):
        whole = int(number)
        written = whole if whole == number else float(number)
        if Decimal(repr(written)) == number:
            return written
    return cast("float", number)


def check_number(value: Any) -> str | None:
    """A finite number that JSON can carry."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return wrong_type("an int, float or Decimal", value)
    if not _is_writable_number(value):
        return bad_number(_ANY_NUMBER, value)
    if isinstance(value, Decimal):
        return "has more digits than a JSON number carries exactly: round it"
    return None


def key(name: object) -> str:
    """Return a key of a mapping in brackets, fit to be shown."""
    return f"[{mask_addresses(str(name))!r}]"
