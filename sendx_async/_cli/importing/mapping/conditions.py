"""Conditions on rows, ``COLUMN=VALUE``: which of them are sent, and which are left out."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

import attrs

from sendx_async._core.errors import ConfigurationError
from sendx_async._core.validation import to_scalar_text

Read: TypeAlias = Callable[[str], str | None]
"""Gives what a cell says, or None if that is nothing."""

Split: TypeAlias = Callable[[str], Iterable[str]]
"""Gives the items of a cell of tags."""


@attrs.frozen
class Condition:
    """A value that a column has, or hasn't.

    Attributes:
        column: The column's name.
        value: Its value; case, and white space around it, don't matter. Empty for an empty cell.
    """

    column: str
    value: str

    def __str__(self) -> str:
        """Return it as it is written behind the option."""
        return f"{self.column}={self.value}"


@attrs.frozen
class RowRule:
    """Leaves out rows by one of their columns.

    Attributes:
        index: The column's place; None if the row has no such column.
        allows: Tells whether a row with this value is sent; an empty cell is None.
        reason: What is said of a row that is left out.
    """

    index: int | None
    allows: Callable[[Any], bool]
    reason: str


def conditions(option: str, texts: Iterable[str]) -> tuple[Condition, ...]:
    """Read conditions.

    Args:
        option: The option that they were given with, for errors.
        texts: Each ``COLUMN=VALUE``.

    Raises:
        ConfigurationError: One has another form.
    """
    return tuple(_condition(option, text) for text in texts)


def _condition(option: str, text: str) -> Condition:
    # A column's name may begin with the sign.
    column, equals, value = text[1:].partition("=")
    if not equals:
        raise ConfigurationError(
            f"{option} {text!r} must be COLUMN=VALUE, such as 'Status=subscribed', or COLUMN= for "
            "an empty cell"
        )
    return Condition(text[0] + column, value.strip())


def only(
    index: int | None, wanted: Sequence[Condition], read: Read, split: Split | None
) -> RowRule:
    """Return the rule that one of these holds, which are all about the column at the index.

    Args:
        index: The column's place; None if the row has no such column.
        wanted: What must hold.
        read: Reads a cell.
        split: Takes a cell of tags apart, one of which is enough; None if the column has none.
    """
    has = _has(wanted, read, split)
    return RowRule(index, has, f"not --only {' or '.join(map(str, wanted))}")


def skip(index: int | None, unwanted: Condition, read: Read, split: Split | None) -> RowRule:
    """Return the rule that this doesn't hold; the arguments are those of `only`."""
    has = _has([unwanted], read, split)
    return RowRule(index, lambda value: not has(value), f"--skip {unwanted}")


def _has(any_of: Sequence[Condition], read: Read, split: Split | None) -> Callable[[Any], bool]:
    values = frozenset(each.value.casefold() for each in any_of)

    def has(value: Any) -> bool:
        if value is None:
            return "" in values
        if isinstance(value, list):  # of JSON: one of its items
            return any(map(has, cast("list[object]", value) or [None]))
        text = str(to_scalar_text(value))
        # As it stands there, too: who has seen NULL in the file may say so.
        said = {(read(text) or "").casefold(), text.strip().casefold()}
        if split is not None:
            said.update(item.casefold() for item in split(text))
        return not said.isdisjoint(values)

    return has
