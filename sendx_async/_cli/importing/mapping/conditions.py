"""Conditions on rows, ``COLUMN=VALUE``: which of them are sent, and which are left out."""

from collections.abc import Iterable

import attrs

from sendx_async._core.errors import ConfigurationError


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
