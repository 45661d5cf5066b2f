"""Keeps e-mail addresses out of whatever people and logs get to see."""

import abc
import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    import attrs

ResultT = TypeVar("ResultT")

_LONGEST_SHOWN = 300

# A run of characters that holds an @, written out or percent-encoded, from its beginning to the
# last such sign in it. It may take more than the address with it, but never leaves a part of one:
# quotes, brackets and commas can all belong to an address. The look-behind keeps it linear.
_ADDRESS = re.compile(r"(?<!\S)(\S)\S*(?:@|%40)")


class _Hidden:
    __slots__ = ()

    def __repr__(self) -> str:
        return "..."


HIDDEN: Final = _Hidden()
"""Stands for a value that is there and isn't shown."""


class MaskedRepr:
    """Shows people and tools the same: what `__rich_repr__` yields, and nothing else.

    rich asks for it first, and so does whatever prints with rich: its tracebacks, those of typer,
    structlog's `dict_tracebacks`. Without it they walk all fields of a class made by attrs.
    """

    __slots__ = ()

    @abc.abstractmethod
    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        """Yield the name and the masked value of each field that is shown."""
        ...

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class MaskedCall(functools.partial[ResultT]):
    """A call to be made later, whose repr shows no arguments as that of a partial does."""

    def __repr__(self) -> str:
        return f"<a call of {self.func.__name__}>"


def unshown(_kind: type, fields: "list[attrs.Attribute[Any]]") -> "list[attrs.Attribute[Any]]":
    """Mark the fields of an attrs class as no part of its repr, for tools that look for that."""
    return [field.evolve(repr=False) for field in fields]


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
