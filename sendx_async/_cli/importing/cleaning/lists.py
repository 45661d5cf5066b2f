"""The tags or lists of one cell, however a program has written them there."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, cast

from sendx_async._cli.importing.cleaning.notes import CellError, Note

# Each gives nothing back that it has taken, or a long cell would take very long.
_POSTGRESQL: Final = re.compile(r'(?:\s*"((?:[^"\\]|\\.)*+)"\s*|([^",{}\\]*+))(?:,|$)', re.DOTALL)
_QUOTED: Final = r'(?:\s*"((?:[^"]|"")*+)"\s*|((?:(?!{0})[^"])*+))(?:{0}|$)'
_OTHER_SEPARATOR: Final = re.compile(r"[;|]")
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_QUOTES: Final = {"'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb"}
_PAIRS: Final = _BRACKETS | _QUOTES
_MARK: Final = re.compile('["' + re.escape("".join((*_PAIRS, *_PAIRS.values()))) + "]")
_LIST_ID: Final = re.compile(r"list_\w+", re.ASCII)


def split_list(text: str, notes: list[Note], *, separator: str, is_given: bool) -> list[str]:
    """Return the items of a cell, each once, in order.

    The cell tells how they are written: a JSON array (``["a","b"]``), one of PostgreSQL
    (``{a,"b c"}``), or with the separator between, where an item may stand in quotes
    (``"Blog, monthly","VIP"``).

    Args:
        text: The cell, as `CellReader` gives it.
        notes: What was said about it; gets what there is to say besides.
        separator: What stands between items.
        is_given: Whether somebody has said so; else another one that is found is in doubt.

    Raises:
        CellError: Quotes or brackets are left over.
    """
    if _MARK.search(text) is None:  # as nearly always
        items = _split(text, separator)
    elif text[0] == "[" and text[-1] == "]":
        return _unique(_from_json(text))
    elif text[0] == "{" and text[-1] == "}":
        return _unique(_from_postgresql(text[1:-1]))
    elif '"' in text:
        return _unique(_from_quoted(text, separator))
    else:
        items = _split(text, separator)
        for item in items:
            _check_plain(item)
    if not is_given and (Note.LINE_BREAK in notes or _OTHER_SEPARATOR.search(text)):
        notes.append(Note.MAYBE_LIST)
    return _unique(items)


def _split(text: str, separator: str) -> list[str]:
    return [item for each in text.split(separator) if (item := each.strip())]


def _unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items)) if len(items) > 1 else items


def check_list_ids(items: Iterable[str]) -> None:
    """Refuse names where the ids of lists are due.

    Raises:
        CellError: One is no id.
    """
    if not all(map(_LIST_ID.fullmatch, items)):
        raise CellError(
            "must be ids of lists, which begin with list_, and not their names: SendX shows the id "
            "of each list. To send names instead, make them tags"
        )


def _from_json(text: str) -> list[str]:
    try:
        # Numbers as they are written.
        values: list[Any] = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise CellError(_LEFT_OVER) from None
    if not all(value is None or isinstance(value, str) for value in values):
        raise CellError("is a JSON array of something else than texts: make it a list of texts")
    return [item for value in cast("list[str | None]", values) if (item := (value or "").strip())]


def _from_postgresql(inside: str) -> list[str]:
    items: list[str] = []
    end = 0
    while end < len(inside):
        found = _POSTGRESQL.match(inside, end)
        if found is None:
            raise CellError(_LEFT_OVER)
        end = found.end()
        quoted, plain = found.groups()
        if quoted is not None:
            item = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL).strip()
        else:
            item = plain.strip()
            if item == "NULL":
                continue
        if item:
            items.append(item)
    return items


def _from_quoted(text: str, separator: str) -> list[str]:
    one = re.compile(_QUOTED.format(re.escape(separator)), re.DOTALL)
    items: list[str] = []
    end = 0
    while end < len(text):
        found = one.match(text, end)
        if found is None:
            raise CellError(_LEFT_OVER)
        quoted, plain = found.groups()
        if quoted is not None:
            item = quoted.replace('""', '"').strip()
        else:
            item = plain.strip()
            _check_plain(item)
        if item:
            items.append(item)
        end = found.end()
    return items


_LEFT_OVER: Final = (
    "has quotes or brackets left in it: write the items with what --separator says between them, "
    'as in a,b, or as a JSON array, as in ["a","b"]'
)


def _check_plain(item: str) -> None:
    """Refuse an item in quotes or brackets, or with one that has no partner."""
    if len(item) > 1 and _PAIRS.get(item[0]) == item[-1]:
        raise CellError(_LEFT_OVER)
    for opening, closing in _BRACKETS.items():
        if item.count(opening) != item.count(closing):
            raise CellError(_LEFT_OVER)
