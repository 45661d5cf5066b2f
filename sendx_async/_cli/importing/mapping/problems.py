"""What is said of a row that isn't sent: which column is in the way, its value, what to do."""

from collections.abc import Mapping
from typing import Any

import attrs

from sendx_async._core.masking import mask_address, mask_addresses

_LONGEST_SHOWN = 40


@attrs.frozen
class Skip:
    """A row is left out.

    Attributes:
        reason: Why, as rows are counted by it: ``unsubscribed``, ``no address``.
    """

    reason: str


@attrs.frozen
class Problem:
    """Why a row can't be sent.

    Attributes:
        column: The column that is in the way; None if it is none alone.
        value: Its value; None if it has none, or isn't at fault.
        reason: What is wrong and what to do, in words that follow the column's name.
    """

    column: str | None
    value: Any
    reason: str

    def text(self, *, shows_values: bool) -> str:
        """Return it with its column, and its value fit to be shown.

        Args:
            shows_values: Whether addresses are shown as they are.
        """
        said = self.reason if self.column is None else f"{self.column} {self.reason}"
        # Of a list or an object of JSON little could be shown.
        if self.value is None or isinstance(self.value, (list, Mapping)):
            return said
        value = shown(self.value, shows_values=shows_values)
        return f"{said} (it is {value!r})" if value else said


@attrs.frozen
class Refusal:
    """A row can't be sent.

    Attributes:
        problems: Why; at least one.
    """

    problems: tuple[Problem, ...]

    def text(self, *, shows_values: bool) -> str:
        """Return all of them, as `Problem.text` does."""
        return "; ".join(each.text(shows_values=shows_values) for each in self.problems)


def shown(value: object, *, shows_values: bool) -> str:
    """Return a cell's value fit to be shown, in one line of 40 characters at most.

    Args:
        value: The value.
        shows_values: Whether addresses are shown as they are; else all but the first letter and
            what follows the @ is hidden.
    """
    text = "".join(each if each.isprintable() else " " for each in str(value)).strip()
    if not shows_values and "@" in text:
        text = mask_address(text) if " " not in text else mask_addresses(text)
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[: _LONGEST_SHOWN - 3]}..."
    return text
