"""Keeps e-mail addresses out of whatever people and logs get to see."""

import re

_LONGEST_SHOWN = 300

# A run of characters that holds an @, written out or percent-encoded, from its beginning to the
# last such sign in it. It may take more than the address with it, but never leaves a part of one:
# quotes, brackets and commas can all belong to an address. The look-behind keeps it linear.
_ADDRESS = re.compile(r"(?<!\S)(\S)\S*(?:@|%40)")


def mask_address(address: str) -> str:
    """Return an address of which only the first character and the domain can be read.

    Text without an ``@`` (a contact id) keeps its first character only.
    """
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else f"{address[:1]}***"


def mask_addresses(text: str) -> str:
    """Return a text fit to be shown: every e-mail address masked, in one line, and not too long."""
    shown = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_SHOWN])
    if len(text) > _LONGEST_SHOWN:
        # The last word may be the beginning of an address.
        shown = shown.rpartition(" ")[0] + " ..."
    return _ADDRESS.sub(r"\1***@", shown)
