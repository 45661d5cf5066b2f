"""From the text of an argument to a value: pairs, moments and amounts."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

import typer

_UNIX_SECONDS = re.compile(r"[+-]?[0-9]{1,18}")


def read_pairs(option: str, texts: Sequence[str] | None) -> dict[str, str] | None:
    """Split each text at its first ``=``.

    Args:
        option: The option that was given, for errors.
        texts: What was given with it.

    Returns:
        The values by their names, or None if the option was not given.

    Raises:
        typer.BadParameter: There is no ``=``, no name before it, or a name comes twice.
    """
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            problem = f"no = in it: write {option} NAME=VALUE"
        elif not name:
            problem = f"no name before the =: write {option} NAME=VALUE"
        elif name in pairs:
            problem = f"{name!r} is given twice"
        else:
            pairs[name] = value
            continue
        raise typer.BadParameter(problem, param_hint=option)
    return pairs or None


def read_moment(option: str, text: str | None) -> int | datetime | None:
    """Read Unix seconds, or ISO 8601 with an offset.

    Args:
        option: The option that was given, for errors.
        text: What was given with it, or None.

    Returns:
        What the models take as a time, or None if the option was not given.

    Raises:
        typer.BadParameter: It is neither, or has no offset.
    """
    if text is None:
        return None
    if _UNIX_SECONDS.fullmatch(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = "neither Unix seconds nor ISO 8601, such as 2026-11-23T12:00:00+01:00"
        raise typer.BadParameter(problem, param_hint=option) from None
    if moment.tzinfo is None:
        problem = "no offset from UTC: add Z for UTC, or one such as +01:00, behind a time of day"
        raise typer.BadParameter(problem, param_hint=option)
    return moment


def read_amount(argument: str, text: str) -> Decimal:
    """Read a number as it is written.

    Args:
        argument: The argument's name, for errors.
        text: What was given for it.

    Returns:
        The number, exactly.

    Raises:
        typer.BadParameter: It is none.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        problem = "no number such as 19.90"
        raise typer.BadParameter(problem, param_hint=argument) from None
