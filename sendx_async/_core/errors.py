"""Every error of the library, as one tree.

SendXError
├── ConfigurationError            also a ValueError: a setting is missing or wrong
├── InvalidRequestError           also a ValueError: the request can't be sent as it is
├── ClientClosedError             also a RuntimeError
├── TransportError                nothing came back
│   ├── ConnectError              nothing was sent
│   ├── AttemptTimeout            also a TimeoutError: one attempt took too long
│   └── ResponseLost              sent, and the connection died before the answer
├── DeadlineExceeded              also a TimeoutError: the whole call took too long
├── OutageError                   SendX failed for longer than a stream's patience
├── NotSentError                  a stream ended before it sent this request
├── OutboxError                   an outbox can't keep, or can't give, a request
│   └── OutboxFullError           it holds as many as it may
├── ResponseDecodeError           a 2xx that SendX can't have written: nobody knows
└── ApiError                      the server refused, or failed
    ├── BadRequestError           400
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── UnprocessableEntityError  422
    ├── RateLimitError            429
    ├── ServerError               500 and above
    └── ReportedFailureError      a 2xx whose body says that it failed

Errors are plain data: they survive pickle and ``copy.deepcopy``, hold neither the request nor the
API key, and their text shows no e-mail address.

The file is longer than others, since what each error means for its request stands beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Self

from sendx_async._core.masking import mask_addresses


class SendXError(Exception):
    """Anything that goes wrong in this library.

    Attributes:
        operation: The client's method, such as ``"identify_contact"``, or None outside of a call.
        call_id: The call's identifier, as in log records and events, or None outside of a call.
        attempts: How many requests were begun for the call.
        elapsed: Seconds from the beginning of the call to the error.
        maybe_delivered: Whether SendX may have applied the request, in any of the attempts.
            False means: certainly not, sending it again can't do anything twice.
        replay_safe: Whether the request may be applied twice without harm; False outside of a call,
            and for a stream's own error, which stands for many requests.
    """

    replay_safe: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        operation: str | None = None,
        call_id: str | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        maybe_delivered: bool = False,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.call_id = call_id
        self.attempts = attempts
        self.elapsed = elapsed
        self.maybe_delivered = maybe_delivered

    @property
    def is_retryable(self) -> bool:
        """Whether sending the request again may succeed and can't do anything twice.

        True for what was not sent, or failed for a reason that may pass, if it was certainly not
        applied or may be applied twice; False for what can't be sent or was refused for good, and
        for what may have been applied and must not be again, such as an event. The call itself has
        repeated what it could, so again means later: after a wrong key, a wrong setting or a closed
        client, when somebody has mended that.
        """
        return self._may_pass() and (self.replay_safe or not self.maybe_delivered)

    def _may_pass(self) -> bool:
        """Return whether the same request may succeed at another time."""
        return True


class ConfigurationError(SendXError, ValueError):
    """A setting of the client is missing or wrong; the text names it and says what to do."""


class InvalidRequestError(SendXError, ValueError):
    """A request can't be sent as it is; nothing was sent.

    Attributes:
        problems: Every problem that was found, each one beginning with the field's name.
    """

    def __init__(
        self,
        message: str = "",
        *,
        problems: Sequence[str] = (),
        operation: str | None = None,
    ) -> None:
        super().__init__(message, operation=operation)
        self.problems: tuple[str, ...] = tuple(problems)

    def _may_pass(self) -> bool:
        return False

    @classmethod
    def of(cls, subject: str, problems: Sequence[str]) -> Self:
        """Make the error for ``subject``, the name of a model, with all its problems."""
        return cls(f"{subject}: " + "; ".join(problems), problems=problems)


class ClientClosedError(SendXError, RuntimeError):
    """The client was closed; no request was begun after that."""


class TransportError(SendXError):
    """No answer came back: see the subclasses, and ``maybe_delivered``."""


class ConnectError(TransportError):
    """No connection could be made, so this attempt sent nothing.

    Attributes:
        is_permanent: Whether it lasts until somebody acts; False once SendX has answered there.
    """

    is_permanent = False


class AttemptTimeout(TransportError, TimeoutError):  # noqa: N818 - a TimeoutError by its base
    """One attempt was not answered within ``timeout``."""


class ResponseLost(TransportError):  # noqa: N818 - says what happened
    """The request was sent, and the connection died before the answer was complete."""


class DeadlineExceeded(SendXError, TimeoutError):  # noqa: N818 - says what happened
    """The call, its waits and retries included, did not end within ``deadline``.

    It comes at once if a pause that SendX asked for, or the rate, lasts until after the deadline.

    Attributes:
        last: The error of the last attempt, or of the attempt that made the whole client pause;
            None if there was none.
    """

    def __init__(
        self,
        message: str = "",
        *,
        last: SendXError | None = None,
        maybe_delivered: bool = False,
    ) -> None:
        super().__init__(message, maybe_delivered=maybe_delivered)
        self.last = last


class OutageError(SendXError):
    """SendX could not be reached, or kept failing, for longer than a stream's ``patience``.

    The text counts what was delivered and what was not; the stream's ``unclaimed`` and ``unsent``
    hold the requests. ``maybe_delivered`` says whether any of those may have been applied.

    Attributes:
        last: The error of the last attempt.
    """

    def __init__(
        self, message: str = "", *, last: SendXError | None = None, maybe_delivered: bool = False
    ) -> None:
        super().__init__(message, maybe_delivered=maybe_delivered)
        self.last = last


class NotSentError(SendXError):
    """A stream ended before it sent this request, or every attempt was refused without effect."""


class OutboxError(SendXError):
    """An outbox could not store a request, or its file can't be used; the text says why.

    A request whose ``put`` raised this is not stored, and will not be delivered.
    """


class OutboxFullError(OutboxError):
    """An outbox holds ``max_pending`` requests already, so this one was not stored."""


class _AnswerError(SendXError):
    """What errors share that come with an answer."""

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        maybe_delivered: bool = False,
    ) -> None:
        super().__init__(message, maybe_delivered=maybe_delivered)
        self.status_code = status_code
        self.headers: dict[str, str] = dict(headers or {})
        self.body = body


class ResponseDecodeError(_AnswerError):
    """An answer of success whose body is no JSON object, so SendX can't have written it.

    A filter, a login or a wrong ``base_url`` answers like that. Whether the request came to SendX
    all the same nobody knows, so ``maybe_delivered`` is True.

    Attributes:
        status_code: The HTTP status, 200 to 299.
        headers: The answer's headers, names in lower case.
        body: The answer's body as it came, at most one MiB of it, of a ``request`` 16 MiB.
    """


class ApiError(_AnswerError):
    """SendX, or a proxy before it, refused the request or failed, or says that it did.

    Attributes:
        status_code: The HTTP status.
        message: The server's own words, or None if it gave none that can be read: in one line,
            at most some 300 characters of them, and with addresses masked, since crash reporters
            take them for the error's title. As they came they stand in ``body``.
        headers: The answer's headers, names in lower case.
        body: The answer's body as it came, at most one MiB of it, of a ``request`` 16 MiB.
        retry_after: Seconds that the server asks to wait before the next request, or None. A client
            pauses for 300 at most, then one request may try again.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status_code: int = 0,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        retry_after: float | None = None,
        maybe_delivered: bool = False,
        hint: str = "",
    ) -> None:
        text = f"SendX answered with HTTP {status_code}"
        message = message and mask_addresses(message)
        if message:
            text += f": {message}"
        super().__init__(
            f"{text.rstrip('.')}. {hint}" if hint else text,
            status_code=status_code,
            headers=headers,
            body=body,
            maybe_delivered=maybe_delivered,
        )
        self.message = message
        self.retry_after = retry_after

    def _may_pass(self) -> bool:
        # Whatever redirects stands in SendX's place: a maintenance page, a login.
        is_redirect = 300 <= self.status_code < 400  # noqa: PLR2004 - the definition of a 3xx
        return isinstance(self, _PASSING) or self.status_code in _TOO_EARLY or is_redirect

    def __reduce__(self) -> tuple[object, ...]:
        # The text is made in __init__, so a copy has to bring its own instead of making it anew.
        return type(self), (), {**self.__dict__, "args": self.args}


# Pickles of version 0.1 call it.
def _restored(  # pyright: ignore[reportUnusedFunction]
    kind: type[ApiError], args: tuple[str], state: dict[str, object]
) -> ApiError:
    error = kind()
    error.args = args
    error.__dict__.update(state)
    error.message = error.message and mask_addresses(error.message)
    return error


class BadRequestError(ApiError):
    """HTTP 400: the request is malformed."""


class AuthenticationError(ApiError):
    """HTTP 401: the API key is not accepted."""


class PermissionDeniedError(ApiError):
    """HTTP 403: the API key may not do this."""


class NotFoundError(ApiError):
    """HTTP 404: the contact is unknown, or the address of the API is wrong."""


class ConflictError(ApiError):
    """HTTP 409: the request contradicts the state of the server."""


class UnprocessableEntityError(ApiError):
    """HTTP 422: the server understood the request and refuses its content."""


class RateLimitError(ApiError):
    """HTTP 429: too many requests; ``retry_after`` says how long to wait, if the server did."""


class ServerError(ApiError):
    """HTTP 500 and above: the server, or a proxy before it, failed."""


class ReportedFailureError(ApiError):
    """HTTP 2xx with a body that reports a failure, such as ``{"status": "error"}``.

    Of what was sent SendX may have applied a part, or all: ``maybe_delivered`` is True. A request
    for several contacts that is answered with 207 is one, too.
    """


_PASSING = (AuthenticationError, PermissionDeniedError, RateLimitError, ServerError)
_TOO_EARLY = frozenset({408, 425})
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def api_error_class(status_code: int) -> type[ApiError]:
    """Return the class of the error for an HTTP status."""
    if status_code >= 500:  # noqa: PLR2004 - the definition of a 5xx
        return ServerError
    return _BY_STATUS.get(status_code, ApiError)


def status_code_of(error: BaseException) -> int | None:
    """Return the HTTP status of the answer that an error is about; None if there was none."""
    return error.status_code if isinstance(error, _AnswerError) else None


# Tracebacks, pickles and crash reporters name them as users import them.
for _error in [kind for kind in globals().values() if isinstance(kind, type)]:
    if issubclass(_error, SendXError):
        _error.__module__ = "sendx_async"
