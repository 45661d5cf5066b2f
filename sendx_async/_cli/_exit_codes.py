"""The exit codes of the command line, and signals: which error or signal ends with which code."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sendx_async._core.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    DeadlineExceeded,
    InvalidRequestError,
    NotSentError,
    OutageError,
    OutboxError,
    PermissionDeniedError,
    ResponseDecodeError,
    SendXError,
    TransportError,
)
from sendx_async._policy.failures import is_permanent

_Result = TypeVar("_Result")

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130
TERMINATED = 143

_WRONG_HERE = (
    ConfigurationError,
    InvalidRequestError,
    OutboxError,
    AuthenticationError,
    PermissionDeniedError,
    # Something answers in SendX's place: sending it again later is hardly a cure.
    ResponseDecodeError,
)
_TOO_SOON = {408, 425, 429}
_SECONDS_ASLEEP = 1.0


def code_of_error(error: SendXError) -> int:
    """Return the exit code for an error.

    Args:
        error: What ended the command.

    Returns:
        USAGE if the command, its settings, its input or the key have to be changed, UNREACHABLE if
        the same command may work later, and REFUSED if SendX does not want the request.
    """
    if isinstance(error, _WRONG_HERE) or is_permanent(error):
        return USAGE
    if isinstance(error, (TransportError, DeadlineExceeded, OutageError, NotSentError)):
        return UNREACHABLE
    if isinstance(error, ApiError):
        if error.status_code in _TOO_SOON or error.status_code >= 500:  # noqa: PLR2004 - the definition of a 5xx
            return UNREACHABLE
        if 300 <= error.status_code < 400:  # noqa: PLR2004 - the definition of a 3xx
            return USAGE  # redirects are never followed: the base URL is wrong
    return REFUSED


def code_of_signal(number: signal.Signals) -> int:
    """Return the exit code of a command that a signal has ended: INTERRUPTED or TERMINATED."""
    return INTERRUPTED if number is signal.SIGINT else TERMINATED


def call_when_told_to_stop(function: Callable[[int], object]) -> None:
    """Have this called in the running loop at each Ctrl-C and SIGTERM from now on.

    Args:
        function: What to call, with the signal's number.
    """
    loop = asyncio.get_running_loop()

    def stop(number: int, _: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(function, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def run_in_loop(function: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run a coroutine function as `asyncio.run` does, but have signals noticed within a second.

    A signal that comes just before the loop falls asleep doesn't wake it: its handler runs when the
    loop is awake the next time. So it sleeps no longer than that.

    Args:
        function: What to run.

    Raises:
        KeyboardInterrupt: After Ctrl-C, unless that has another handler.
    """

    async def awake() -> _Result:
        loop = asyncio.get_running_loop()

        def wake_up() -> None:
            loop.call_later(_SECONDS_ASLEEP, wake_up)

        wake_up()
        return await function()

    return asyncio.run(awake())
