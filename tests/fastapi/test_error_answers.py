"""What visitors of a FastAPI application are answered when SendX, or a request to it, fails."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

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
    CustomEventRequest,
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
    RetryPolicy,
    SendXError,
    ServerError,
    TransportError,
    UnprocessableEntityError,
)
from sendx_async.fastapi import SendX, add_sendx_error_handlers, sendx_lifespan
from sendx_async.testing import FakeSendX

SECRETS = ("jane@example.com", "key-5f3c9a7e1b2d", "<html>")
ANSWERS: dict[type[SendXError], int] = {
    InvalidRequestError: 422,
    BadRequestError: 422,
    UnprocessableEntityError: 422,
    ConflictError: 409,
    RateLimitError: 503,
    ServerError: 502,
    AuthenticationError: 502,
    PermissionDeniedError: 502,
    NotFoundError: 502,
    ApiError: 502,
    ConnectError: 503,
    AttemptTimeout: 504,
    ResponseLost: 502,
    TransportError: 502,
    DeadlineExceeded: 504,
    ResponseDecodeError: 502,
    ReportedFailureError: 502,
    OutageError: 503,
    NotSentError: 503,
    ClientClosedError: 503,
    OutboxError: 503,
    OutboxFullError: 503,
}
RAISED_ON = [SendXError, ConfigurationError]


def example(kind: type[SendXError]) -> SendXError:
    """Make an error that holds all that must not be shown."""
    if issubclass(kind, ApiError):
        status = 500 if kind is ServerError else 400
        body = " ".join(SECRETS)
        error: SendXError = kind(
            body, status_code=status, headers={"x": body}, body=body.encode(), hint="look here"
        )
    else:
        error = kind("a reason for people who operate this")
    error.operation, error.call_id, error.attempts = "identify_contact", "c0ffee", 3
    return error


def answering(error: BaseException) -> FastAPI:
    app = FastAPI()
    add_sendx_error_handlers(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    return app


def answer_to(error: BaseException) -> Any:
    return TestClient(answering(error)).get("/")


def test_the_table_has_every_error() -> None:
    kinds = {getattr(sendx_async, name) for name in sendx_async.__all__}
    errors = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, SendXError)}
    assert ANSWERS.keys() | RAISED_ON == errors
    for kind, status in ANSWERS.items():
        assert str(status) in (add_sendx_error_handlers.__doc__ or "")
        if kind not in {ResponseLost, TransportError}:
            assert f"``{kind.__name__}``" in (add_sendx_error_handlers.__doc__ or "")


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_each_error_is_answered_without_what_is_private(
    kind: type[SendXError], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sendx_async"):
        answer = answer_to(example(kind))
    assert answer.status_code == ANSWERS[kind]
    assert answer.json().keys() == {"detail"}
    assert "retry-after" not in answer.headers
    for secret in (*SECRETS, "reason for people", "look here", "SendX answered", "c0ffee"):
        assert secret not in answer.text
    (record,) = caplog.records
    assert record.getMessage().startswith(
        f"answered {ANSWERS[kind]}, since identify_contact failed (call c0ffee, 3 attempts, maybe "
        f"delivered: False): {kind.__name__}: "
    )
    assert SECRETS[0] not in record.getMessage()


@pytest.mark.parametrize("kind", RAISED_ON, ids=lambda kind: kind.__name__)
def test_mistakes_of_the_program_are_raised_on(kind: type[SendXError]) -> None:
    app = answering(kind("a mistake"))
    with pytest.raises(kind, match="a mistake"):
        TestClient(app).get("/")
    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


@pytest.mark.parametrize(
    "error,level",
    [
        (example(AuthenticationError), "ERROR"),
        (example(NotFoundError), "ERROR"),
        (example(OutboxFullError), "ERROR"),
        (example(ConnectError), "WARNING"),
        (example(UnprocessableEntityError), "WARNING"),
        (example(InvalidRequestError), "INFO"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_log_tells_how_bad_it_is(
    error: SendXError, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "sendx_async"):
        answer_to(error)
    assert [record.levelname for record in caplog.records] == [level]


def test_outside_of_a_call_the_log_has_no_gaps(caplog: pytest.LogCaptureFixture) -> None:
    answer_to(OutboxFullError("full", maybe_delivered=True))
    assert caplog.text.endswith(
        "answered 503, since a request failed (call -, 0 attempts, maybe delivered: True): "
        "OutboxFullError: full\n"
    )


SLOW_DOWN = RateLimitError(status_code=429, retry_after=6.2)


@pytest.mark.parametrize(
    "error,status,seconds",
    [
        (SLOW_DOWN, 503, "7"),
        (RateLimitError(status_code=429, retry_after=0.0), 503, "0"),
        (ServerError(status_code=503), 503, None),
        (ServerError(status_code=503, retry_after=5.0), 503, "5"),
        (ServerError(status_code=500, retry_after=5.0), 502, None),
        (AuthenticationError(status_code=401, retry_after=5.0), 502, None),
        (DeadlineExceeded(last=SLOW_DOWN), 504, "7"),
        (DeadlineExceeded(last=ConnectError()), 504, None),
        (OutageError(last=SLOW_DOWN), 503, "7"),
        (OutageError(last=DeadlineExceeded(last=SLOW_DOWN)), 503, "7"),
    ],
)
def test_when_to_come_back_is_told_if_it_is_known(
    error: SendXError, status: int, seconds: str | None
) -> None:
    answer = answer_to(error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, seconds)


class TestRequestsThatCannotBeSent:
    def problems(self, error: InvalidRequestError) -> list[tuple[Any, str]]:
        answer = answer_to(error)
        assert answer.status_code == 422
        details = answer.json()["detail"]
        assert all(each["type"] == "sendx_invalid" for each in details)
        return [(each["loc"], each["msg"]) for each in details]

    def test_each_problem_is_listed_with_its_field(self) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            IdentifyRequest("not an address", tags="vip", custom_fields={"Role": []})
        places = [place for place, _ in self.problems(caught.value)]
        assert places == [["sendx", "email"], ["sendx", "tags"], ["sendx", "custom_fields"]]
        assert [text for _, text in self.problems(caught.value)] == list(caught.value.problems)

    def test_several_contacts_are_numbered(self) -> None:
        error = InvalidRequestError(problems=["[1] email must not be empty", "[10] is no contact"])
        assert [place for place, _ in self.problems(error)] == [
            ["sendx", 1, "email"],
            ["sendx", 10],
        ]

    def test_what_begins_with_no_field_has_none(self) -> None:
        error = InvalidRequestError(problems=["must be given a mapping", "", "names[0] is bad"])
        assert [place for place, _ in self.problems(error)] == [["sendx"]] * 3

    def test_the_shape_is_what_the_schema_says(self) -> None:
        app = FastAPI()

        @app.post("/")
        async def takes(number: int) -> None: ...

        components = app.openapi()["components"]["schemas"]
        assert components["HTTPValidationError"]["properties"]["detail"]["type"] == "array"
        needed = set(components["ValidationError"]["required"])
        for error in (InvalidRequestError(problems=["email is missing"]), example(BadRequestError)):
            assert all(needed <= each.keys() for each in answer_to(error).json()["detail"])


class TestOtherHandlers:
    def test_the_most_exact_one_counts_in_any_order(self) -> None:
        async def teapot(_: Any, error: Exception) -> JSONResponse:
            return JSONResponse({"error": type(error).__name__}, 418)

        for first in (True, False):
            app = FastAPI()
            if first:
                app.add_exception_handler(RateLimitError, teapot)
            add_sendx_error_handlers(app)
            if not first:
                app.add_exception_handler(RateLimitError, teapot)

            @app.get("/")
            async def fail(status: int) -> None:
                raise RateLimitError if status == 429 else ServerError

            visitor = TestClient(app)
            assert visitor.get("/?status=429").json() == {"error": "RateLimitError"}
            assert visitor.get("/?status=500").status_code == 502

    def test_foreign_errors_stay_as_they_are(self) -> None:
        with pytest.raises(TimeoutError, match="mine"):
            answer_to(TimeoutError("mine"))

    def test_a_websocket_has_no_answers(self) -> None:
        app = FastAPI()
        add_sendx_error_handlers(app)

        @app.websocket("/ws")
        async def fail(websocket: WebSocket) -> None:
            await websocket.accept()
            raise ConnectError("no network")

        with (
            pytest.raises(ConnectError, match="no network"),
            TestClient(app).websocket_connect("/ws") as websocket,
        ):
            websocket.receive_text()


class TestBackgroundTasks:
    """What comes after the answer can't be answered: docs/howto/web-handlers.md says what to do."""

    @pytest.fixture
    def done(self) -> list[str]:
        return []

    @pytest.fixture
    def app(self, done: list[str]) -> FastAPI:
        app = FastAPI()
        add_sendx_error_handlers(app)

        async def fail() -> None:
            raise example(NotFoundError)

        @app.post("/")
        async def answer(tasks: BackgroundTasks) -> dict[str, bool]:
            tasks.add_task(fail)
            tasks.add_task(done.append, "the task behind it")
            return {"done": True}

        return app

    def test_the_visitor_has_the_answer(self, app: FastAPI) -> None:
        answer = TestClient(app, raise_server_exceptions=False).post("/")
        assert (answer.status_code, answer.json()) == (200, {"done": True})

    def test_the_error_is_raised_on_and_later_tasks_do_not_run(
        self, app: FastAPI, done: list[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(RuntimeError, match="response already started") as caught:
            TestClient(app).post("/")
        assert isinstance(caught.value.__cause__, NotFoundError)
        assert done == []
        assert "answered" not in caplog.text


class TestWithAServer:
    @pytest.fixture
    def visitor(self, fake_sendx: FakeSendX) -> Iterator[TestClient]:
        app = FastAPI(
            lifespan=sendx_lifespan(
                api_key=fake_sendx.api_key,
                base_url=fake_sendx.url,
                retry=RetryPolicy(base=0, cap=0),
            )
        )
        add_sendx_error_handlers(app)

        @app.post("/signup")
        async def signup(email: str, sendx: SendX) -> None:
            await sendx.identify_contact({"email": email})

        @app.post("/buy")
        async def buy(email: str, sendx: SendX) -> None:
            await sendx.track_custom_event(CustomEventRequest(email, "bought"), timeout=0.2)

        @app.post("/tag")
        async def tag(email: str, sendx: SendX) -> None:
            await sendx.track_contact({"email": email, "add_tags": ["vip"]})

        @app.post("/pay")
        async def pay(email: str, sendx: SendX) -> None:
            await sendx.track_revenue_event({"identifier": email, "amount": 5})

        @app.post("/read")
        async def read(email: str, sendx: SendX) -> None:
            await sendx.request("GET", "/contact/{id}", path_params={"id": email})

        with TestClient(app) as visitor:
            yield visitor

    @pytest.mark.parametrize(
        "status,headers,expected",
        [
            (422, {}, 422), (401, {}, 502), (404, {}, 502), (409, {}, 409), (302, {}, 502),
            (500, {}, 502), (503, {}, 503), (429, {"retry-after": "3600"}, 503),
        ],
    )  # fmt: skip
    def test_a_refusal_becomes_an_answer(
        self,
        fake_sendx: FakeSendX,
        visitor: TestClient,
        status: int,
        headers: dict[str, str],
        expected: int,
    ) -> None:
        fake_sendx.respond(status, message="jane@example.com, no", headers=headers, times=None)
        answer = visitor.post("/signup?email=jane@example.com", follow_redirects=False)
        assert answer.status_code == expected
        assert "jane" not in answer.text
        assert answer.headers.get("retry-after") == headers.get("retry-after")
        fake_sendx.recover()

    @pytest.mark.parametrize("path", ["/buy", "/tag", "/pay", "/read"])
    def test_a_contact_that_is_unknown_is_the_visitors(
        self,
        fake_sendx: FakeSendX,
        visitor: TestClient,
        path: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        fake_sendx.respond(404, message="jane@example.com is not known")
        with caplog.at_level(logging.WARNING, "sendx_async.fastapi"):
            answer = visitor.post(f"{path}?email=jane@example.com")
        assert answer.status_code == 404
        assert answer.json() == {"detail": "What this is about is not known."}
        record = next(each for each in caplog.records if "answered 404" in each.getMessage())
        assert record.levelname == "WARNING"
        assert "base_url" in record.getMessage()
        assert "jane" not in record.getMessage()

    def test_a_typing_error_is_the_visitors(self, visitor: TestClient) -> None:
        (problem,) = visitor.post("/signup?email=nobody").json()["detail"]
        assert problem == {
            "type": "sendx_invalid",
            "loc": ["sendx", "email"],
            "msg": "email must be one e-mail address, with text on both sides of exactly one @",
        }

    def test_an_outage_and_its_end(self, fake_sendx: FakeSendX, visitor: TestClient) -> None:
        fake_sendx.stop()
        assert visitor.post("/signup?email=jane@example.com").status_code == 503
        fake_sendx.start()
        assert visitor.post("/signup?email=jane@example.com").status_code == 200

    def test_a_silent_server(self, fake_sendx: FakeSendX, visitor: TestClient) -> None:
        fake_sendx.black_hole()
        answer = visitor.post("/buy?email=jane@example.com")
        assert answer.status_code == 504
        assert json.loads(answer.text) == {
            "detail": "A service that is needed for this did not answer in time."
        }
