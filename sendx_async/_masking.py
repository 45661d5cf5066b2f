"""Keeps e-mail addresses out of whatever people and logs get to see."""

import re

_ADDRESS = re.compile(r"""([^\s@<>"'(),:;\[\]{}=]+)@([^\s@<>"'(),:;\[\]{}=]+)""")


def mask_address(address: str) -> str:
    """Give an address of which only the first character and the domain can be read.

    Text without an ``@`` (a contact id) keeps its first character only.
    """
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else f"{address[:1]}***"


def mask_addresses(text: str) -> str:
    """Give the text with every e-mail address in it masked."""
    return _ADDRESS.sub(lambda found: f"{found[1][0]}***@{found[2]}", text)
