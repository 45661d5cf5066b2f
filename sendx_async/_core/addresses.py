"""What may stand for a contact: its address or its id, and the typing errors that are never right.

SendX classifies addresses. Here only that is refused which can't be one by any standard, and is
often typed: an address of a foreign alphabet, one with quotes before the @, with an apostrophe, a
tag, two dots before the @, or a host without a dot passes.
"""

import re
from typing import Any

from sendx_async._core.validation import check_name

_LONGEST = 254
_ORDINARY = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*", re.ASCII)
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb"
_NEVER_IN_A_DOMAIN = frozenset("!\"#$%&'()*+,/:;=?[\\]^`{|}~" + _QUOTES)
_ONE_ADDRESS = "must be one e-mail address, with text on both sides of exactly one @"


def check_identifier(value: Any) -> str | None:
    """A contact's id or address: not empty, nothing unprintable, no white space.

    Only what has an @ is an address, of which typing errors are refused.
    """
    problem = check_name(value) or ("@" in value and _typing_error(value))
    return problem or _unprintable(value)


def check_address(value: Any) -> str | None:
    """What looks enough like an e-mail address for the server to classify the rest."""
    if type(value) is str and len(value) <= _LONGEST and _ORDINARY.fullmatch(value):
        return None  # as nearly always
    if problem := check_name(value) or _typing_error(value):
        return problem
    if len(value) > _LONGEST:
        return f"must have at most {_LONGEST} characters, has {len(value)}"
    local, at, domain = value.partition("@")
    if not (local and at and domain) or "@" in domain:
        return _ONE_ADDRESS
    return _unprintable(value)


def check_optional_address(value: Any) -> str | None:
    """An address, or the empty string, which is sent as given."""
    return None if isinstance(value, str) and not value else check_address(value)


def is_mistyped(value: object) -> bool:
    """Return whether a stored address is refused for a typing error that earlier versions took."""
    return isinstance(value, str) and "@" in value and _typing_error(value) is not None


def _unprintable(value: str) -> str | None:
    # The plain blank is the only white space that counts as printable.
    if " " in value or not value.isprintable():
        return "must not have white space or control characters: strip them"
    return None


def _typing_error(value: str) -> str | None:
    """Return what is often typed and never right, and what to type; None if there is nothing."""
    if "<" in value or ">" in value:
        return "must be the address alone, without a name and without < and >"
    if value[0] in _QUOTES and value[-1] in _QUOTES:
        return "has quotes around it: leave them out"
    if value[:7].lower() == "mailto:":
        return "must be the address alone, without mailto:"
    domain = value.rpartition("@")[2]
    if domain[:1] == "[" and domain[-1:] == "]":
        return None  # an address of the network, as in john@[127.0.0.1]
    if domain[-1:] == ".":
        return "ends with a dot: leave it out"
    if domain[:1] == "." or ".." in domain:
        return (
            "has a dot behind the @ with nothing before it: leave it out, or write what is missing"
        )
    for character in domain:
        if character in _NEVER_IN_A_DOMAIN:
            return (
                f"has {character!r} behind the @, where only letters, digits, dots and hyphens "
                "can stand: write a dot, or give one address alone"
            )
    return None
