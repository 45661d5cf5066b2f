"""The exit statuses of the command line, and which error ends with which."""

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
    # It was delivered, though most likely not to SendX: sending it again later is no cure.
    ResponseDecodeError,
)
_TOO_SOON = {408, 425, 429}


def status_of(error: SendXError) -> int:
    """Return the exit status for an error.

    Args:
        error: What ended the command.

    Returns:
        USAGE if the command, its settings, its input or the key have to be changed, UNREACHABLE if
        the same command may work later, and REFUSED if SendX does not want the request.
    """
    if isinstance(error, _WRONG_HERE):
        return USAGE
    if isinstance(error, (TransportError, DeadlineExceeded, OutageError, NotSentError)):
        return UNREACHABLE
    if isinstance(error, ApiError):
        if error.status_code in _TOO_SOON or error.status_code >= 500:  # noqa: PLR2004 - the definition of a 5xx
            return UNREACHABLE
        if 300 <= error.status_code < 400:  # noqa: PLR2004 - the definition of a 3xx
            return USAGE  # redirects are never followed: the base URL is wrong
    return REFUSED
