"""A request to any endpoint: a caller's method, path, parameters and JSON, checked and quoted."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, get_args
from urllib.parse import quote, urlencode

from sendx_async._core import options, validation
from sendx_async._core.errors import InvalidRequestError
from sendx_async._core.operations import Operation
from sendx_async._core.wrong_types import wrong_type

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

_METHODS: tuple[str, ...] = get_args(Method)
_WITHOUT_BODY = ("GET", "HEAD")
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD", "PUT", "DELETE"})  # RFC 9110, 9.2.2
_MOST_CHARACTERS = 16_000  # servers take 8 to 16 kB, and httpx refuses 64 KiB
_EXAMPLE = '"/contact/{identifier}"'

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_PATH = re.compile(rf"(?:/(?:[A-Za-z0-9._~-]|{_NAME.pattern})+)+")
# SendX's ids: 22 letters and digits, with or without a prefix (OpenAPI document).
_ID = re.compile(r"(?:[a-z_]+_)?[A-Za-z0-9]{22}")
_LEADS_ELSEWHERE = {".", ".."}


class RawRequest:
    """What a caller sends to an endpoint that the library has no model for.

    It has no fields for tools to walk: the path holds what may be an address.

    Attributes:
        path: The path below the base URL and the query, filled in and quoted.
        json: What the body says; None for no body.
    """

    __slots__ = ("json", "path")

    def __init__(self, path: str, json: Any) -> None:
        self.path = path
        self.json = json


def make_raw_request(
    method: str,
    path: str,
    *,
    path_params: Mapping[str, object] | None,
    params: Mapping[str, object] | None,
    json: Any,
    replay_safe: bool | None,
) -> tuple[Operation[RawRequest, Any], RawRequest]:
    """Return the operation and the request of a call; arguments as for the client's ``request``.

    Raises:
        InvalidRequestError: It can't be sent as it is; ``problems`` says everything that is wrong.
        ConfigurationError: ``replay_safe`` is no flag.
    """
    problems: list[str] = []
    if method not in _METHODS:
        problems.append(f"method must be one of {', '.join(_METHODS)}, in capitals")
    filled = _filled(path, path_params, problems)
    if query := _query(params, problems):
        filled = f"{filled}?{query}"
    if len(filled) > _MOST_CHARACTERS:
        problems.append(f"path and params have more than {_MOST_CHARACTERS} characters together")
    if json is not None and method in _WITHOUT_BODY:
        problems.append(f"json can't be sent with {method}: params makes the query")
    kept = validation.to_json(json)
    if problem := validation.check_json(kept):
        problems.append(validation.at("json", problem))
    if problems:
        raise InvalidRequestError.of("request", problems)
    if replay_safe is None:
        is_safe = method in _SAFE_TO_REPEAT
    else:
        is_safe = options.make_flag("replay_safe", replay_safe)
    operation: Operation[RawRequest, Any] = Operation(
        "request", path, RawRequest, None, lambda _: is_safe, method=method
    )
    return operation, RawRequest(filled, kept)


def _filled(path: object, path_params: object, problems: list[str]) -> str:
    """Return the path with its names filled in; note what is wrong with it."""
    names: list[str] = []
    if not isinstance(path, str):
        problems.append(f"path {wrong_type(f'a str such as {_EXAMPLE}', path)}")
    elif not _PATH.fullmatch(path):
        problems.append(
            f"path must be such as {_EXAMPLE}, below base_url: letters, digits and ._~- between "
            "single slashes; what varies goes into path_params, what follows a ? into params"
        )
    elif _LEADS_ELSEWHERE.intersection(path.split("/")):
        problems.append("path must not have . or .. between slashes: they lead elsewhere")
    elif any(map(_ID.fullmatch, path.split("/"))):
        problems.append(f"path holds an id, which logs would show: use {_EXAMPLE} and path_params")
    else:
        names = _NAME.findall(path)
    given = _mapping("path_params", path_params, problems)
    if not problems:
        unknown = [name for name in given if name not in names]
        problems.extend(f"path_params{validation.key(name)} is not in the path" for name in unknown)
    texts: dict[str, str] = {}
    for name in names:
        if name not in given:
            problems.append(f"path_params['{name}'] is missing")
            continue
        text = cast("str", validation.to_scalar_text(given[name]))
        problem = validation.check_scalar_text(text) or _problem_in_a_path(text)
        if problem:
            problems.append(f"path_params['{name}'] {problem}")
        else:
            texts[name] = quote(text, safe="")
    if problems:
        return ""
    return _NAME.sub(lambda match: texts[match[1]], cast("str", path))


def _problem_in_a_path(text: str) -> str | None:
    if not text:
        return "must not be empty: the path would be another one"
    if not text.isprintable():
        return "must not have line breaks or control characters: strip them"
    # Some servers decode a slash before they look for these.
    if _LEADS_ELSEWHERE.intersection(re.split(r"[/\\]", text)):
        return "must not be or hold . or .. between slashes: the path would be another one"
    return None


def _query(params: object, problems: list[str]) -> str:
    """Return the query; note what is wrong with the parameters."""
    pairs: list[tuple[str, str]] = []
    for name, value in _mapping("params", params, problems).items():
        if value is None:
            continue
        if problem := validation.check_name(name):
            problems.append(f"params has a name that {problem}")
            continue
        is_several = isinstance(value, (list, tuple, set, frozenset))
        for item in cast("Iterable[object]", value) if is_several else (value,):
            text = cast("str", validation.to_scalar_text(item))
            if problem := validation.check_scalar_text(text):
                problems.append(f"params{validation.key(name)} {problem}")
            pairs.append((cast("str", name), text))
    return "" if problems else urlencode(pairs, quote_via=quote, safe="")


def _mapping(name: str, value: object, problems: list[str]) -> Mapping[object, object]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return cast("Mapping[object, object]", value)
    problems.append(f"{name} {wrong_type('a mapping', value, has_parts=True)}")
    return {}
