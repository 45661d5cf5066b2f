"""An address out of what stands around it in cells."""

import re
from typing import Final

from sendx_async._cli.importing.cleaning.notes import CellError, Note

_ORDINARY: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.ASCII)
_QUOTES: Final = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_NAMED: Final = re.compile(r"[^<>]*<([^<>]+)>")
_MARKDOWN: Final = re.compile(r"\[[^\[\]]*\]\(([^()]+)\)")
_ADDRESS: Final = re.compile(rf"[^\s@<>()\[\]:,;|/&{_QUOTES}]+@[^\s@<>()\[\]:,;|/&{_QUOTES}]+")
_LEFTOVER: Final = re.compile(rf"^[{_QUOTES}]|[()\[\]:;,\\\"]")
_LONGEST: Final = 1000  # whatever stands around an address, this is none
_SCHEME: Final = "mailto:"


def read_address(text: str, notes: list[Note], *, separator: str | None = None) -> str:
    """Return the address in a cell, alone.

    ``mailto:``, a name with the address in ``<>``, quotes around it, dots, commas and semicolons
    behind it and a link of Markdown are taken off. Nothing else is changed.

    Args:
        text: The cell, as `CellReader` gives it.
        notes: Gets what there is to say about it.
        separator: What stands between several addresses, of which the first is taken.

    Raises:
        CellError: There are two addresses, or something else than one. What no address can be is
            left to `check_address`.
    """
    if separator is not None and (several := _split(text, separator)):
        text = several[0]
        if len(several) > 1:
            notes.append(Note.FIRST_ADDRESS)
    if len(text) > _LONGEST or _ORDINARY.fullmatch(text):
        return text
    if len({each.rstrip(".").casefold() for each in _ADDRESS.findall(text)}) > 1:
        raise CellError(_TWO)
    address = _unwrapped(text)
    if address != text:
        notes.append(Note.WRAPPED_ADDRESS)
    _check(address)
    return address


_TWO: Final = "has two addresses: give each a row of its own, or leave one out"


def _split(text: str, separator: str) -> list[str]:
    return [part for each in text.split(separator) if (part := each.strip())]


def _unwrapped(text: str) -> str:
    while (inner := _unwrapped_once(text)) and inner != text:
        text = inner
    return text


def _unwrapped_once(text: str) -> str:
    text = text.strip().rstrip(".,;")
    if text[: len(_SCHEME)].lower() == _SCHEME:
        return text[len(_SCHEME) :].partition("?")[0]
    if wrapped := _NAMED.fullmatch(text) or _MARKDOWN.fullmatch(text):
        return wrapped[1]
    if text[:1] in _QUOTES and text[-1:] in _QUOTES:
        return text[1:-1]
    return text


def _check(address: str) -> None:
    local, at, domain = address.rpartition("@")
    if not at:
        return
    if len(_ADDRESS.findall(address)) > 1:
        raise CellError(_TWO)
    if any(map(str.isspace, address)):
        raise CellError("has white space in it: give the address alone, without blanks")
    is_quoted = len(local) > 1 and local[0] == local[-1] == '"'
    if domain and not is_quoted and (leftover := _LEFTOVER.search(local)):
        raise CellError(
            f"has {leftover[0]!r} before the @, where none can stand: give the address alone"
        )
