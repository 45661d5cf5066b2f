"""What a failure means: for its request, for the one who waits for it, and for all of SendX."""

import enum

from sendx_async._core.errors import (
    ApiError,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    NotFoundError,
    OutageError,
    OutboxError,
    PermissionDeniedError,
    ResponseDecodeError,
    SendXError,
    ServerError,
    TransportError,
)

_REFUSED_FOR_NOW = frozenset({408, 425, 429})
_TOO_MANY = 429
_UNAVAILABLE = 503
_NO_SUCH_ENDPOINT = frozenset({404, 405})
_REFUSED_FOR_ITSELF = frozenset({408, 425})


class Certainty(enum.Enum):
    """What became of the request in a failed attempt."""

    NOT_SENT = "not sent"
    REFUSED = "refused for now"
    UNKNOWN = "maybe applied"
    PROCESSED = "processed, and the answer is final"


def certainty_of(error: SendXError) -> Certainty:
    """Return what became of the request whose attempt ended with this error."""
    if isinstance(error, TransportError):
        return Certainty.UNKNOWN if error.maybe_delivered else Certainty.NOT_SENT
    if isinstance(error, ApiError):
        if error.status_code in _REFUSED_FOR_NOW or _is_told_to_wait(error):
            return Certainty.REFUSED
        if isinstance(error, ServerError):
            return Certainty.UNKNOWN
    return Certainty.PROCESSED


def _is_told_to_wait(error: ApiError) -> bool:
    return error.status_code == _UNAVAILABLE and error.retry_after is not None


class FailureClass(enum.Enum):
    """What a failed attempt means for its request."""

    REJECTED = "it can never succeed"
    UNCERTAIN = "it may have been applied, and must not be sent twice"
    AGAIN = "send it again: this request, or all of SendX, is in trouble"
    OUTAGE = "send it again: all of SendX is in trouble"
    ELSEWHERE = "something else has answered in the place of SendX, to all or to this request"
    HALT = "nothing can be sent before somebody acts"


_HALTING = (
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    OutboxError,
    PermissionDeniedError,
)


def classify(error: SendXError, *, replay_safe: bool) -> FailureClass:
    """Return what the failure of one attempt means for its request.

    Args:
        error: How the attempt ended.
        replay_safe: Whether applying the request twice is harmless.
    """
    if isinstance(error, _HALTING):
        return FailureClass.HALT
    if isinstance(error, ResponseDecodeError):
        # What has answered in SendX's place may have handed the request on to it.
        return FailureClass.ELSEWHERE if replay_safe else FailureClass.UNCERTAIN
    certainty = certainty_of(error)
    if certainty is Certainty.UNKNOWN:
        return FailureClass.AGAIN if replay_safe else FailureClass.UNCERTAIN
    if certainty is Certainty.NOT_SENT:
        return FailureClass.OUTAGE
    status_code = error.status_code if isinstance(error, ApiError) else 0
    if certainty is Certainty.REFUSED:
        return FailureClass.AGAIN if status_code in _REFUSED_FOR_ITSELF else FailureClass.OUTAGE
    # A redirect comes from whatever stands in SendX's place: a maintenance page, a login.
    return FailureClass.ELSEWHERE if 300 <= status_code < 400 else FailureClass.REJECTED  # noqa: PLR2004 - the definition of a 3xx


def is_permanent(error: SendXError) -> bool:
    """Return whether no connection can be made before somebody acts."""
    return isinstance(error, ConnectError) and error.is_permanent


def is_endpoint_missing(error: SendXError) -> bool:
    """Return whether the failure of a bulk request says that SendX has no bulk endpoint."""
    return isinstance(error, ApiError) and error.status_code in _NO_SUCH_ENDPOINT


def may_be_found_later(error: SendXError) -> bool:
    """Return whether SendX doesn't know a contact, which it may do when it is asked again.

    Nothing says how soon after a contact was identified SendX finds it (guess), so whoever has the
    time tries a few times more; but it is an answer, and no sign of an outage.
    """
    return isinstance(error, NotFoundError)


def retry_after_of(error: SendXError) -> float | None:
    """Return the seconds for which SendX asks to wait, by this error or its last attempt's."""
    if isinstance(error, (DeadlineExceeded, OutageError)):
        return None if error.last is None else retry_after_of(error.last)
    return error.retry_after if isinstance(error, ApiError) else None


def pause_for_everyone(error: SendXError, *, otherwise: float) -> float | None:
    """Return the seconds that the whole client has to pause after this error, or None.

    Args:
        error: How an attempt ended.
        otherwise: Seconds to pause if the server refuses for now and doesn't say how long.
    """
    if not isinstance(error, ApiError):
        return None
    if error.status_code == _TOO_MANY or _is_told_to_wait(error):
        return otherwise if error.retry_after is None else error.retry_after
    return None


def deadline_exceeded(
    deadline: float, last: SendXError | None, *, wait: float = 0
) -> DeadlineExceeded:
    """Return the error of a call that took longer than its deadline, or would.

    Args:
        deadline: Seconds that the whole call may take.
        last: The error before it, if there was one.
        wait: Seconds until the next request may begin, if it is these that are too many.
    """
    problem = (
        f"the next request may begin in {wait:.1f} s only, after the deadline of {deadline:g} s"
        if wait
        else f"no answer within the deadline of {deadline:g} s"
    )
    before = f"; before that: {last}" if last else ""
    return DeadlineExceeded(problem + before, last=last)
