"""The one cattrs converter: what a caller gives <-> models <-> the JSON objects on the wire."""

import difflib
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import attrs
import cattrs
from cattrs.gen import make_dict_unstructure_fn, override

from sendx_async._core.addresses import is_mistyped
from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.masking import mask_addresses
from sendx_async._core.models import (
    CustomEventRequest,
    EventResponse,
    IdentifyRequest,
    IdentifyResponse,
    RevenueEventRequest,
    TrackRequest,
    TrackResponse,
    wire_name,
)

ModelT = TypeVar("ModelT")

_REQUESTS = (IdentifyRequest, TrackRequest, CustomEventRequest, RevenueEventRequest)
_RESPONSES = (IdentifyResponse, TrackResponse, EventResponse)
_ADDRESSES = {wire_name(name): name for name in ("email", "new_email", "identifier")}
_STAND_IN = "a@b.c"
_COLUMNS = 512  # as many names that no model has are remembered, with what is said of them
_LONGEST_NAME = 40  # of which a likeness is looked for
_ALIKE = 0.7  # "frist_name" is like "first_name", "seats" isn't like "lists"
_NEW_FIELDS = "fields that this version doesn't know go in extra"
_OWN_FIELDS: Mapping[type, str] = {
    IdentifyRequest: "fields of your own go in custom_fields; ",
    CustomEventRequest: "what else belongs to the event goes in data; ",
}


@functools.cache
def converter() -> cattrs.Converter:
    """Return the converter, made at the first call.

    It unstructures requests to their JSON objects; structures requests from a mapping with
    snake_case or wire names (an unknown key is refused) and responses from any JSON object.
    """
    made = cattrs.Converter()
    for request in _REQUESTS:
        made.register_unstructure_hook(request, _to_wire(request, made))
        made.register_structure_hook(request, _from_mapping)
    for response in _RESPONSES:
        made.register_structure_hook(response, _from_answer)
    return made


def request_from_wire(wire: Mapping[str, Any], kind: type[ModelT]) -> ModelT:
    """Make a request of the JSON object that it once became; unknown keys are its ``extra``.

    Args:
        wire: The JSON object.
        kind: The request's class.

    Raises:
        InvalidRequestError: A value can't be sent.
    """
    known = {wire_name(name) for name in _own_fields(kind)}
    own = {key: value for key, value in wire.items() if key in known}
    extra = {key: value for key, value in wire.items() if key not in known}
    if kind is TrackRequest:
        own.setdefault("email", None)
    # What an earlier version took is delivered, whatever this one would say to it today.
    kept = {key: own[key] for key in _ADDRESSES if is_mistyped(own.get(key))}
    made = converter().structure({**own, **dict.fromkeys(kept, _STAND_IN), "extra": extra}, kind)
    for key, address in kept.items():
        object.__setattr__(made, _ADDRESSES[key], address)
    return made


def _own_fields(kind: type) -> list[str]:
    return [field.name for field in attrs.fields(kind) if field.name != "extra"]


def _to_wire(kind: type, made: cattrs.Converter) -> Callable[[Any], dict[str, Any]]:
    # The models hold nothing but what JSON can carry, so each value is passed on as it is.
    renamed = {
        name: override(rename=wire_name(name), unstruct_hook=_as_it_is, omit_if_default=True)
        for name in _own_fields(kind)
    }
    options: dict[str, Any] = {**renamed, "extra": override(omit=True)}
    fields: Callable[[Any], dict[str, Any]] = make_dict_unstructure_fn(kind, made, **options)

    def to_wire(request: Any) -> dict[str, Any]:
        wire = fields(request)
        if kind is TrackRequest and request.email is None:
            del wire["email"]
        if request.extra:
            wire.update(request.extra)
        return wire

    return to_wire


def _as_it_is(value: Any) -> Any:
    return value


def _from_mapping(mapping: Any, kind: type[ModelT]) -> ModelT:
    """Make a request of a mapping, reporting wrong keys and wrong values together."""
    names = _names_of(cast("Any", kind))
    values: dict[str, Any] = {}
    problems: list[str] = []
    unknown: list[str] = []
    for key, value in mapping.items():
        name = names.get(key)
        if name is None:
            unknown.append(str(key))
        elif name in values:
            problems.append(f"{name} is given twice, as {name!r} and {wire_name(name)!r}")
        else:
            values[name] = value
    if unknown:
        problems[:0] = _unknown(unknown, cast("Any", kind))
    missing = [name for name in _required_fields(cast("Any", kind)) if name not in values]
    problems.extend(f"{name} is missing" for name in missing)
    try:
        # A missing value is reported already; any good one lets the others be checked as well.
        made = kind(**values, **{name: _GOOD[name] for name in missing})
    except InvalidRequestError as error:
        problems.extend(error.problems)
    else:
        if not problems:
            return made
    raise InvalidRequestError.of(kind.__name__, problems)


@functools.cache
def _names_of(kind: type) -> Mapping[object, str]:
    """Return the field for each name that a caller may use: Python's, or that on the wire."""
    names: dict[object, str] = {"extra": "extra"}
    for field in _own_fields(kind):
        names[field] = names[wire_name(field)] = field
    return names


@functools.cache
def _required_fields(kind: type[attrs.AttrsInstance]) -> list[str]:
    return [field.name for field in attrs.fields(kind) if field.default is attrs.NOTHING]


_GOOD: Mapping[str, Any] = {"email": _STAND_IN, "identifier": "a", "name": "a", "amount": 0}


def _unknown(keys: list[str], kind: type) -> list[str]:
    """Return what each key may have been meant for; one problem for all that are like no field."""
    problems: list[str] = []
    strange: list[str] = []
    for key in keys:
        shown, near = _likeness(key, kind)
        if near is None:
            strange.append(shown)
        else:
            problems.append(f"{shown} is not a field: did you mean {near!r}? {_NEW_FIELDS}")
    if strange:
        are = "is not a field" if len(strange) == 1 else "are not fields"
        fields = ", ".join(sorted(set(_names_of(kind).values())))
        own = _OWN_FIELDS.get(kind, "")
        problems.append(f"{', '.join(strange)} {are}: the fields are {fields}; {own}{_NEW_FIELDS}")
    return problems


@functools.lru_cache(maxsize=_COLUMNS)
def _likeness(key: str, kind: type) -> tuple[str, str | None]:
    """Return a key as it is shown, and the field that it is like: once for all rows of a column."""
    names = [str(name) for name in _names_of(kind)]
    plain = _letters_of(key[:_LONGEST_NAME])
    if plain == "email" and "identifier" in names:  # what an event calls it
        plain = "identifier"
    near = [name for name in names if _letters_of(name) == plain] or difflib.get_close_matches(
        key[:_LONGEST_NAME], names, n=1, cutoff=_ALIKE
    )
    return repr(mask_addresses(key)), near[0] if near else None


def _letters_of(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _from_answer(answer: dict[str, Any], kind: Callable[..., ModelT]) -> ModelT:
    """Make a response of any JSON object: tolerant, since the request was accepted already."""
    rest = answer.copy()
    return kind(
        status=_as_text(rest.pop("status", None)),
        message=_as_text(rest.pop("message", None)),
        data=rest.pop("data", None),
        extra=rest,
    )


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
