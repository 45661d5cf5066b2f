"""Reads the fields of a JSON body; refuses what the API's documents don't allow, naming it."""

import json
from collections.abc import Mapping
from typing import cast

import attrs


class RefusedError(Exception):
    """The fake server refuses a request with this status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


_JSON_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def json_name(value: object) -> str:
    """Names the JSON type of a decoded value, with its article."""
    return _JSON_NAMES[type(value)]


def _refuse_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def parse_json(raw: bytes) -> object:
    """Decodes a request's body; NaN and Infinity are refused, since JSON has no such numbers.

    Raises:
        ValueError: The bytes are not UTF-8, not JSON, or nested too deeply.
    """
    try:
        return cast("object", json.loads(raw.decode(), parse_constant=_refuse_constant))
    except RecursionError:
        raise ValueError("nested too deeply") from None


@attrs.frozen
class Body:
    """One JSON object of a request: each method reads a field, or refuses the request with 422.

    A field that is absent reads as None.
    """

    values: Mapping[str, object]
    where: str = ""

    @classmethod
    def of(cls, value: object, *, where: str = "") -> "Body":
        """Reads a decoded JSON value, which must be an object."""
        if not isinstance(value, dict):
            subject = where.removesuffix(": ") or "the body"
            raise RefusedError(422, f"{subject} must be an object, not {json_name(value)}")
        return cls(cast("dict[str, object]", value), where)

    def refuse(self, message: str) -> RefusedError:
        """Builds the refusal of this object's request."""
        return RefusedError(422, f"{self.where}{message}")

    def _wrong(self, name: str, wanted: str, value: object) -> RefusedError:
        return self.refuse(f"{name} must be {wanted}, not {json_name(value)}")

    def text(self, name: str) -> str | None:
        """Reads a string."""
        value = self.values.get(name)
        if isinstance(value, str) or name not in self.values:
            return cast("str | None", value)
        raise self._wrong(name, "a string", value)

    def required_text(self, name: str) -> str:
        """Reads a string that must be there and must not be empty."""
        value = self.text(name)
        if not value:
            raise self.refuse(f"{name} is required")
        return value

    def address(self, name: str) -> str:
        """Reads a required email address."""
        value = self.required_text(name)
        local, at, domain = value.rpartition("@")
        if not (local and at and domain) or any(character.isspace() for character in value):
            raise self.refuse(f"{name} is not a valid email address")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Reads an array of strings; an absent one reads as empty."""
        value = self.values.get(name, [])
        if not isinstance(value, list):
            raise self._wrong(name, "an array of strings", value)
        items = cast("list[object]", value)
        for item in items:
            if not isinstance(item, str):
                raise self._wrong(f"each of {name}", "a string", item)
        return tuple(cast("list[str]", items))

    def mapping(self, name: str) -> Mapping[str, object]:
        """Reads an object; an absent one reads as empty."""
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "an object", value)
        return cast("dict[str, object]", value)

    def text_mapping(self, name: str) -> Mapping[str, str]:
        """Reads an object whose values are strings; an absent one reads as empty."""
        mapping = self.mapping(name)
        for key, value in mapping.items():
            if not isinstance(value, str):
                raise self._wrong(f"{name}[{key!r}]", "a string", value)
        return cast("Mapping[str, str]", mapping)

    def number(self, name: str) -> int | float | None:
        """Reads a number."""
        value = self.values.get(name)
        if name not in self.values:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        return value

    def whole_number(self, name: str) -> int | None:
        """Reads an integer."""
        value = self.number(name)
        if isinstance(value, float):
            raise self.refuse(f"{name} must be a whole number")
        return value
