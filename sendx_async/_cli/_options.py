"""What the commands share: their options, what is read from arguments, and the client."""

import getpass
import os
import re
import sys
import warnings
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendx_async._cli._output import is_terminal
from sendx_async._core.errors import ConfigurationError

if TYPE_CHECKING:
    from sendx_async._clients.async_client import AsyncTrackingClient

BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="Where the API is. Default: SENDX_BASE_URL, or SendX's production server.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write one JSON object to stdout, for programs.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="How long one attempt may take. Default: 10.",
        show_default=False,
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        "--deadline",
        metavar="SECONDS",
        help="How long a call may take, its retries included. Default: 30.",
        show_default=False,
    ),
]

_UNIX_SECONDS = re.compile(r"[+-]?[0-9]{1,18}")


def make_client(
    *,
    base_url: str | None,
    rate: float | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
) -> "AsyncTrackingClient":
    """Make the client of a command.

    The key comes from SENDX_API_KEY. Without it, and with a terminal, it is asked for; what is
    typed isn't shown. Standard input is left alone, so data may come from there.

    Args:
        base_url: Where the API is; None for SENDX_BASE_URL, or production.
        rate: Requests that may begin in a second; None for no limit.
        timeout: Seconds that one attempt may take; None for the client's default, 10.
        deadline: Seconds that a call may take, retries included; None for the client's default, 30.

    Returns:
        The client, not yet opened.

    Raises:
        ConfigurationError: There is no key, or an option is wrong.
    """
    import logging  # noqa: PLC0415 - --help does without it

    from sendx_async._clients.async_client import AsyncTrackingClient  # noqa: PLC0415 - likewise
    from sendx_async._core.events import logger  # noqa: PLC0415 - likewise
    from sendx_async._core.options import Rate, make_base_url  # noqa: PLC0415 - likewise

    if not logger.hasHandlers():  # a command that doesn't log says by itself what there is to say
        logger.addHandler(logging.NullHandler())
    limits: dict[str, Any] = {"timeout": timeout, "deadline": deadline}
    options = {name: value for name, value in limits.items() if value is not None}
    if rate is not None:
        options["rate"] = Rate(rate)
    base_url = make_base_url(base_url)  # before anybody types a key for nothing
    asked = None if "SENDX_API_KEY" in os.environ else _ask_for_key()
    return AsyncTrackingClient(asked, base_url=base_url, **options)


def _ask_for_key() -> str:
    if not _can_ask():
        raise ConfigurationError("no API key: set the environment variable SENDX_API_KEY")
    try:
        with warnings.catch_warnings():
            # It warns where it can't hide what is typed, and would then go on.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass("SendX Team API key (hidden): ").strip()
    except (EOFError, getpass.GetPassWarning):
        raise ConfigurationError(
            "no API key was typed: set the environment variable SENDX_API_KEY"
        ) from None


def _can_ask() -> bool:
    if not is_terminal():
        return False
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        # Then it would be read from standard input, which may hold data instead of a person.
        return sys.stdin is not None and sys.stdin.isatty()
    return True


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
