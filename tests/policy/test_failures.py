"""What a failure means for its request."""

import copy

import pytest

from sendx_async import (
    ApiError,
    AttemptTimeout,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ReportedFailureError,
    ResponseDecodeError,
    ResponseLost,
    SendXError,
    ServerError,
    UnprocessableEntityError,
)
from sendx_async._policy.failures import FailureClass, classify

# The same whether or not the request may be sent twice.
SURE: dict[str, tuple[FailureClass, list[SendXError]]] = {
    "halt": (
        FailureClass.HALT,
        [
            AuthenticationError(status_code=401),
            PermissionDeniedError(status_code=403),
            ClientClosedError(),
            ConfigurationError(),
        ],
    ),
    "outage": (
        FailureClass.OUTAGE,
        [
            ConnectError(),
            AttemptTimeout(maybe_delivered=False),
            RateLimitError(status_code=429),
            RateLimitError(status_code=429, retry_after=3),
            ServerError(status_code=503, retry_after=0.0),
        ],
    ),
    "elsewhere": (
        FailureClass.ELSEWHERE,
        [ApiError(status_code=302), ApiError(status_code=308)],
    ),
    "again": (FailureClass.AGAIN, [ApiError(status_code=408), ApiError(status_code=425)]),
    "rejected": (
        FailureClass.REJECTED,
        [
            BadRequestError(status_code=400),
            NotFoundError(status_code=404),
            ConflictError(status_code=409),
            ApiError(status_code=413),
            UnprocessableEntityError(status_code=422),
            ReportedFailureError(status_code=200, maybe_delivered=True),
        ],
    ),
}
AMBIGUOUS: list[SendXError] = [
    ServerError(status_code=500, maybe_delivered=True),
    ServerError(status_code=502, maybe_delivered=True),
    ServerError(status_code=503, maybe_delivered=True),
    ResponseLost(maybe_delivered=True),
    AttemptTimeout(maybe_delivered=True),
]


def shown(error: SendXError) -> str:
    return f"{type(error).__name__}-{getattr(error, 'status_code', '')}"


@pytest.mark.parametrize("replay_safe", [True, False])
@pytest.mark.parametrize(
    "failure_class,error",
    [
        pytest.param(failure_class, error, id=f"{name}-{shown(error)}")
        for name, (failure_class, errors) in SURE.items()
        for error in errors
    ],
)
def test_what_a_failure_means_for_its_request(
    failure_class: FailureClass, error: SendXError, replay_safe: bool
) -> None:
    assert classify(error, replay_safe=replay_safe) is failure_class


@pytest.mark.parametrize("error", AMBIGUOUS, ids=shown)
def test_what_may_have_been_applied_is_sent_again_only_if_that_is_safe(error: SendXError) -> None:
    assert classify(error, replay_safe=True) is FailureClass.AGAIN
    assert classify(error, replay_safe=False) is FailureClass.UNCERTAIN


@pytest.mark.parametrize("replay_safe", [True, False])
@pytest.mark.parametrize(
    "error", [*(error for _, errors in SURE.values() for error in errors), *AMBIGUOUS], ids=shown
)
def test_what_is_retryable_is_what_no_failure_has_settled(
    error: SendXError, *, replay_safe: bool
) -> None:
    error = copy.copy(error)
    error.replay_safe = replay_safe
    settled = {FailureClass.REJECTED, FailureClass.UNCERTAIN}
    assert error.is_retryable is (classify(error, replay_safe=replay_safe) not in settled)


def test_what_sendx_cannot_have_written_is_an_outage_and_no_proof() -> None:
    error = ResponseDecodeError(status_code=200, maybe_delivered=True)
    assert classify(error, replay_safe=True) is FailureClass.ELSEWHERE
    assert classify(error, replay_safe=False) is FailureClass.UNCERTAIN
