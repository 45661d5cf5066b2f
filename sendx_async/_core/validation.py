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

_FIELD_TYPES = "a str, int, float, Decimal, bool, date or datetime"
_BAD_NUMBER = "must be a finite number that fits a double"

Check = Callable[[Any], str | list[str] | None]

_LONGEST_ADDRESS = 254
_LATEST_SECOND = 253_402_300_799  # the end of the year 9999; milliseconds are far beyond it
_DEEPEST_NESTING = 32
_MOST_BITS = 1023  # what a double holds; far longer numbers would also take for ever to write
_MOST_DIGITS = 308
_MOST_VALUES = 100_000
_MOST_SHOWN = 1e9


def type_name(value: object) -> str:
    """Name the type of a value for an error's text."""
    return "None" if value is None else type(value).__name__


def described(value: object) -> str:
    """Name the type of a setting for an error's text, and show it if it is a plain number."""
    if isinstance(value, (int, float)) and abs(value) < _MOST_SHOWN:
        return f"{type_name(value)} {value}"
    return type_name(value)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(value: Any) -> str | None:
    """Any string that UTF-8 can carry."""
    if not isinstance(value, str):
        return f"must be a str, got {type_name(value)}"
    if not value.isascii() and not _encodable(value):
        return "has half of a surrogate pair, which UTF-8 can't carry: decode the text again"
    return None


def check_name(value: Any) -> str | None:
    """A string that names something, so it may not be empty."""
    return check_text(value) or (None if value else "must not be empty")


def check_identifier(value: Any) -> str | None:
    """A contact's id or address: not empty, nothing unprintable, no white space."""
    if problem := check_name(value):
        return problem
    # The plain blank is the only white space that counts as printable.
    if " " in value or not value.isprintable():
        return "must not have white space or control characters: strip them"
    return None


def check_address(value: Any) -> str | None:
    """What looks enough like an e-mail address for the server to classify the rest."""
    if problem := check_identifier(value):
        return problem
    if len(value) > _LONGEST_ADDRESS:
        return f"must have at most {_LONGEST_ADDRESS} characters, has {len(value)}"
    if "<" in value or ">" in value:
        return "must be the address alone, without a name and without < and >"
    local, at, domain = value.partition("@")
    if not (local and at and domain) or "@" in domain:
        return "must be one e-mail address, with text on both sides of exactly one @"
    return None


def check_optional_address(value: Any) -> str | None:
    """An address, or the empty string, which is sent as given."""
    return None if isinstance(value, str) and not value else check_address(value)


def to_strings(value: Iterable[str] | None) -> tuple[str, ...] | None:
    """Keep any iterable of strings as a tuple."""
    if type(value) is list:  # as nearly always, and to ask whether it is a Mapping is slow
        return tuple(cast("list[str]", value))
    if (
        value is None
        or isinstance(value, (tuple, str, bytes, Mapping))
        or not isinstance(value, Iterable)
    ):
        return cast("tuple[str, ...] | None", value)
    return tuple(value)


def check_strings(value: Any) -> str | list[str] | None:
    """A tuple of strings."""
    if isinstance(value, str):
        return "must be an iterable of str, got a bare str: put it in a list"
    if not isinstance(value, tuple):
        return f"must be an iterable of str, got {type_name(value)}"
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


def _scalar_text(value: object) -> object:
    """Write a number, a truth value or a date the way a person would; leave others alone."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if _is_writable_number(value):
        if isinstance(value, int):
            return int.__repr__(value)
        if isinstance(value, float):
            value = Decimal(float.__repr__(value))
        return Decimal.__format__(value, "f")
    if isinstance(value, date) and value == value:  # noqa: PLR0124 - unlike pandas.NaT
        return value.isoformat()
    return value


def _is_mapping(value: object) -> bool:
    # Most are plain, and to ask an abstract class takes ten times as long.
    return type(value) is dict or isinstance(value, Mapping)


def to_field_texts(value: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    """Keep custom fields as a new dict of strings."""
    if value is None or not _is_mapping(value):
        return cast("Mapping[str, str] | None", value)
    return {
        name: item if type(item) is str else cast("str", _scalar_text(item))
        for name, item in value.items()
    }


def check_field_texts(value: Any) -> str | list[str] | None:
    """A mapping from field names to strings."""
    if not _is_mapping(value):
        return f"must be a mapping of str to str, got {type_name(value)}"
    problems: list[str] = []
    for name, item in cast("Mapping[object, object]", value).items():
        # Nearly all texts are plain, and to tell takes half as long as to check.
        if type(name) is str and name.isascii() and type(item) is str and item.isascii():
            continue
        if problem := check_text(name):
            problems.append(f"has a name that {problem}")
        elif isinstance(item, (int, float, Decimal)):
            problems.append(f"[{_quoted(name)}] {_BAD_NUMBER}")
        elif problem := check_text(item):
            problem = problem.replace("a str,", f"{_FIELD_TYPES},")
            problems.append(f"[{_quoted(name)}] {problem}")
    return problems


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
    return cast("Mapping[str, Any]", _json_value(value, _DEEPEST_NESTING, _Allowance()))


class _Allowance:
    """How many values a JSON object may still hold: one that holds itself twice has no end."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def spend(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _json_value(value: Any, levels: int, allowance: _Allowance) -> Any:
    if not levels or not allowance.spend():
        return value
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {name: _json_value(item, levels - 1, allowance) for name, item in mapping.items()}
    if isinstance(value, (list, tuple)):
        items = cast("Iterable[Any]", value)
        return [_json_value(item, levels - 1, allowance) for item in items]
    return _scalar_text(value) if isinstance(value, (date, Decimal)) else value


def check_json_object(value: Any) -> str | None:
    """A mapping that JSON can carry."""
    if not isinstance(value, Mapping):
        return f"must be a mapping, got {type_name(value)}"
    return _check_json(cast("object", value), _DEEPEST_NESTING, _Allowance())


def _check_json(value: object, levels: int, allowance: _Allowance) -> str | None:
    if not allowance.spend():
        return f"holds more than {_MOST_VALUES} values, or holds itself"
    if isinstance(value, (list, tuple, Mapping)):
        if not levels:
            return f"is nested deeper than {_DEEPEST_NESTING} levels, or holds itself"
        if isinstance(value, Mapping):
            return _check_json_items(cast("Mapping[object, object]", value), levels, allowance)
        for index, item in enumerate(cast("Iterable[object]", value)):
            if problem := _check_json(item, levels - 1, allowance):
                return _at(f"[{index}]", problem)
        return None
    if isinstance(value, str):
        return check_text(value)
    if value is None or _is_writable_number(value):
        return None
    if isinstance(value, (int, float, Decimal)):
        return _BAD_NUMBER
    return f"must be what JSON can carry, got {type_name(value)}"


def _check_json_items(
    value: Mapping[object, object], levels: int, allowance: _Allowance
) -> str | None:
    for name, item in value.items():
        if problem := check_text(name):
            return f"has a key that {problem}"
        if problem := _check_json(item, levels - 1, allowance):
            return _at(f"[{_quoted(name)}]", problem)
    return None


def _at(place: str, problem: str) -> str:
    return f"{place}{problem}" if problem.startswith("[") else f"{place} {problem}"


def to_unix_seconds(value: datetime | float | None) -> int | None:
    """Keep a moment as whole Unix seconds."""
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
    if isinstance(value, datetime):
        return "must be an aware datetime: add tzinfo"
    if isinstance(value, float):
        return "must be an aware datetime or Unix seconds, got a float that is not finite"
    if not isinstance(value, int) or isinstance(value, bool):
        return f"must be an aware datetime or Unix seconds, got {type_name(value)}"
    if not 0 <= value <= _LATEST_SECOND:
        return "must be Unix seconds between 1970 and 9999, not milliseconds"
    return None


def to_number(value: float | Decimal) -> int | float:
    """Keep an amount as the number that JSON will carry, if it carries it exactly."""
    if isinstance(value, Decimal) and _is_writable_number(value):
        whole = int(value)
        number = whole if whole == value else float(value)
        if Decimal(repr(number)) == value:
            return number
    return cast("float", value)


def check_number(value: Any) -> str | None:
    """A finite number that JSON can carry."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return f"must be an int, float or Decimal, got {type_name(value)}"
    if not _is_writable_number(value):
        return _BAD_NUMBER
    if isinstance(value, Decimal):
        return "has more digits than a JSON number carries exactly: round it"
    return None


def _quoted(name: object) -> str:
    return repr(mask_addresses(str(name)))
