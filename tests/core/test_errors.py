"""The tree of errors: what they inherit, carry, survive and never show."""

import copy
import itertools
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

import sendx_async
from sendx_async import (
    ApiError,
    AttemptTimeout,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    DeadlineExceeded,
    IdentifyRequest,
    InvalidRequestError,
    NotFoundError,
    NotSentError,
    OutageError,
    OutboxError,
    OutboxFullError,
    PermissionDeniedError,
    RateLimitError,
    ReportedFailureError,
    ResponseDecodeError,
    ResponseLost,
    SendXError,
    ServerError,
    TransportError,
    UnprocessableEntityError,
)
from sendx_async._core.masking import mask_address, mask_addresses

TREE: Mapping[str, tuple[type, ...]] = {
    "SendXError": (Exception,),
    "ConfigurationError": (SendXError, ValueError),
    "InvalidRequestError": (SendXError, ValueError),
    "ClientClosedError": (SendXError, RuntimeError),
    "TransportError": (SendXError,),
    "ConnectError": (sendx_async.TransportError,),
    "AttemptTimeout": (sendx_async.TransportError, TimeoutError),
    "ResponseLost": (sendx_async.TransportError,),
    "DeadlineExceeded": (SendXError, TimeoutError),
    "OutageError": (SendXError,),
    "NotSentError": (SendXError,),
    "OutboxError": (SendXError,),
    "OutboxFullError": (sendx_async.OutboxError,),
    "ResponseDecodeError": (SendXError,),
    "ApiError": (SendXError,),
    "BadRequestError": (ApiError,),
    "AuthenticationError": (ApiError,),
    "PermissionDeniedError": (ApiError,),
    "NotFoundError": (ApiError,),
    "ConflictError": (ApiError,),
    "UnprocessableEntityError": (ApiError,),
    "RateLimitError": (ApiError,),
    "ServerError": (ApiError,),
    "ReportedFailureError": (ApiError,),
}
ANSWER: dict[str, Any] = {
    "status_code": 404,
    "headers": {"x-a": "b"},
    "body": b"\xff{}",
    "maybe_delivered": True,
}


def examples() -> list[SendXError]:
    made: list[SendXError] = []
    for name in TREE:
        kind: Any = getattr(sendx_async, name)
        if issubclass(kind, ApiError):
            made.append(kind("No jane@example.com", retry_after=1.5, hint="Do that.", **ANSWER))
        elif kind is ResponseDecodeError:
            made.append(kind("unreadable", **ANSWER))
        elif kind is InvalidRequestError:
            made.append(kind.of("IdentifyRequest", ["email is missing", "tags is wrong"]))
        elif kind in {DeadlineExceeded, OutageError}:
            made.append(kind("too late", last=made[-1], maybe_delivered=True))
        else:
            made.append(kind("broken", maybe_delivered=True))
    for number, error in enumerate(made):
        error.operation, error.call_id = "identify_contact", f"{number:016x}"
        error.attempts, error.elapsed = number, number / 4
        error.add_note("seen in a test")
    return made


def plain(error: BaseException) -> dict[str, Any]:
    """Give all that an error knows, in a form that compares."""
    return {
        "type": type(error), "text": str(error), "args": error.args, "repr": repr(error),
        **{name: plain(value) if isinstance(value, BaseException) else value
           for name, value in vars(error).items()},
    }  # fmt: skip


def test_the_tree_is_as_documented() -> None:
    exported = {
        name
        for name in sendx_async.__all__
        if isinstance(kind := getattr(sendx_async, name), type) and issubclass(kind, BaseException)
    }
    assert exported == set(TREE)
    for name, bases in TREE.items():
        kind = getattr(sendx_async, name)
        assert kind.__module__.startswith("sendx_async")
        for base in bases:
            assert issubclass(kind, base)
        # Nothing else from outside of the tree can catch it by accident.
        ours = (ValueError, RuntimeError, TimeoutError, OSError, TypeError, KeyError)
        for foreign in ours:
            inherited = any(issubclass(base, foreign) for base in bases)
            assert issubclass(kind, foreign) == inherited


def test_the_module_draws_the_tree() -> None:
    from sendx_async._core import errors  # noqa: PLC0415 - only this test looks inside

    drawn = (errors.__doc__ or "").split("\n\n")[1]
    assert [line.split("── ")[-1].split()[0] for line in drawn.splitlines()] == list(TREE)


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
class TestCopies:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickle(self, error: SendXError, protocol: int) -> None:
        assert plain(pickle.loads(pickle.dumps(error, protocol))) == plain(error)

    def test_copies_keep_everything(self, error: SendXError) -> None:
        for twin in (copy.copy(error), copy.deepcopy(error)):
            assert twin is not error
            assert plain(twin) == plain(error)

    def test_a_copy_of_a_copy_of_an_error_that_was_raised(self, error: SendXError) -> None:
        before = plain(error)
        with pytest.raises(type(error)) as raised:
            raise error
        assert plain(copy.deepcopy(pickle.loads(pickle.dumps(raised.value)))) == before

    def test_everything_documented_is_there(self, error: SendXError) -> None:
        assert error.operation == "identify_contact"
        assert error.call_id == f"{error.attempts:016x}"
        assert error.elapsed == error.attempts / 4
        assert isinstance(error.maybe_delivered, bool)
        if isinstance(error, ApiError):
            assert (error.status_code, error.headers, error.body) == (404, {"x-a": "b"}, b"\xff{}")
            assert (error.message, error.retry_after) == ("No j***@example.com", 1.5)

    def test_errors_show_nothing_personal(self, error: SendXError) -> None:
        assert "jane" not in f"{error} {error!r}"


# Whether sending again may help: False, or True unless the request was maybe delivered and isn't
# safe to repeat.
MAY_PASS: list[tuple[SendXError, bool]] = [
    (SendXError(), True),
    (ConfigurationError(), True),
    (InvalidRequestError(), False),
    (ClientClosedError(), True),
    (TransportError(), True),
    (ConnectError(), True),
    (AttemptTimeout(), True),
    (ResponseLost(), True),
    (DeadlineExceeded(), True),
    (OutageError(), True),
    (NotSentError(), True),
    (OutboxError(), True),
    (OutboxFullError(), True),
    (ResponseDecodeError(status_code=200), True),
    (ApiError(status_code=301), True),
    (ApiError(status_code=308), True),
    (ApiError(status_code=399), True),
    (ApiError(status_code=405), False),
    (ApiError(status_code=408), True),
    (ApiError(status_code=413), False),
    (ApiError(status_code=425), True),
    (BadRequestError(status_code=400), False),
    (AuthenticationError(status_code=401), True),
    (PermissionDeniedError(status_code=403), True),
    (NotFoundError(status_code=404), False),
    (ConflictError(status_code=409), False),
    (UnprocessableEntityError(status_code=422), False),
    (RateLimitError(status_code=429), True),
    (ServerError(status_code=500), True),
    (ServerError(status_code=503, retry_after=1.0), True),
    (ReportedFailureError(status_code=200), False),
]


def test_each_error_says_whether_it_may_pass() -> None:
    assert {type(error).__name__ for error, _ in MAY_PASS} == set(TREE)


@pytest.mark.parametrize("error,may_pass", MAY_PASS, ids=lambda case: repr(case)[:40])
def test_what_may_pass_is_retryable_where_nothing_can_happen_twice(
    error: SendXError, *, may_pass: bool
) -> None:
    for maybe_delivered, replay_safe in itertools.product([False, True], repeat=2):
        each = copy.copy(error)
        each.maybe_delivered, each.replay_safe = maybe_delivered, replay_safe
        assert each.is_retryable is (may_pass and (replay_safe or not maybe_delivered))
        assert pickle.loads(pickle.dumps(each)).is_retryable is each.is_retryable


def test_an_error_that_nobody_has_told_of_its_request_takes_it_for_unsafe() -> None:
    assert not ResponseLost(maybe_delivered=True).is_retryable


def test_an_error_can_be_made_of_nothing() -> None:
    for name in TREE:
        error = getattr(sendx_async, name)()
        assert (error.operation, error.call_id, error.attempts) == (None, None, 0)
        assert (error.elapsed, error.maybe_delivered) == (0.0, False)
        assert plain(copy.deepcopy(error)) == plain(error)


def test_the_mapping_of_headers_is_a_copy() -> None:
    headers = {"a": "b"}
    error = NotFoundError(headers=headers)
    headers["c"] = "d"
    assert error.headers == {"a": "b"}


def test_invalid_request_lists_its_problems() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        IdentifyRequest("jane@example.com", first_name=1, tags="x")  # type: ignore[arg-type]
    error = raised.value
    assert error.problems == (
        "first_name must be a str, got int",
        "tags must be an iterable of str, got a bare str: put it in a list",
    )
    assert str(error) == f"IdentifyRequest: {'; '.join(error.problems)}"
    assert error.maybe_delivered is False
    assert InvalidRequestError("x", operation="send").operation == "send"


def test_the_values_of_a_request_are_never_in_the_text() -> None:
    wrong: dict[str, Any] = {
        "email": "secret jane", "first_name": b"secret", "tags": [b"secret"],
        "custom_fields": {"Role": b"secret"}, "extra": {"a": {"b": b"secret"}},
        "new_email": "secret",
    }  # fmt: skip
    with pytest.raises(InvalidRequestError) as raised:
        IdentifyRequest(**wrong)
    assert len(raised.value.problems) == len(wrong)
    assert "secret" not in f"{raised.value} {raised.value!r} {raised.value.problems}"


@pytest.mark.parametrize(
    "error", [ConnectError("x"), AttemptTimeout("x"), ResponseLost("x"), ServerError("x")]
)
def test_errors_can_be_caught_as_the_tree_says(error: SendXError) -> None:
    with pytest.raises(SendXError):
        raise error


def test_rate_limit_says_how_long_to_wait() -> None:
    error = RateLimitError("slow down", status_code=429, retry_after=7.0)
    assert error.retry_after == 7.0
    assert str(error) == "SendX answered with HTTP 429: slow down"


class TestMasking:
    @pytest.mark.parametrize(
        "address, masked",
        [("jane@example.com", "j***@example.com"), ("j@b", "j***@b"), ("a@b@c", "a***@c"),
         ("contact_123", "c***"), ("", "***"), ("@b", "***@b")],
    )  # fmt: skip
    def test_one_address(self, address: str, masked: str) -> None:
        assert mask_address(address) == masked

    @pytest.mark.parametrize(
        "address",
        [
            "jane@example.com", "jane.smith+tag@example.com", "o'brien@example.com",
            '"jane"@example.com', "jane'@x.com", "jane@[127.0.0.1]", "ja:ne@x.com", "ja=ne@x.com",
            "{jane}@x.com", "zoë@exämple.de", "jane%40x.com",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "text", ["{}", "contact {} is unknown", "<{}>", "email={}", '{{"email":"{}"}}', "{}, {}."]
    )
    def test_addresses_in_a_text(self, address: str, text: str) -> None:
        masked = mask_addresses(text.format(address, address))
        local = address.replace("%40", "@").split("@")[0]
        assert local not in masked
        assert local[2:] not in masked
        assert "***" in masked

    @pytest.mark.parametrize("text", ["", "no address here", "12:30", "a @ b"])
    def test_other_text_is_left_alone(self, text: str) -> None:
        assert mask_addresses(text) == text

    @pytest.mark.timeout(300)
    @pytest.mark.parametrize("part", ["a", "@", "a@", "@a", "a.", ".@", "a%40", "%4"])
    def test_a_long_text_takes_no_time(self, part: str) -> None:
        mask_addresses(part * 300_000)
