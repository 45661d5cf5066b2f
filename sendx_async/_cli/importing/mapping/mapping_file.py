"""What was decided about a kind of file, as a document: of the command's options, or of TOML.

Its keys are the names of the options, so there is nothing new to learn:

    from = "mailchimp"
    ignore = ["Notes"]

    [field]
    "Phone Number" = "Phone"
"""

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any, TypeAlias, cast, get_args

from sendx_async._cli.importing.mapping.columns import LISTS, Columns
from sendx_async._cli.importing.mapping.conditions import conditions
from sendx_async._cli.importing.mapping.decisions import BY_CELLS, BY_NAME, CUSTOM_FIELDS
from sendx_async._cli.importing.mapping.plan import Plan
from sendx_async._cli.importing.reading.records import Format
from sendx_async._core.errors import ConfigurationError

Document: TypeAlias = Mapping[str, Any]

_TEXT, _NUMBER, _FLAG = "a text", "a whole number from 0 on", "true or false"
_TEXTS, _TABLE = 'a list of texts, such as ["a", "b"]', "a table of texts"
_KINDS = {
    "from": _TEXT,
    "format": _TEXT,
    "encoding": _TEXT,
    "delimiter": _TEXT,
    "escape": _TEXT,
    "skip-lines": _NUMBER,
    "columns": _TEXTS,
    "sheet": _TEXT,
    "all-fields": _FLAG,
    "ignore": _TEXTS,
    "ignore-rest": _FLAG,
    "split-names": _FLAG,
    "only": _TEXTS,
    "skip": _TEXTS,
    "everyone": _FLAG,
    "skip-empty": _FLAG,
    "duplicates": _TEXT,
    "null": _TEXTS,
    "separator": _TEXT,
    "tag": _TEXTS,
    "tag-prefix": _TEXT,
    "list": _TEXTS,
    "increments": _FLAG,
    "column": _TABLE,
    "field": _TABLE,
}
_CHOICES = {"format": get_args(Format), "duplicates": ("last", "first", "reject")}
_OF_COLUMNS = ("column", "field", "ignore")
_OF_THE_REST = ("all-fields", "ignore-rest")


def document(options: Mapping[str, object]) -> Document:
    """Return the document of options, without those that were not given.

    Args:
        options: Values by the options' names; None, False or empty if one was not given.
    """
    return {
        name: value
        for name, value in options.items()
        if value is not None and value is not False and value not in ([], {})
    }


def read(text: str, where: str) -> Document:
    """Read a document out of TOML.

    Args:
        text: What the file holds.
        where: The file, for errors.

    Raises:
        ConfigurationError: It is no TOML, or says what can't be meant; it names the key.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where} is no TOML: {error}") from None
    for key, value in found.items():
        if key not in _KINDS:
            near = difflib.get_close_matches(key, _KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(_KINDS)}"
            raise ConfigurationError(f"{where}: {key!r} is no key; {hint}")
        if not _is(_KINDS[key], value):
            raise ConfigurationError(f"{where}: {key} must be {_KINDS[key]}")
        if value not in _CHOICES.get(key, (value,)):
            raise ConfigurationError(f"{where}: {key} must be one of {', '.join(_CHOICES[key])}")
    return document(found)


def merged(saved: Document, given: Document) -> Document:
    """Return what two documents say together.

    Args:
        saved: One.
        given: The one that comes first where both decide about the same thing.
    """
    named = {name.casefold() for key in _OF_COLUMNS for name in given.get(key, ())}
    taken = {field for field in given.get("column", {}).values() if field not in LISTS}
    both: dict[str, Any] = {}
    for key, value in saved.items():
        if key == "column":
            value = {  # noqa: PLW2901 - what is left of it
                name: field
                for name, field in value.items()
                if name.casefold() not in named and field not in taken
            }
        elif key == "field":
            value = {name: each for name, each in value.items() if name.casefold() not in named}  # noqa: PLW2901 - likewise
        elif key == "ignore":
            value = [name for name in value if name.casefold() not in named]  # noqa: PLW2901 - likewise
        elif key in _OF_THE_REST and any(other in given for other in _OF_THE_REST):
            continue
        elif key in {"only", "skip"}:
            value = _conditions_left(key, value, given)  # noqa: PLW2901 - likewise
        both[key] = value
    for key, value in given.items():
        if _KINDS[key] == _TEXTS and key != "columns":
            value = [*both.get(key, ()), *value]  # noqa: PLW2901 - all of both
        elif _KINDS[key] == _TABLE:
            value = both.get(key, {}) | value  # noqa: PLW2901 - likewise
        both[key] = value
    return document(both)


def saved(given: Document, plan: Plan, *, encoding: str | None = None) -> Document:
    """Return what was decided about a file, so that others like it need no decision any more.

    What a preset says is kept by its name, and what the user said as it was said. What the names of
    columns told, or their cells, is written out.

    Args:
        given: What the user said.
        plan: What is done with the file's columns.
        encoding: The file's encoding, if nobody would find it by the first bytes; else None.
    """
    told: dict[str, dict[str, str]] = {"column": {}, "field": {}}
    for each in plan.decisions:
        if each.why in {BY_NAME, BY_CELLS} and each.becomes != CUSTOM_FIELDS:
            key, value = ("column", each.becomes) if each.title is None else ("field", each.title)
            told[key][each.name] = value
    return merged(document({**told, "encoding": encoding}), given)


def to_toml(document: Document, about: str) -> str:
    """Return a document as `read` takes it.

    Args:
        document: What to write.
        about: The file that it was made for, in one line.
    """
    import tomli_w  # noqa: PLC0415 - it is seldom needed

    in_order = {key: document[key] for key in _KINDS if key in document}
    return f"# What was decided about {about}. Use it with --mapping.\n{tomli_w.dumps(in_order)}"


def _conditions_left(key: str, texts: list[str], given: Document) -> list[str]:
    anew = {each.column.casefold() for each in conditions(f"--{key}", given.get(key, ()))}
    read = zip(texts, conditions(f"--{key}", texts), strict=True)
    return [text for text, condition in read if condition.column.casefold() not in anew]


def _is(kind: str, value: object) -> bool:
    if kind == _TEXTS:
        return isinstance(value, list) and all(
            isinstance(each, str) for each in cast("list[object]", value)
        )
    if kind == _TABLE:
        return isinstance(value, dict) and all(
            isinstance(each, str) for each in cast("dict[str, object]", value).values()
        )
    if kind == _NUMBER:
        return type(value) is int and value >= 0
    return isinstance(value, str if kind == _TEXT else bool)


def columns_of(document: Document) -> Columns:
    """Return what a document says about columns.

    Raises:
        ConfigurationError: It makes no sense; it names the option.
    """
    return Columns(
        preset=document.get("from"),
        renamed=document.get("column", {}),
        custom=document.get("field", {}),
        all_custom=document.get("all-fields", False),
        ignored=tuple(document.get("ignore", ())),
        ignores_rest=document.get("ignore-rest", False),
        splits_names=document.get("split-names", False),
        only=conditions("--only", document.get("only", ())),
        skip=conditions("--skip", document.get("skip", ())),
        takes_everyone=document.get("everyone", False),
        skips_empty=document.get("skip-empty", False),
        nulls=tuple(document.get("null", ())),
        separator=document.get("separator"),
        tags=tuple(document.get("tag", ())),
        tag_prefix=document.get("tag-prefix", ""),
        lists=tuple(document.get("list", ())),
        allows_increments=document.get("increments", False),
    )
